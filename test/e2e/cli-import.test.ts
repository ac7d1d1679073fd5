import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ensureBuilt } from "../support/build.ts"
import { cli, cliOnTerminal } from "../support/cli.ts"
import { freePort } from "../support/ports.ts"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World

beforeAll(async () => {
  world = await startWorld({ accounts: 1 })
})
afterAll(() => world?.[Symbol.asyncDispose]())

const run = (...args: readonly string[]) => cli(world.pollux, ["import", ...args])

function write(name: string, value: unknown, mode = 0o600): string {
  const path = join(world.pollux.cwd, name)
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value))
  chmodSync(path, mode)
  return name
}

const openaiToken = () => secret(world.openai.addAccount().refreshToken)
const googleToken = () => secret(world.google.addAccount().refreshToken)
/** Refreshes that upstreams were asked for so far. */
const refreshes = () => world.openai.requestsTo("/oauth/token").length + world.google.seen("token").length

describe("pollux import", () => {
  test("takes the logins of other programs, tells them apart, and follows each to its outcome", async () => {
    mkdirSync(join(world.pollux.cwd, "auth"))
    write("auth/auth.json", {
      OPENAI_API_KEY: null,
      tokens: { id_token: "eyJx", access_token: "eyJx", refresh_token: openaiToken(), account_id: "a" },
    })
    write("auth/codex-a.json", { type: "codex", refresh_token: openaiToken(), email: "someone@example.com" })
    write("auth/gcli.json", {
      client_id: "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com",
      client_secret: "x",
      refresh_token: googleToken(),
      token_uri: "https://oauth2.googleapis.com/token",
    })
    write("auth/oauth_creds.json", { access_token: "x", refresh_token: googleToken(), expiry_date: 1, scope: "x" })
    write("auth/more.jsonl", `{"refresh_token":"${openaiToken()}"}\n{"refreshToken":"${googleToken()}"}\n`)
    write("auth/claude.json", { type: "claude", access_token: "x", refresh_token: "y" })
    write("auth/settings.json", { theme: "dark" })

    const asked = refreshes()
    const dry = await run("--dry-run", "auth")
    expect(dry.leaks).toEqual([])
    expect(dry.code).toBe(0)
    expect(dry.stdout).toMatch(/auth\/auth\.json +codex +Codex CLI +[0-9a-f]{8}\n/)
    expect(dry.stdout).toMatch(/auth\/more\.jsonl #2 +geminicli +refresh token +[0-9a-f]{8}\n/)
    expect(dry.stdout).toContain("6 logins would be handed over.")
    expect(refreshes()).toBe(asked)

    const done = await run("auth")
    expect(done.leaks).toEqual([])
    expect(done.code).toBe(0)
    expect(done.stdout).toContain("6 added.")
    expect(done.stdout).toMatch(/auth\/codex-a\.json +[0-9a-f]{8} +added +codex:\d+ /)
    expect(done.stdout).toContain("is a login of claude, which Pollux does not serve")
    expect(done.stdout).toContain("1 other file without logins.")
    expect(done.stderr).toContain("a Codex token has one owner")

    const before = refreshes()
    const again = await run("auth", "--json")
    expect(again.leaks).toEqual([])
    expect(again.code).toBe(0)
    const { logins } = Object(JSON.parse(again.stdout))
    expect(logins).toHaveLength(6)
    for (const one of logins) expect(one).toMatchObject({ outcome: { status: "known" } })
    expect(refreshes()).toBe(before)
  })

  test("says of each that failed why, and ends with 1", async () => {
    const dead = secret("rt_this-token-was-never-issued-by-anybody")
    write("mixed.json", [{ refresh_token: openaiToken() }, { refresh_token: dead }, { refresh_token: 7 }])
    const done = await run("mixed.json")
    expect(done.leaks).toEqual([])
    expect(done.code).toBe(1)
    expect(done.stdout).toMatch(/mixed\.json #1 +[0-9a-f]{8} +added/)
    expect(done.stdout).toMatch(/mixed\.json #2 +[0-9a-f]{8} +failed +codex +\w+/)
    expect(done.stdout).toContain("1 added, 1 failed.")
    expect(done.stdout).toMatch(/mixed\.json #3 +its refresh token is no text/)
  })

  test("hands a project over", async () => {
    const account = world.google.addAccount({ project: null, userProjects: ["my-project-7"] })
    write("project.json", { refresh_token: secret(account.refreshToken), project_id: "my-project-7" })
    expect((await run("project.json")).code).toBe(0)
    const list = Object(await (await world.pollux.api("/geminicli/resource:list")).json())
    expect(list.credentials.map((one: { account: string }) => one.account)).toContain("my-project-7")
  })

  test("reads standard input, and bare tokens once the provider is named", async () => {
    const done = await cli(world.pollux, ["import", "-", "--provider", "codex"], {
      input: `# mine\n${openaiToken()}\n`,
    })
    expect(done.leaks).toEqual([])
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining("standard input")])
  })

  test("warns of a file that others may read", async () => {
    write("open.json", { refresh_token: googleToken() }, 0o644)
    const done = await run("open.json")
    expect(done.code).toBe(0)
    expect(done.stderr).toBe(
      "warning: open.json holds logins, and its mode 0644 lets other users in; run: chmod 600 open.json\n",
    )
  })

  test("ends with 65 when there is nothing to hand over, with 66 when nothing could be read", async () => {
    write("nothing.json", { theme: "dark" })
    write("key.json", { OPENAI_API_KEY: secret("sk-fake-key-of-a-codex-cli"), tokens: null })
    for (const name of ["nothing.json", "key.json"]) {
      const done = await run(name)
      expect(done.leaks).toEqual([])
      expect([name, done.code]).toEqual([name, 65])
      expect(done.stderr).toContain("there is no login to import")
    }
    const missing = await run("missing.json")
    expect(missing.code).toBe(66)
    expect(missing.stdout).toMatch(/missing\.json +it does not exist/)
    expect((await run()).code).toBe(64)
  })

  test("says what was not sent when there is no server", async () => {
    write("later.json", [{ refresh_token: openaiToken() }])
    const server = `http://127.0.0.1:${await freePort()}`
    const done = await cli(world.pollux, ["import", "later.json"], { server })
    expect(done.leaks).toEqual([])
    expect(done.code).toBe(69)
    expect(done.stdout).toContain("1 not sent.")
    expect(done.stderr).toContain("no server answers")
  })

  test("shows its progress on a terminal, and fits it", async () => {
    const tokens = Array.from({ length: 25 }, openaiToken)
    write("many.json", tokens)
    await using terminal = await cliOnTerminal(world.pollux, ["import", "many.json"], { columns: 70 })
    expect(await terminal.exited()).toMatchObject({ code: 0 })
    expect(terminal.text()).toMatch(/\d+ of 25 done/)
    expect(terminal.text()).toContain("25 added.")
    const table = terminal.text().slice(terminal.text().indexOf("SOURCE"))
    for (const line of table.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(70)
  }, 60_000)

  test("reads ten thousand entries with faults of every kind at once", async () => {
    const entries = Array.from({ length: 10_000 }, (_, i) => {
      const kinds: readonly unknown[] = [
        { refresh_token: `rt_entry-number-${i}` },
        { refresh_token: "rt_the-same-token-every-time" },
        { refresh_token: i },
        { refresh_token: `rt_${"x".repeat(9_000)}` },
        null,
      ]
      return kinds[i % kinds.length]
    })
    write("crowd.json", entries)
    const done = await run("--dry-run", "--json", "crowd.json")
    expect(done.leaks).toEqual([])
    expect(done.code).toBe(0)
    const { logins, left_out } = Object(JSON.parse(done.stdout))
    expect(logins).toHaveLength(2_001)
    expect(left_out).toHaveLength(1_999 + 2_000 + 2_000)
    expect(done.stdout.length).toBeGreaterThan(500_000)

    // A reader that leaves early is no fault of anybody.
    const cut = Bun.spawn(["sh", "-c", `'${await ensureBuilt()}' import -n crowd.json --json | head -c 10`], {
      cwd: world.pollux.cwd,
      stdout: "pipe",
      stderr: "pipe",
    })
    expect(await new Response(cut.stdout).text()).toHaveLength(10)
    expect(await new Response(cut.stderr).text()).not.toMatch(/EPIPE|error/i)
  }, 30_000)

  test("stops on Ctrl-C, and says what became of what was sent", async () => {
    for (let i = 0; i < 50; i++) world.openai.tokenFault({ kind: "delay", ms: 3_000 })
    write("slow.json", Array.from({ length: 50 }, openaiToken))
    await using terminal = await cliOnTerminal(world.pollux, ["import", "slow.json"])
    const asked = refreshes()
    await until("the server works on it", () => refreshes() > asked)
    terminal.type("\x03")
    expect(await terminal.exited()).toMatchObject({ code: 130 })
    expect(terminal.text()).toContain("40 unanswered, 10 not sent.")
    expect(terminal.text()).toContain("run it again for the rest")
    world.openai.clearFaults()
  }, 30_000)
})
