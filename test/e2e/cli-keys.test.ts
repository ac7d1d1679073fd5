/** Client keys from `pollux key add` to their end, on the compiled executable. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "smol-toml"
import { capture } from "../../scripts/lib/capture.ts"
import { ensureBuilt } from "../support/build.ts"
import { type CliResult, cli } from "../support/cli.ts"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

const MODEL = "gpt-5.2-codex"

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
const configText = () => readFileSync(configPath, "utf8")

/** Commands that take no `--server`. */
async function local(...args: string[]) {
  return capture([await ensureBuilt(), ...args], { cwd: world.pollux.cwd, env: { HOME: world.pollux.cwd, TZ: "UTC" } })
}

/** Makes a key; its text. */
async function add(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await pollux("key", "add", ...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("has taken the change.") })
  return secret(stdout.trim())
}

function ask(key: string, body: unknown = { model: MODEL, input: "Say hello." }, path = "/codex/v1/responses") {
  return world.pollux.api(path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  })
}

describe("pollux key add", () => {
  test("shows the key once, keeps its hash alone, and the running server takes it at once", async () => {
    const before = configText()
    const key = await add("laptop")
    expect(key).toMatch(/^plx_[\w-]{43}$/)
    expect(configText()).toStartWith(before.trimEnd())
    expect(configText()).not.toContain(key)
    expect(parse(configText()).keys).toEqual([
      { name: "laptop", sha256: new Bun.CryptoHasher("sha256").update(key).digest("hex") },
    ])
    expect((await ask(key)).status).toBe(200)
  })

  test("leaves the file to its owner alone, with nothing beside it, also when it was wider before", async () => {
    chmodSync(configPath, 0o644)
    await add("narrow")
    expect(statSync(configPath).mode & 0o777).toBe(0o600)
    expect(readdirSync(world.pollux.cwd).filter((name) => name.startsWith(".config"))).toEqual([])
  })

  test("changes the file that a link names, and not the link", async () => {
    const link = join(world.pollux.cwd, "linked.toml")
    symlinkSync("config.toml", link)
    const { code } = await pollux("key", "add", "by-link", "--config", link)
    expect(code).toBe(0)
    expect(configText()).toContain('name = "by-link"')
    expect((await local("key", "list", "--config", link)).stdout).toContain("by-link")
  })

  test("prints JSON for a program", async () => {
    const { stdout } = await pollux("key", "add", "program", "--rpm", "5", "--expires", "2099-01-01", "--json")
    const shown = JSON.parse(stdout)
    secret(shown.key)
    expect(shown).toMatchObject({
      name: "program",
      state: "active",
      models: null,
      requests_per_minute: 5,
      expires: "2099-01-01T00:00:00.000Z",
      server: "reloaded",
    })
  })

  test("warns of a model that no provider lists", async () => {
    const { stdout, stderr } = await pollux("key", "add", "typo", "--models", "gpt-5.2-codx")
    secret(stdout.trim())
    expect(stderr).toContain('no provider lists "gpt-5.2-codx"')
  })

  const refused: readonly (readonly [args: readonly string[], problem: string])[] = [
    [["laptop"], 'the name "laptop" is taken'],
    [["admin"], 'the name "admin" is taken'],
    [["two words"], "NAME: expected"],
    [["x", "--rpm", "none"], "--rpm: expected an integer"],
    [["x", "--expires", "2020-01-01"], "--expires: that is in the past"],
    [[], "NAME is missing"],
  ]
  for (const [args, problem] of refused) {
    test(`refuses ${JSON.stringify(args)} and changes nothing`, async () => {
      const before = configText()
      const { code, stdout, stderr } = await pollux("key", "add", ...args)
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" })
      expect(stderr).toContain(problem)
      expect(configText()).toBe(before)
    })
  }

  test("changes no file that has a problem, or whose keys are written inline", async () => {
    for (const text of [
      '[basic]\npollux_key = "k"\nlisten_port = "x"\n',
      `keys = [{ name = "a", sha256 = "${"0".repeat(64)}" }]\n[basic]\npollux_key = "0123456789abcdef"\n`,
    ]) {
      const path = join(world.pollux.cwd, "other.toml")
      writeFileSync(path, text, { mode: 0o600 })
      const { code, stdout } = await pollux("key", "add", "b", "--config", path)
      expect({ code, stdout, text: readFileSync(path, "utf8") }).toEqual({ code: 78, stdout: "", text })
    }
  })
})

describe("a client key", () => {
  test("opens its models only, in both APIs and in their lists", async () => {
    const key = await add("one-model", "--models", MODEL)
    expect((await ask(key)).status).toBe(200)
    const other = await ask(key, { model: "gpt-5.2", input: "x" })
    expect(other.status).toBeGreaterThanOrEqual(400)
    expect(other.status).toBeLessThan(500)
    const body = { contents: [{ role: "user", parts: [{ text: "x" }] }] }
    const gemini = await ask(key, body, "/geminicli/v1beta/models/gemini-2.5-pro:generateContent")
    expect(gemini.status).toBeGreaterThanOrEqual(400)
    expect(gemini.status).toBeLessThan(500)
    const headers = { authorization: `Bearer ${key}` }
    const models = await (await world.pollux.api("/codex/v1/models", { headers })).json()
    expect(models.data.map(({ id }: { id: string }) => id)).toEqual([MODEL])
    const none = await (await world.pollux.api("/geminicli/v1beta/models", { headers })).json()
    expect(none.models ?? []).toEqual([])
  })

  test("over its limit is asked to come back, in the shape of the API, and opens again for nobody else's sake", async () => {
    const key = await add("slow", "--rpm", "2")
    const statuses = [(await ask(key)).status, (await ask(key)).status]
    const third = await ask(key)
    expect([...statuses, third.status]).toEqual([200, 200, 429])
    const wait = Number(third.headers.get("retry-after"))
    expect(wait).toBeGreaterThanOrEqual(1)
    expect(wait).toBeLessThanOrEqual(60)
    expect((await third.json()).error.message).toContain("2 requests a minute")
    const body = { contents: [{ role: "user", parts: [{ text: "x" }] }] }
    const google = await ask(key, body, "/geminicli/v1beta/models/gemini-2.5-pro:generateContent")
    expect([google.status, (await google.json()).error.status]).toEqual([429, "RESOURCE_EXHAUSTED"])
    expect((await ask(world.pollux.key)).status).toBe(200)
  })

  test("is refused once it has expired", async () => {
    const key = await add("brief", "--expires", new Date(Date.now() + 1_500).toISOString())
    expect((await ask(key)).status).toBe(200)
    await Bun.sleep(2_600)
    expect((await ask(key)).status).toBe(401)
    expect((await local("key", "list")).stdout).toMatch(/brief\s+expired/)
  })

  test("never reaches an admin verb, nor what only operators see", async () => {
    const key = await add("nobody")
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" }
    const verbs = ["list", "add", "remove", "disable", "enable", "refresh", "clear", "explain"]
    const paths = [
      ...verbs.map((verb) => [verb === "list" ? "GET" : "POST", `/codex/resource:${verb}`]),
      ["GET", "/codex/resource:watch"],
      ["POST", "/codex/login"],
      ["POST", "/reload"],
      ["GET", "/usage"],
      ["GET", "/metrics"],
    ] as const
    const answers = await Promise.all(
      paths.map(async ([method, path]) => {
        const body = method === "POST" ? JSON.stringify([{ refresh_token: "x" }]) : null
        return [path, (await world.pollux.api(path ?? "", { method: method ?? "GET", headers, body })).status]
      }),
    )
    expect(answers.filter(([, status]) => status !== 403)).toEqual([])
  })

  test("is named in the log, in the metrics and in the usage, and shown nowhere", async () => {
    const key = await add("named")
    await (await ask(key)).text()
    const lines = () => world.pollux.log().filter(({ event, key: name }) => event === "request" && name === "named")
    await until("the log names the key", () => lines().length > 0)
    expect(lines()).toMatchObject([{ path: "/codex/v1/responses", status: 200 }])
    expect(await (await world.pollux.api("/metrics")).text()).toMatch(/pollux_requests_total\{[^}]*"named"[^}]*\} 1/)
    const { stdout, leaks } = await pollux("usage", "--by", "key")
    expect(stdout).toMatch(/^named\s+1\s/m)
    expect([...leaks, ...world.pollux.leaks()]).toEqual([])
  })
})

describe("pollux key revoke", () => {
  test("takes the key out of the file, comments kept, and the server refuses it at once", async () => {
    const key = await add("short-lived")
    writeFileSync(configPath, `${configText()}\n# The end.\n`)
    const { code, stderr } = await pollux("key", "revoke", "short-lived")
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('Took "short-lived" out') })
    expect(configText()).not.toContain("short-lived")
    expect(configText()).toContain("# The end.")
    expect((await ask(key)).status).toBe(401)
  })

  test("names the keys that there are when it is given another one", async () => {
    const { code, stderr } = await pollux("key", "revoke", "laptp")
    expect({ code, stderr }).toEqual({
      code: 65,
      stderr: expect.stringMatching(/no client key "laptp"; it has .*laptop/),
    })
  })

  test("says that the key still opens a server which does not take the change", async () => {
    await add("stubborn")
    const other = join(world.pollux.cwd, "wrong-key.toml")
    writeFileSync(other, configText().replace(/^pollux_key = .*$/m, 'pollux_key = "not-that-of-the-server"'), {
      mode: 0o600,
    })
    const { code, stderr } = await pollux("key", "revoke", "stubborn", "--config", other)
    expect(code).toBe(1)
    expect(stderr).toContain("the running server has not taken it")
    expect(stderr).toContain("The key still opens it until then")
  })
})

test("a server that runs with another file is not said to have taken the change", async () => {
  const other = join(world.pollux.cwd, "copy.toml")
  writeFileSync(other, configText(), { mode: 0o600 })
  const { code, stdout, stderr } = await pollux("key", "add", "elsewhere", "--config", other)
  secret(stdout.trim())
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("runs with another configuration") })
})

describe("without a server", () => {
  test("a key is added all the same, for the next start", async () => {
    const { pollux: stopped } = world
    const args = ["key", "add", "offline", "--server", "http://127.0.0.1:1"]
    const { code, stdout, stderr } = await local(...args)
    const key = secret(stdout.trim())
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining("No server answers at http://127.0.0.1:1: the next start takes the change."),
    })
    expect((await ask(key)).status).toBe(401)
    expect((await pollux("reload")).stdout).toBe("Reloaded. Now in use:\n  keys\n")
    expect((await ask(key)).status).toBe(200)
    expect(existsSync(join(stopped.cwd, "config.toml"))).toBe(true)
  })
})

test("every command of the group has help that begins with examples", async () => {
  for (const words of [["key"], ["key", "add"], ["key", "list"], ["key", "revoke"], ["key", "rotate"]]) {
    const { code, stdout } = await local(...words, "--help")
    expect({ code, head: stdout.split("\n")[0] }).toEqual({ code: 0, head: "Examples" })
  }
})

test("the list is JSON for a program, and says so when there are none", async () => {
  const listed = JSON.parse((await local("key", "list", "--json")).stdout)
  expect(listed.keys[0]).toEqual({
    name: "laptop",
    state: "active",
    models: null,
    requests_per_minute: null,
    expires: null,
  })
  const path = join(world.pollux.cwd, "plain.toml")
  writeFileSync(path, '[basic]\npollux_key = "0123456789abcdef"\n', { mode: 0o600 })
  expect((await local("key", "list", "--config", path)).stdout).toContain(
    "has no client keys; `pollux key add NAME` makes one.",
  )
})
