/** `pollux key rotate`: whatever is cut off where, a start with the file that is left works and no token is lost. */
import { afterEach, describe, expect, test } from "bun:test"
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "smol-toml"
import { capture } from "../../scripts/lib/capture.ts"
import { StartFailure } from "../support/binary.ts"
import { ensureBuilt } from "../support/build.ts"
import { type CliResult, cli } from "../support/cli.ts"
import { secret } from "../support/secrets.ts"
import { startWorld, type World, type WorldOptions } from "../support/world.ts"

const OLD = secret("1f".repeat(32))
const worlds: World[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]()
})

async function setUp(options: WorldOptions = {}): Promise<World> {
  const world = await startWorld({ accounts: 2, ...options })
  worlds.push(world)
  return world
}

const pathOf = ({ pollux }: World) => join(pollux.cwd, "config.toml")
const textOf = (world: World) => readFileSync(pathOf(world), "utf8")
const put = (world: World, text: string) => writeFileSync(pathOf(world), text, { mode: 0o600 })
const rotate = ({ pollux }: World, ...args: string[]): Promise<CliResult> => cli(pollux, ["key", "rotate", ...args])

/** Adds or replaces lines of [basic]; null takes one out. */
function withBasic(world: World, values: Readonly<Record<string, unknown>>): string {
  let text = textOf(world)
  for (const [key, value] of Object.entries(values)) {
    text = text.replace(new RegExp(`^${key} = .*\n`, "m"), "")
    if (value !== null) text = text.replace("[basic]\n", `[basic]\n${key} = ${JSON.stringify(value)}\n`)
  }
  return text
}

interface Keys {
  readonly key: string | null
  readonly previous: readonly string[]
}

function keysIn(world: World): Keys {
  const { encryption_key: key, previous_encryption_keys: previous } = Object(parse(textOf(world)).basic)
  if (typeof key === "string") secret(key)
  return { key: key ?? null, previous: previous ?? [] }
}

/** Whether any token of the fakes stands in the database's files as it is. */
function plainTokens({ pollux, openai, google }: World): boolean {
  const files = readdirSync(pollux.cwd).filter((name) => name.startsWith("data.db"))
  const text = files.map((name) => readFileSync(join(pollux.cwd, name)).toString("latin1")).join()
  const tokens = [...openai.accounts, ...google.accounts].map(({ refreshToken }) => refreshToken)
  return tokens.some((token) => text.includes(token))
}

/** Every credential of both providers is there and serves. */
async function serves({ pollux }: World): Promise<void> {
  for (const provider of ["codex", "geminicli"]) {
    const { credentials } = await (await pollux.api(`/${provider}/resource:list`)).json()
    expect(credentials.map(({ state }: { state: string }) => state)).toEqual(["ready", "ready"])
    for (const { id } of credentials) {
      const refreshed = await pollux.api(`/${provider}/resource:refresh`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ id }),
      })
      expect(refreshed.status).toBe(200)
    }
  }
  const answers = await Promise.all([1, 2, 3, 4].map(() => ask(pollux)))
  expect(answers).toEqual([200, 200, 200, 200])
}

async function ask(pollux: World["pollux"]): Promise<number> {
  const body = JSON.stringify({ model: "gpt-5.2-codex", input: "x" })
  const answer = await pollux.api("/codex/v1/responses", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  })
  await answer.text()
  return answer.status
}

/** Starts again with the file as it is now. */
const restart = (world: World, env: Readonly<Record<string, string>> = {}) =>
  world.pollux.restart({ config: textOf(world), env })

describe("a rotation", () => {
  test("begins to encrypt a plain database when asked to, and replaces the key after that, without a request failing", async () => {
    const world = await setUp()
    expect(plainTokens(world)).toBe(true)
    const unasked = await rotate(world)
    expect({ code: unasked.code, stderr: unasked.stderr }).toEqual({
      code: 78,
      stderr: expect.stringContaining("--enable"),
    })
    let going = true
    const statuses = new Set<number>()
    const traffic = Promise.all(
      [1, 2, 3].map(async () => {
        while (going) statuses.add(await ask(world.pollux))
      }),
    )
    const first = await rotate(world, "--enable")
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" })
    expect(plainTokens(world)).toBe(false)
    const one = keysIn(world)
    expect(one).toEqual({ key: expect.stringMatching(/^[0-9a-f]{64}$/), previous: [] })
    const second = await rotate(world)
    expect(second.code).toBe(0)
    going = false
    await traffic
    expect([...statuses]).toEqual([200])
    const two = keysIn(world)
    expect(two.previous).toEqual([])
    expect(two.key).not.toBe(one.key)
    await serves(world)
    await restart(world)
    await serves(world)
    expect([...first.leaks, ...second.leaks, ...world.pollux.leaks()]).toEqual([])

    await world.pollux.stop()
    put(world, withBasic(world, { encryption_key: one.key }))
    const failed = await restart(world).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(StartFailure)
    expect(Object(failed).code).toBe(78)
  })

  test("without a server is done by the next start, and finished then", async () => {
    const world = await setUp()
    await world.pollux.stop()
    put(world, withBasic(world, { encryption_key: OLD }))
    const { code, stdout } = await rotate(world)
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining("the next start brings every token under it"),
    })
    expect(keysIn(world).previous).toEqual([OLD])
    const early = await rotate(world, "--finish")
    expect(early.code).toBe(69)
    await restart(world)
    expect(plainTokens(world)).toBe(false)
    expect((await rotate(world, "--finish")).code).toBe(0)
    expect(keysIn(world).previous).toEqual([])
    expect((await rotate(world, "--finish")).stdout).toContain("holds no old keys")
    await restart(world)
    await serves(world)
  })

  test("that ends behind the writing of the file leaves a start that works", async () => {
    const world = await setUp()
    put(world, withBasic(world, { encryption_key: OLD }))
    await restart(world)
    const fresh = secret("2e".repeat(32))
    put(world, withBasic(world, { encryption_key: fresh, previous_encryption_keys: [OLD] }))
    await ask(world.pollux)
    await world.pollux.kill()
    await restart(world)
    await serves(world)
    expect((await rotate(world, "--finish")).code).toBe(0)
    expect(keysIn(world)).toEqual({ key: fresh, previous: [] })
  })

  for (const point of ["before_commit", "after_commit"]) {
    test(`whose server is killed ${point.replace("_", " the ")} leaves a start that works`, async () => {
      const world = await setUp({ program: "pollux-faults" })
      put(world, withBasic(world, { encryption_key: OLD }))
      // Passed once at the start already.
      await restart(world, { POLLUX_FAULT: `encrypt.${point}:2` })
      const { code, stderr } = await rotate(world)
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining("holds the new key and the old one"),
      })
      expect((await world.pollux.exited()).signal).toBe("SIGKILL")
      const { key, previous } = keysIn(world)
      expect(previous).toEqual([OLD])
      await restart(world)
      await serves(world)
      expect((await rotate(world, "--finish")).code).toBe(0)
      expect(keysIn(world)).toEqual({ key, previous: [] })
      await restart(world)
      await serves(world)
    })
  }

  test("gives the file back when the server runs with another one", async () => {
    const world = await setUp()
    const other = join(world.pollux.cwd, "other.toml")
    const text = withBasic(world, { encryption_key: OLD })
    writeFileSync(other, text, { mode: 0o600 })
    const { code, stderr } = await rotate(world, "--config", other)
    expect({ code, stderr }).toEqual({ code: 78, stderr: expect.stringContaining("runs with another configuration") })
    expect(readFileSync(other, "utf8")).toBe(text)
    writeFileSync(other, text.replace("[basic]\n", `[basic]\nprevious_encryption_keys = ["${"2e".repeat(32)}"]\n`))
    const finish = await rotate(world, "--finish", "--config", other)
    expect({ code: finish.code, stderr: finish.stderr }).toEqual({
      code: 78,
      stderr: expect.stringContaining("runs with another configuration"),
    })
    expect(readFileSync(other, "utf8")).toContain("previous_encryption_keys")
  })

  test("puts no key into a file without one that others read, such as the service of a user that systemd invents", async () => {
    const world = await setUp()
    const open = withBasic(world, { pollux_key: null })
    put(world, open)
    chmodSync(pathOf(world), 0o644)
    const env = { POLLUX_KEY: world.pollux.key }
    const result = await cli(world.pollux, ["key", "rotate", "--enable"], { env })
    expect(result.stderr).toContain("encryption_key")
    expect({ code: result.code, stdout: result.stdout, text: textOf(world) }).toEqual({
      code: 78,
      stdout: "",
      text: open,
    })
    expect(statSync(pathOf(world)).mode & 0o777).toBe(0o644)
  }, 30_000)

  test("of a key from the environment or a credential tells how to do it by hand", async () => {
    const world = await setUp()
    const before = textOf(world)
    const { code, stderr, leaks } = await cli(world.pollux, ["key", "rotate"], { env: { POLLUX_ENCRYPTION_KEY: OLD } })
    expect({ code, leaks }).toEqual({ code: 78, leaks: [] })
    expect(stderr).toContain("By hand:")
    expect(stderr).toContain("previous_encryption_keys")
    expect(textOf(world)).toBe(before)
    // And it works like that.
    await restart(world, { POLLUX_ENCRYPTION_KEY: OLD })
    await world.pollux.stop()
    put(world, withBasic(world, { previous_encryption_keys: [OLD] }))
    await restart(world, { POLLUX_ENCRYPTION_KEY: "2e".repeat(32) })
    await serves(world)
  })
})

describe("the encryption key in the file", () => {
  test("takes effect by a reload: on, replaced, and off again", async () => {
    const world = await setUp()
    const reload = async () => (await cli(world.pollux, ["reload"])).stdout
    put(world, withBasic(world, { encryption_key: OLD }))
    expect(await reload()).toBe("Reloaded. Now in use:\n  basic.encryption_key\n")
    expect(plainTokens(world)).toBe(false)
    await serves(world)
    put(world, withBasic(world, { encryption_key: "2e".repeat(32) }))
    expect(await reload()).toContain("basic.encryption_key")
    await serves(world)
    put(world, withBasic(world, { encryption_key: null }))
    expect(await reload()).toContain("basic.encryption_key")
    await serves(world)
    await restart(world)
    expect(plainTokens(world)).toBe(true)
    await serves(world)
    expect(world.pollux.leaks()).toEqual([])
  })

  test("when it was never that of the database, refuses the start with what is missing", async () => {
    const world = await setUp()
    await rotate(world, "--enable")
    await world.pollux.stop()
    const binary = await ensureBuilt()
    put(world, withBasic(world, { encryption_key: null }))
    const { code, output } = await capture([binary], { cwd: world.pollux.cwd, env: {}, timeout: 20_000 })
    expect({ code, output }).toEqual({ code: 78, output: expect.stringContaining("basic.encryption_key is not set") })
  })
})
