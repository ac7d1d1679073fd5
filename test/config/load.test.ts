import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadConfig } from "../../src/config/load.ts"

const KEY = "a-key-of-some-length"
const QUIET = `[basic]\nlisten_addr = "127.0.0.1"\n`
let root: string
let cwd: string
let count = 0

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "pollux-config-"))
})
afterAll(() => rmSync(root, { recursive: true }))
beforeEach(() => {
  count += 1
  cwd = join(root, String(count))
  mkdirSync(cwd)
})

function put(name: string, text: string | Uint8Array, mode = 0o600): string {
  const path = join(cwd, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const load = (env: Record<string, string> = {}, explicitPath: string | null = null) =>
  loadConfig({ explicitPath, env, cwd })

function keyOf(loaded: ReturnType<typeof loadConfig>): string {
  return loaded.ok ? loaded.config.basic.polluxKey : loaded.problems.join("\n")
}

describe("the configuration file", () => {
  test("is the one named, else that of POLLUX_CONFIG, else config.toml in the working directory", () => {
    put("config.toml", `${QUIET}pollux_key = "${KEY}-own"`)
    put("b.toml", `${QUIET}pollux_key = "${KEY}-env"`)
    put("c.toml", `${QUIET}pollux_key = "${KEY}-named"`)
    expect(keyOf(load())).toBe(`${KEY}-own`)
    expect(keyOf(load({ POLLUX_CONFIG: "" }))).toBe(`${KEY}-own`)
    expect(keyOf(load({ POLLUX_CONFIG: "b.toml" }))).toBe(`${KEY}-env`)
    expect(keyOf(load({ POLLUX_CONFIG: "b.toml" }, "c.toml"))).toBe(`${KEY}-named`)
    const absolute = load({}, join(cwd, "c.toml"))
    expect(absolute).toMatchObject({ ok: true, path: join(cwd, "c.toml"), warnings: [] })
  })

  test("that is missing is told apart, and the message says how to make one", () => {
    const loaded = load()
    expect(loaded).toMatchObject({ ok: false, missing: true, path: join(cwd, "config.toml") })
    expect(keyOf(loaded)).toContain(`no config.toml in ${cwd}`)
    expect(keyOf(loaded)).toContain("`pollux init`")
    expect(load({ POLLUX_KEY: KEY }, "other.toml")).toMatchObject({ ok: false, missing: true })
  })

  test("that cannot be read says why", () => {
    mkdirSync(join(cwd, "config.toml"))
    expect(load()).toMatchObject({ ok: false, missing: false })
    expect(keyOf(load())).toBe("config.toml: cannot be read: it is a directory")
    put("latin1.toml", new Uint8Array([0x23, 0xe9, 0x0a]))
    expect(keyOf(load({}, "latin1.toml"))).toBe("latin1.toml:1:1 expected UTF-8 text, got other bytes")
  })

  test("is named in problems as it was given", () => {
    put("odd.toml", "[basic]\nlisten_port = -1\n")
    expect(keyOf(load({}, "odd.toml"))).toBe(
      "odd.toml:1:1 basic.pollux_key: expected string or number, got nothing\nodd.toml:2:15 basic.listen_port: expected an integer from 0 to 65535, got -1",
    )
  })

  test("is warned about when it holds a key and others may read it, and only then", () => {
    for (const [mode, warned] of [
      [0o600, false],
      [0o400, false],
      [0o640, true],
      [0o644, true],
    ] as const) {
      const path = put("config.toml", `${QUIET}pollux_key = "${KEY}"`, mode)
      const loaded = load()
      const warning = `config.toml: holds a key, but its mode 0${mode.toString(8)} lets other users in; run: chmod 600 ${path}`
      expect(loaded.ok && loaded.warnings).toEqual(warned ? [warning] : [])
    }
    put("config.toml", QUIET, 0o644)
    expect(load({ POLLUX_KEY: KEY })).toMatchObject({ ok: true, warnings: [] })
  })
})

describe("a key from outside the file", () => {
  test("comes from the environment, else from the service manager's directory", () => {
    put("config.toml", QUIET)
    put("pollux_key", `${KEY}-file\n`)
    put("admin_key", "another-key-of-some-length\n")
    put("encryption_key", `${"ab".repeat(32)}\n`)
    const directory = { CREDENTIALS_DIRECTORY: cwd }
    expect(keyOf(load(directory))).toBe(`${KEY}-file`)
    expect(keyOf(load({ ...directory, POLLUX_KEY: `${KEY}-env` }))).toBe(`${KEY}-env`)
    expect(keyOf(load({ ...directory, POLLUX_KEY: " " }))).toBe(`${KEY}-file`)
    const loaded = load(directory)
    expect(loaded.ok && loaded.config.basic).toMatchObject({
      adminKey: "another-key-of-some-length",
      encryptionKey: "ab".repeat(32),
    })
    const env = { POLLUX_KEY: KEY, POLLUX_ADMIN_KEY: "from-the-environment", POLLUX_ENCRYPTION_KEY: "cd".repeat(32) }
    const other = load(env)
    expect(other.ok && other.config.basic).toMatchObject({
      adminKey: "from-the-environment",
      encryptionKey: "cd".repeat(32),
    })
  })

  test("does not beat the file's own", () => {
    put("config.toml", `${QUIET}pollux_key = "${KEY}"`)
    expect(keyOf(load({ POLLUX_KEY: "something-else-entirely" }))).toBe(KEY)
  })

  test("that is not there, or empty, leaves the file's problem", () => {
    put("config.toml", QUIET)
    put("pollux_key", "\n")
    expect(keyOf(load({ CREDENTIALS_DIRECTORY: cwd }))).toContain("basic.pollux_key: expected")
    expect(keyOf(load({ CREDENTIALS_DIRECTORY: join(cwd, "nowhere") }))).toContain("basic.pollux_key: expected")
  })

  test("that cannot be read is a problem of its own", () => {
    put("config.toml", QUIET)
    mkdirSync(join(cwd, "pollux_key"))
    expect(keyOf(load({ CREDENTIALS_DIRECTORY: cwd }))).toContain(
      "pollux_key: expected a readable file, got an error: it is a directory",
    )
  })
})
