/** `pollux usage`, `pollux reload` and `pollux client` on the compiled executable. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { ensureBuilt } from "../support/build.ts"
import { type CliResult, cli } from "../support/cli.ts"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
let configPath: string

beforeAll(async () => {
  world = await startWorld()
  configPath = join(world.pollux.cwd, "config.toml")
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const pollux = (...args: string[]): Promise<CliResult> => cli(world.pollux, args)

async function post(path: string, body: unknown): Promise<number> {
  const headers = { "content-type": "application/json" }
  const answer = await world.pollux.api(path, { method: "POST", headers, body: JSON.stringify(body) })
  await answer.text()
  return answer.status
}

const codex = (model = "gpt-5.2-codex") => post("/codex/v1/responses", { model, input: "Say hello." })
const gemini = () =>
  post("/geminicli/v1beta/models/gemini-2.5-pro:generateContent", {
    contents: [{ role: "user", parts: [{ text: "x" }] }],
  })

describe("pollux usage", () => {
  test("says so when nothing was used", async () => {
    const { code, stdout } = await pollux("usage")
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Nothing was used in this time.\n" })
  })

  test("counts requests of both providers at once, with tokens and the cached share", async () => {
    expect([await codex(), await codex(), await codex("gpt-5.2"), await gemini()]).toEqual([200, 200, 200, 200])
    const { code, stdout, leaks } = await pollux("usage")
    expect({ code, leaks }).toEqual({ code: 0, leaks: [] })
    const [head, ...rows] = stdout.trimEnd().split("\n")
    expect(head?.split(/\s{2,}/)).toEqual([
      "MODEL",
      "REQUESTS",
      "ERRORS",
      "ATTEMPTS",
      "INPUT",
      "CACHED",
      "OUTPUT",
      "REASONING",
    ])
    const names = rows.map((row) => row.split(/\s{2,}/).slice(0, 3))
    expect(names).toContainEqual(["codex gpt-5.2-codex", "2", "0"])
    expect(names).toContainEqual(["codex gpt-5.2", "1", "0"])
    expect(names).toContainEqual(["geminicli gemini-2.5-pro", "1", "0"])
    expect(names.at(-1)).toEqual(["total", "4", "0"])
    for (const row of rows) expect(row).toMatch(/ \d+[.k\d]* \((?:<1|\d+) %\) /)
  })

  const groupings: readonly (readonly [by: string, label: RegExp])[] = [
    ["credential", /^(codex|geminicli):\d+$/],
    ["day", /^\d{4}-\d{2}-\d{2}$/],
    ["hour", /^\d{4}-\d{2}-\d{2} \d{2}:00$/],
    ["provider", /^(codex|geminicli)$/],
    ["key", /^default$/],
  ]
  for (const [by, label] of groupings) {
    test(`by ${by} has a row for each, and the same sums`, async () => {
      const { stdout } = await pollux("usage", "--by", by)
      const rows = stdout
        .trimEnd()
        .split("\n")
        .slice(1)
        .map((row) => row.split(/\s{2,}/))
      const last = rows.at(-1)
      expect(last?.[1]).toBe("4")
      for (const [name = ""] of rows.length > 1 ? rows.slice(0, -1) : rows) expect(name).toMatch(label)
    })
  }

  test("is JSON for a program", async () => {
    const report = JSON.parse((await pollux("usage", "--by", "provider", "--json", "--since", "2h")).stdout)
    expect(report.by).toBe("provider")
    expect(report.until - report.since).toBeGreaterThan(2 * 3_600_000)
    expect(report.since % 3_600_000).toBe(0)
    expect(
      report.rows.map(({ provider, requests }: { provider: string; requests: number }) => [provider, requests]),
    ).toEqual([
      ["codex", 3],
      ["geminicli", 1],
    ])
  })

  test("keeps to the span that is asked for", async () => {
    expect((await pollux("usage", "--since", "2000-01-01", "--until", "2000-02-01")).stdout).toBe(
      "Nothing was used in this time.\n",
    )
    const hour = new Date(Date.now() + 3_600_000).toISOString()
    expect((await pollux("usage", "--since", "1d", "--until", hour, "--by", "provider")).stdout).toContain("total")
  })

  test("is kept over a restart", async () => {
    await world.pollux.restart({ config: readFileSync(configPath, "utf8") })
    expect((await pollux("usage", "--by", "key")).stdout).toMatch(/^default\s+4\s/m)
  })

  const wrong: readonly (readonly [args: readonly string[], problem: string])[] = [
    [["--by", "color"], "--by takes model, credential, day, hour, provider, key"],
    [["--since", "soon"], "--since: expected a length of time"],
    [["--until", "2026-02-30"], "--until:"],
    [["--since", "1h", "--until", "2h"], "--until: the end does not come after the beginning"],
  ]
  for (const [args, problem] of wrong) {
    test(`refuses ${args.join(" ")}`, async () => {
      const { code, stdout, stderr } = await pollux("usage", ...args)
      expect({ code, stdout, stderr }).toEqual({ code: 64, stdout: "", stderr: expect.stringContaining(problem) })
    })
  }
})

describe("pollux reload", () => {
  const edit = (from: string | RegExp, to: string) =>
    writeFileSync(configPath, readFileSync(configPath, "utf8").replace(from, to))

  test("says when there is nothing new", async () => {
    const { code, stdout } = await pollux("reload")
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Reloaded; nothing has changed.\n" })
  })

  test("names what is in use now and what needs a restart, and a new model is served at once", async () => {
    expect(await codex("gpt-5.5")).toBeGreaterThanOrEqual(400)
    edit(/^model_list = \["gpt-5.2-codex"/m, 'model_list = ["gpt-5.5", "gpt-5.2-codex"')
    edit("[basic]\n", '[basic]\ndrain_timeout = 5\nlog_format = "json"\n')
    const { code, stdout } = await pollux("reload")
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        "Reloaded. Now in use:\n  basic.drain_timeout\n  providers.codex.model_list\nNeeds a restart:\n  basic.log_format\n",
    })
    expect(await codex("gpt-5.5")).toBe(200)
  })

  test("goes on naming what needs a restart until the file is as it runs", async () => {
    expect((await pollux("reload")).stdout).toBe("Reloaded.\nNeeds a restart:\n  basic.log_format\n")
    edit('log_format = "json"\n', "")
    expect((await pollux("reload")).stdout).toBe("Reloaded; nothing has changed.\n")
  })

  test("is JSON for a program", async () => {
    edit("drain_timeout = 5", "drain_timeout = 6")
    const shown = JSON.parse((await pollux("reload", "--json")).stdout)
    expect(shown).toEqual({ ok: true, changed: ["basic.drain_timeout"], needsRestart: [], encryptionKeyId: null })
  })

  test("refuses a broken file with every problem, and goes on with the old configuration", async () => {
    const good = readFileSync(configPath, "utf8")
    edit("drain_timeout = 6", 'drain_timeout = "x"\nloglevl = "info"')
    // The command finds the problems before it asks; a server that is asked by another way finds the same.
    const { code, stderr } = await pollux("reload")
    expect(code).toBe(78)
    expect(stderr).toContain("basic.drain_timeout: expected")
    expect(stderr).toContain("did you mean loglevel?")
    const key = { POLLUX_KEY: world.pollux.key }
    const asked = await cli(world.pollux, ["reload"], { cwd: join(world.pollux.cwd, "home"), env: key })
    expect(asked.code).toBe(78)
    expect(asked.stderr).toContain("basic.drain_timeout: expected")
    expect(asked.stderr).toContain("reload refused; the old configuration stays in use")
    expect(await codex()).toBe(200)
    writeFileSync(configPath, good)
  })

  test("no request fails while it happens, over and over", async () => {
    let going = true
    const statuses = new Set<number>()
    const traffic = Promise.all(
      [codex, gemini].map(async (ask) => {
        while (going) statuses.add(await ask())
      }),
    )
    for (let i = 0; i < 5; i++) {
      edit(/^drain_timeout = \d+/m, `drain_timeout = ${10 + i}`)
      expect((await pollux("reload")).code).toBe(0)
    }
    going = false
    await traffic
    expect([...statuses]).toEqual([200])
  })

  test("tells what to do when the key in the file is not that of the server any more, and that works", async () => {
    const good = readFileSync(configPath, "utf8")
    edit(/^pollux_key = .*$/m, `pollux_key = "${secret("another-key-than-before")}"`)
    const { code, stderr } = await pollux("reload")
    expect({ code, stderr }).toEqual({ code: 77, stderr: expect.stringContaining("send it SIGHUP") })
    world.pollux.signal("SIGHUP")
    await until("the new key opens the server", async () => (await pollux("reload")).code === 0)
    expect(await codex()).toBe(401)
    writeFileSync(configPath, good)
    world.pollux.signal("SIGHUP")
    await until("the old key opens it again", async () => (await codex()) === 200)
  })

  test("without a server says how to start one", async () => {
    const binary = await ensureBuilt()
    const ran = await capture([binary, "reload", "--server", "http://127.0.0.1:1"], { cwd: world.pollux.cwd, env: {} })
    expect({ code: ran.code, stderr: ran.stderr }).toEqual({
      code: 69,
      stderr: expect.stringContaining("no server answers at http://127.0.0.1:1"),
    })
  })
})

describe("pollux client", () => {
  const names = ["codex", "gemini", "openai-sdk", "genai-sdk", "ai-sdk", "langchain", "curl"]

  test("needs no server, names the address of the configuration, and shows the key only when asked to", async () => {
    const binary = await ensureBuilt()
    const path = join(world.pollux.cwd, "client.toml")
    const text =
      '[basic]\nlisten_addr = "::"\nlisten_port = 8200\npollux_key = "it\'s-a-secret-key"\n[providers.codex]\nmodel_list = ["gpt-9"]\n'
    writeFileSync(path, text, { mode: 0o600 })
    const client = (...args: string[]) =>
      capture([binary, "client", ...args, "--config", path], { cwd: world.pollux.cwd, env: {} })
    for (const name of names) {
      const { code, stdout } = await client(name)
      expect({ name, code }).toEqual({ name, code: 0 })
      expect(stdout).toContain("http://[::1]:8200/")
      expect(stdout).toContain("export POLLUX_KEY='put-your-key-here'")
      expect(stdout).not.toContain("secret")
    }
    const curl = (await client("curl", "--print-key")).stdout
    expect(curl).toContain("export POLLUX_KEY='it'\\''s-a-secret-key'\n")
    expect(curl).toContain('"model": "gpt-9"')
    const shown = JSON.parse((await client("codex", "--json")).stdout)
    expect(shown.parts.map(({ kind, file }: { kind: string; file: string | null }) => [kind, file])).toEqual([
      ["key", null],
      ["setup", "~/.codex/config.toml"],
      ["try", null],
    ])
  })

  test("on a machine without a configuration takes the address from --server", async () => {
    const binary = await ensureBuilt()
    const cwd = join(world.pollux.cwd, "home")
    const run = (...args: string[]) => capture([binary, "client", ...args], { cwd, env: {} })
    const { code, stdout } = await run("openai-sdk", "--server", "https://pollux.test/team/")
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining('baseURL: "https://pollux.test/team/codex/v1"'),
    })
    expect((await run("codex")).code).toBe(78)
    expect((await run("codex", "--server", "https://pollux.test", "--print-key")).code).toBe(78)
    const wrong = await run("codx")
    expect({ code: wrong.code, stderr: wrong.stderr }).toEqual({
      code: 64,
      stderr: expect.stringContaining('did you mean "codex"?'),
    })
  })
})
