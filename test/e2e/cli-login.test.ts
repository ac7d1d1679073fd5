import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { cli, cliOnTerminal, type Interactive } from "../support/cli.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
/** A folder with an `xdg-open` that writes down what it is to open. */
let bin = ""
let opened = ""

beforeAll(async () => {
  world = await startWorld({ accounts: 0 })
  bin = join(world.pollux.cwd, "bin")
  opened = join(world.pollux.cwd, "opened")
  mkdirSync(bin)
  writeFileSync(join(bin, "xdg-open"), `#!/bin/sh\nprintf '%s' "$1" > '${opened}'\n`)
  chmodSync(join(bin, "xdg-open"), 0o755)
})
afterAll(() => world?.[Symbol.asyncDispose]())

/** A login on a terminal wide enough that no address is cut. */
const login = (args: readonly string[], env: Record<string, string> = {}) =>
  cliOnTerminal(world.pollux, ["login", ...args], { columns: 2_000, env })

async function shownUrl(terminal: Interactive): Promise<string> {
  await terminal.sees(/https?:\/\/\S+state=\S+\s/)
  return /https?:\/\/\S+state=\S+/.exec(terminal.text())?.[0] ?? ""
}

async function listed(provider: string): Promise<readonly Record<string, unknown>[]> {
  return Object(await (await world.pollux.api(`/${provider}/resource:list`)).json()).credentials
}

describe("pollux login codex", () => {
  test("opens the browser, receives it back, and shows the credential", async () => {
    world.openai.visit(world.openai.addAccount({ email: "ada.lovelace@example.com" }))
    await using terminal = await login(["codex"], { DISPLAY: ":0", PATH: `${bin}:${process.env.PATH}` })
    const url = await shownUrl(terminal)
    await until("the browser is opened", () => existsSync(opened) && readFileSync(opened, "utf8") === url)
    expect(new URL(new URL(url).searchParams.get("redirect_uri") ?? "").port).toMatch(/^145[57]$/)
    const page = await fetch(url)
    expect(page.status).toBe(202)
    expect(await page.text()).toContain("Success")
    expect(await terminal.exited()).toMatchObject({ code: 0 })
    expect(terminal.text()).toMatch(/Added codex:1: a\*\*\*@\S+, .*, plus, ready\.\n/)
    expect(terminal.text()).not.toContain("ada.lovelace")
    expect(await listed("codex")).toMatchObject([{ id: 1, state: "ready" }])
  })

  test("says why when the provider refused, and adds nothing", async () => {
    world.openai.visit(null)
    const before = await listed("codex")
    await using terminal = await login(["codex", "--json"])
    const page = await fetch(await shownUrl(terminal))
    expect(page.status).toBe(403)
    expect(await terminal.exited()).toMatchObject({ code: 1 })
    expect(terminal.text()).toContain('"ok": false')
    expect(terminal.text()).toContain("(AUTHORIZATION_REFUSED)")
    expect(await listed("codex")).toEqual([...before])
  })

  test("--device shows a code, and is done when it was typed in elsewhere", async () => {
    const account = world.openai.addAccount({ email: "grace.hopper@example.com" })
    await using terminal = await login(["codex", "--device"])
    await terminal.sees("Waiting for the login")
    const code = /^ {2}([0-9A-F-]{8,})$/m.exec(terminal.text())?.[1] ?? ""
    expect(world.openai.approveDevice(code, account)).toBe(true)
    expect(await terminal.exited()).toMatchObject({ code: 0 })
    expect(terminal.text()).toMatch(/Added codex:2: g\*\*\*@/)
  }, 20_000)
})

describe("pollux login geminicli", () => {
  test("is received by the server, and names the project that was asked for", async () => {
    world.google.signIn(world.google.addAccount({ userProjects: ["my-project-1"], project: null }))
    await using terminal = await login(["geminicli", "--project", "my-project-1"])
    const url = await shownUrl(terminal)
    expect(new URL(url).searchParams.get("redirect_uri")).toStartWith(world.pollux.url)
    expect((await fetch(url)).status).toBe(202)
    expect(await terminal.exited()).toMatchObject({ code: 0 })
    expect(terminal.text()).toMatch(/Added geminicli:1: \S+@\S+, my-project-1, \S+, ready\.\n/)
  })

  test("--paste takes the address by hand, and asks again for what is none", async () => {
    world.google.signIn(world.google.addAccount())
    await using terminal = await login(["geminicli", "--paste", "--json"])
    const url = await shownUrl(terminal)
    const location = (await fetch(url, { redirect: "manual" })).headers.get("location") ?? ""
    await terminal.sees("Address:")
    terminal.type("what?\r")
    await terminal.sees("holds no code and state")
    terminal.type(`${location}\r`)
    expect(await terminal.exited()).toMatchObject({ code: 0 })
    const json = terminal.text().slice(terminal.text().indexOf("\n{") + 1)
    expect(JSON.parse(json)).toMatchObject({ ok: true, provider: "geminicli", id: 2, credential: { state: "ready" } })
  })

  test("over SSH opens nothing, and says how the browser finds its way back", async () => {
    const env = { DISPLAY: ":0", PATH: `${bin}:${process.env.PATH}`, SSH_CONNECTION: "192.0.2.1 50000 192.0.2.2 2222" }
    writeFileSync(opened, "")
    await using terminal = await login(["geminicli"], env)
    const { port } = new URL(world.pollux.url)
    await terminal.sees(`ssh -N -L ${port}:localhost:${port} -p 2222 192.0.2.2`)
    await terminal.sees("Waiting")
    expect(readFileSync(opened, "utf8")).toBe("")
    terminal.type("\x03")
    expect(await terminal.exited()).toEqual({ code: null, signal: "SIGINT" })
  })

  test("ends when the server does, which need not wait for it", async () => {
    await using terminal = await login(["geminicli"])
    await terminal.sees("Waiting")
    // Its question follows at once; where it comes too late all the same, nobody is there to be asked.
    await Bun.sleep(500)
    await world.pollux.stop()
    const { code } = await terminal.exited()
    expect([1, 69]).toContain(code ?? 0)
    expect(terminal.text()).toContain(
      code === 1 ? "Pollux was stopped before the login was finished" : "no server answers",
    )
    await world.pollux.restart()
  })
})

describe("pollux login refuses before anything is begun:", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["a project's number", ["geminicli", "--project", "123456"], "give its id, which has letters in it"],
    ["a project for codex", ["codex", "--project", "my-project"], "--project is for geminicli"],
    ["a device login that there is not", ["geminicli", "--device"], "geminicli has no device login"],
    ["two ways at once", ["codex", "--device", "--paste"], "exclude each other"],
    ["a provider with a slip", ["codx"], 'did you mean "codex"?'],
    ["no provider", [], "PROVIDER is missing"],
  ]
  for (const [what, args, message] of cases) {
    test(what, async () => {
      const refused = await cli(world.pollux, ["login", ...args])
      expect(refused.code).toBe(64)
      expect(refused.stderr).toContain(message)
      expect(refused.leaks).toEqual([])
    })
  }
})
