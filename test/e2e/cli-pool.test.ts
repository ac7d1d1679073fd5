import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Value } from "@sinclair/typebox/value"
import { commands } from "../../src/cli/commands.ts"
import { ListShape } from "../../src/cli/shapes.ts"
import { startPollux } from "../support/binary.ts"
import { ensureBuilt } from "../support/build.ts"
import { type CliResult, cli, cliOnTerminal } from "../support/cli.ts"
import { addCredentials } from "../support/pool.ts"
import { freePort } from "../support/ports.ts"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
const elsewhere = mkdtempSync(join(tmpdir(), "pollux-elsewhere-"))

beforeAll(async () => {
  world = await startWorld({ accounts: 2 })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  rmSync(elsewhere, { recursive: true, force: true })
})

const run = (...args: readonly string[]) => cli(world.pollux, args)

function wellBehaved(result: CliResult): void {
  expect(result.leaks).toEqual([])
  expect(result.stdout + result.stderr).not.toContain("\x1b[")
}

async function ask(): Promise<number> {
  const answer = await world.pollux.api("/codex/v1/responses", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-5.2-codex", input: "Hi" }),
  })
  await answer.text()
  return answer.status
}

describe("pollux status", () => {
  test("shows every credential of both pools, what is left of its quota, and each model", async () => {
    expect(await ask()).toBe(200)
    expect(await ask()).toBe(200)
    const shown = await run("status")
    wellBehaved(shown)
    expect(shown.code).toBe(0)
    expect(shown.stderr).toBe("")
    for (const id of ["geminicli:1", "geminicli:2", "codex:1", "codex:2"]) expect(shown.stdout).toContain(id)
    expect(shown.stdout).toMatch(/codex {2}2 credentials: 2 ready/)
    expect(shown.stdout).toMatch(/5h [█░]{8} +\d+ % {2}\d/)
    expect(shown.stdout).toMatch(/gpt-5\.2-codex +2\n/)
    expect(shown.stdout).toContain("***@")
  })

  test("says why a credential rests, until when, and what the upstream said", async () => {
    const [first] = world.openai.accounts
    if (first === undefined) throw new Error("no account")
    world.openai.fault(first, { kind: "usage_limit", resetsAt: Math.floor(Date.now() / 1000) + 7_200 })
    await until("a credential rests", async () => {
      expect(await ask()).toBe(200)
      return (await run("status", "--provider", "codex")).stdout.includes("cooling")
    })
    const shown = await run("status", "--provider", "codex")
    wellBehaved(shown)
    expect(shown.stdout).toMatch(/usage_limit\s/)
    expect(shown.stdout).toMatch(/in \d+ min \(\d\d:\d\d\)/)
    expect(shown.stdout).toContain("429 usage_limit")
    expect(shown.stdout).not.toContain("geminicli")
  })

  test("prints JSON for programs", async () => {
    const shown = await run("status", "--json")
    wellBehaved(shown)
    const { server, providers } = Object(JSON.parse(shown.stdout))
    expect(server).toBe(world.pollux.url)
    expect(providers).toHaveLength(2)
    for (const list of providers) expect(Value.Check(ListShape, list)).toBe(true)
  })

  test("fits the terminal, in colour; NO_COLOR takes the colour away", async () => {
    for (const columns of [60, 80, 140]) {
      await using terminal = await cliOnTerminal(world.pollux, ["status"], { columns })
      expect(await terminal.exited()).toMatchObject({ code: 0 })
      expect(terminal.output()).toContain("\x1b[32mready\x1b[39m")
      const lines = terminal.text().split("\n")
      expect(lines.length).toBeGreaterThan(10)
      for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns)
    }
    await using plain = await cliOnTerminal(world.pollux, ["status"], { env: { NO_COLOR: "1" } })
    await plain.exited()
    expect(plain.output()).not.toContain("\x1b[3")
  })

  test("finds the server by its configuration alone", async () => {
    const port = await freePort()
    await using own = await startPollux({ config: { basic: { listen_port: port, listen_addr: "0.0.0.0" } } })
    const shown = await cli(own, ["status"], { server: null })
    expect(shown.stdout).toStartWith(`http://127.0.0.1:${port}\n`)
    expect(shown.stdout).toContain("No credential yet: `pollux login codex`")
    expect(shown.code).toBe(0)
    const proxied = await cli(own, ["status"], { server: null, env: { HTTP_PROXY: "http://127.0.0.1:9" } })
    expect(proxied.code).toBe(0)
    await own.stop()
    const gone = await cli(own, ["status"], { server: null })
    expect(gone.code).toBe(69)
    expect(gone.stderr).toBe(
      `pollux: no server answers at http://127.0.0.1:${port}: start it with \`pollux\`, or name another with --server\n`,
    )
  })

  test("is refused with a wrong key, and takes the right one from the environment", async () => {
    const wrong = await cli(world.pollux, ["status"], {
      cwd: elsewhere,
      env: { POLLUX_KEY: secret("not-the-right-key") },
    })
    wellBehaved(wrong)
    expect(wrong.code).toBe(77)
    expect(wrong.stderr).toContain("refused the key (POLLUX_KEY)")
    const right = await cli(world.pollux, ["status"], { cwd: elsewhere, env: { POLLUX_KEY: world.pollux.key } })
    expect(right.code).toBe(0)
    const none = await cli(world.pollux, ["status"], { cwd: elsewhere })
    expect(none.code).toBe(78)
    expect(none.stderr).toContain("set POLLUX_KEY")
  })

  test("uses the admin key where there is one", async () => {
    await using own = await startPollux({ config: { basic: { admin_key: secret("the-admin-key-of-this-test") } } })
    expect((await cli(own, ["status"])).code).toBe(0)
    const key = await cli(own, ["status"], { cwd: elsewhere, env: { POLLUX_KEY: own.key } })
    expect(key.code).toBe(77)
    expect(key.stderr).toContain("POLLUX_KEY")
  })
})

describe("pollux status --watch", () => {
  test("draws anew when something changes and the terminal is resized, and ends cleanly on Ctrl-C", async () => {
    await using watch = await cliOnTerminal(world.pollux, ["status", "--watch", "-p", "geminicli"], { rows: 12 })
    await watch.sees("geminicli:2")
    expect(watch.output()).toContain("\x1b[?1049h")
    const before = watch.output().length
    await run("credential", "disable", "geminicli:2")
    await until("the change is drawn", () => watch.output().slice(before).includes("disabled"))
    await run("credential", "enable", "geminicli:2")
    watch.resize(50, 6)
    await watch.sees(/\.\.\. \d+ more lines/)
    watch.type("\x03")
    expect(await watch.exited()).toEqual({ code: 0, signal: null })
    expect(watch.output()).toEndWith("\x1b[?25h\x1b[?1049l")
  })

  test("prints a line of JSON per change for programs", async () => {
    const child = Bun.spawn([await ensureBuilt(), "status", "--watch", "--json", "--server", world.pollux.url], {
      cwd: world.pollux.cwd,
      env: { PATH: process.env.PATH },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    })
    let text = ""
    const decoder = new TextDecoder()
    const drained = (async () => {
      for await (const chunk of child.stdout) text += decoder.decode(chunk, { stream: true })
    })()
    const states = () =>
      text
        .split("\n")
        .slice(0, -1)
        .map((line) => Object(JSON.parse(line)).providers[0].credentials[1].state)
    await until("the first line", () => states().length > 0)
    await run("credential", "disable", "geminicli:2")
    await until("the change", () => states().at(-1) === "disabled")
    await run("credential", "enable", "geminicli:2")
    await until("the change back", () => states().at(-1) === "ready")
    child.kill("SIGINT")
    await child.exited
    await drained
    expect(child.exitCode).toBe(0)
  })

  test("says when the server has gone, and goes on when it is back", async () => {
    const port = await freePort()
    await using own = await startPollux({ config: { basic: { listen_port: port } } })
    await using watch = await cliOnTerminal(own, ["status", "--watch"])
    await watch.sees("No credential yet")
    await own.stop()
    await watch.sees("no server answers")
    await own.restart()
    const before = watch.output().length
    await until("it draws again", () => {
      const since = Bun.stripANSI(watch.output().slice(before))
      return since.lastIndexOf("No credential yet") > since.lastIndexOf("no server answers")
    })
    watch.signal("SIGTERM")
    expect(await watch.exited()).toMatchObject({ code: 0 })
  })
})

describe("pollux explain", () => {
  test("says for each credential yes or no, and why", async () => {
    await run("credential", "disable", "geminicli:1")
    const shown = await run("explain", "--model", "gemini-2.5-pro")
    wellBehaved(shown)
    expect(shown.code).toBe(0)
    expect(shown.stdout).toContain("gemini-2.5-pro: 1 of 2 would serve")
    expect(shown.stdout).toMatch(/geminicli:1 +no .*Disabled by the operator\./)
    expect(shown.stdout).toMatch(/geminicli:2 +yes .*Ready/)
    expect(shown.stdout).not.toContain("codex")
    await run("credential", "enable", "geminicli:1")
  })
  test("names the credential that a session prefers, whatever the client calls it by", async () => {
    const body = JSON.stringify({ model: "gpt-5.2-codex", input: "Hi", prompt_cache_key: "cache-of-mine" })
    let served = ""
    for (let i = 0; i < 3; i++) {
      const headers = { "content-type": "application/json", session_id: "session-of-mine" }
      const answer = await world.pollux.api("/codex/v1/responses", { method: "POST", headers, body })
      served = answer.headers.get("x-pollux-credential") ?? ""
      await answer.text()
    }
    for (const name of ["session-of-mine", "cache-of-mine"]) {
      const shown = await run("explain", "-m", "gpt-5.2-codex", "-s", name, "--json")
      expect(shown.code).toBe(0)
      const { session, providers } = Object(JSON.parse(shown.stdout))
      expect(session).toBe(name)
      expect(providers).toMatchObject([{ provider: "codex", credentials: [{ id: 1 }, { id: 2 }] }])
      const own = Object(providers[0]).credentials.filter((one: { sticky: boolean }) => one.sticky)
      expect(own).toHaveLength(1)
      expect(served).toContain(String(own[0].id))
    }
    const stranger = await run("explain", "-m", "gpt-5.2-codex", "-s", "session-of-nobody")
    expect(stranger.stdout).not.toContain("SESSION'S OWN")
  })
  test("ends with 1 when nobody would serve, and says what there is when the model is unknown", async () => {
    await run("credential", "disable", "geminicli:1", "geminicli:2")
    expect((await run("explain", "-m", "gemini-2.5-pro")).code).toBe(1)
    await run("credential", "enable", "geminicli:1", "geminicli:2")
    const unknown = await run("explain", "-m", "gpt-nope")
    expect(unknown.code).toBe(1)
    expect(unknown.stderr).toContain("codex: gpt-5.2-codex")
    expect((await run("explain")).code).toBe(64)
  })
})

describe("pollux credential", () => {
  test("lists, disables, enables, refreshes and clears", async () => {
    const list = await run("credential", "list", "--json")
    wellBehaved(list)
    expect(JSON.parse(list.stdout)).toMatchObject([
      { provider: "geminicli", id: 1 },
      { provider: "geminicli", id: 2 },
      { provider: "codex", id: 1 },
      { provider: "codex", id: 2 },
    ])
    const steps: readonly (readonly [string, string])[] = [
      ["disable", "codex:2 disabled, now disabled\n"],
      ["enable", "codex:2 enabled, now ready\n"],
      ["refresh", "codex:2 refreshed, now ready\n"],
    ]
    for (const [verb, said] of steps) {
      const done = await run("credential", verb, "2", "--provider", "codex")
      wellBehaved(done)
      expect([verb, done.stdout, done.code]).toEqual([verb, said, 0])
    }
    expect((await run("credential", "clear", "codex:1")).stdout).toBe("codex:1 cleared, now ready\n")
  })
  test("does not guess between two that have the same number", async () => {
    const asked = await run("credential", "disable", "1")
    expect(asked.code).toBe(64)
    expect(asked.stderr).toContain("  geminicli:1  ")
    expect(asked.stderr).toContain("  codex:1  ")
    expect((await run("credential", "list")).stdout).not.toContain("disabled")
  })
  test("does nothing when one of several is not there", async () => {
    const asked = await run("credential", "disable", "codex:1", "codex:99")
    expect(asked.code).toBe(1)
    expect(asked.stderr).toContain("there is no credential codex:99")
    expect((await run("credential", "list")).stdout).not.toContain("disabled")
  })
  test("says why a refresh failed", async () => {
    const account = world.openai.addAccount()
    const [id] = await addCredentials(world.pollux, "codex", [{ refresh_token: account.refreshToken }])
    world.openai.revoke(account)
    const failed = await run("credential", "refresh", `codex:${id}`, "--json")
    wellBehaved(failed)
    expect(failed.code).toBe(1)
    expect(failed.stderr).toStartWith(`codex:${id} not refreshed: `)
    expect(JSON.parse(failed.stdout)).toMatchObject([{ id: `codex:${id}`, ok: false }])
    expect((await run("credential", "remove", "--yes", `codex:${id}`)).stdout).toBe(`codex:${id} removed\n`)
  })
  test("removes only after a yes: by a person on a terminal, or by --yes", async () => {
    const account = world.openai.addAccount()
    const [id] = await addCredentials(world.pollux, "codex", [{ refresh_token: account.refreshToken }])
    const name = `codex:${id}`
    const unasked = await run("credential", "remove", name)
    expect(unasked.code).toBe(64)
    expect(unasked.stderr).toContain("--yes")
    for (const [keys, code] of [
      ["\r", 1],
      ["\x04", 1],
      ["n\r", 1],
      ["y\r", 0],
    ] as const) {
      expect((await run("credential", "list")).stdout).toContain(name)
      await using terminal = await cliOnTerminal(world.pollux, ["credential", "remove", name])
      await terminal.sees("[y/N]")
      expect(terminal.text()).toContain(name)
      terminal.type(keys)
      expect(await terminal.exited()).toMatchObject({ code })
    }
    expect((await run("credential", "list")).stdout).not.toContain(name)
  })
})

describe("help", () => {
  for (const { words, exits = [] } of commands) {
    test(`of ${words.join(" ")} begins with examples and ends with the exit codes`, async () => {
      const help = await cli(world.pollux, [...words, "--help"], { server: null })
      wellBehaved(help)
      expect(help.code).toBe(0)
      expect(help.stdout).toStartWith("Examples\n")
      expect(help.stdout).toMatch(/^Examples\n( .*pollux .*\n)+/)
      const codes = help.stdout.slice(help.stdout.indexOf("Exit codes"))
      for (const code of [0, 64, ...exits]) expect(codes).toMatch(new RegExp(`^ {2}${code} `, "m"))
    })
  }
})
