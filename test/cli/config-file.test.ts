import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigFileError, openConfigFile, replaceConfigFile } from "../../src/cli/config-file.ts"
import { appendTable, setValue } from "../../src/config/edit.ts"

const TEXT = '# mine\n[basic]\npollux_key = "0123456789abcdef"\nlisten_addr = "127.0.0.1"\n'

let cwd: string
let path: string
const io = () => ({ env: {}, cwd })
const read = () => readFileSync(path, "utf8")

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "pollux-config-"))
  path = join(cwd, "config.toml")
  writeFileSync(path, TEXT, { mode: 0o600 })
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

function failure(work: () => unknown): ConfigFileError {
  try {
    work()
  } catch (error) {
    if (error instanceof ConfigFileError) return error
    throw error
  }
  throw new Error("nothing was thrown")
}

describe("replacing a configuration", () => {
  test("puts the new text in place with mode 0600 and leaves nothing beside it", () => {
    chmodSync(path, 0o644)
    const file = openConfigFile(null, io())
    const text = setValue(file.text, "basic", "loglevel", "warn")
    const changed = replaceConfigFile(file, text, ["basic.loglevel"], io())
    expect(changed.config.basic.logLevel).toBe("warn")
    expect(read()).toBe(`${TEXT}loglevel = "warn"\n`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(cwd)).toEqual(["config.toml"])
  })

  test("lets those read it who could, as long as no key is in it", () => {
    const outside = { env: { POLLUX_KEY: "a-key-from-outside-0123" }, cwd }
    writeFileSync(path, "[basic]\nlisten_port = 8188\n")
    chmodSync(path, 0o644)
    const file = openConfigFile(null, outside)
    const changed = replaceConfigFile(file, `${file.text}loglevel = "warn"\n`, ["basic.loglevel"], outside)
    expect(statSync(path).mode & 0o777).toBe(0o644)
    const keyed = `${changed.text}admin_key = "another-key-in-it-0123"\n`
    replaceConfigFile(changed, keyed, ["basic.admin_key"], outside)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test("leaves a file with a key to a group that has it to itself, which may be the service's", () => {
    chmodSync(path, 0o640)
    const file = openConfigFile(null, io())
    replaceConfigFile(file, setValue(file.text, "basic", "loglevel", "warn"), ["basic.loglevel"], io())
    expect(statSync(path).mode & 0o777).toBe(0o640)
  })

  test("keeps the owner, so that an administrator's change takes it from nobody", () => {
    const [uid, gid] = process.getuid?.() === 0 ? [1234, 2345] : [statSync(path).uid, statSync(path).gid]
    chownSync(path, uid, gid)
    const file = openConfigFile(null, io())
    replaceConfigFile(file, setValue(file.text, "basic", "loglevel", "warn"), ["basic.loglevel"], io())
    expect(statSync(path)).toMatchObject({ uid, gid })
  })

  test("follows a link to the file and keeps the link", () => {
    const link = join(cwd, "link.toml")
    symlinkSync("config.toml", link)
    const file = openConfigFile("link.toml", io())
    replaceConfigFile(file, setValue(file.text, "basic", "loglevel", "warn"), ["basic.loglevel"], io())
    expect(read()).toContain("warn")
    expect(readFileSync(link, "utf8")).toBe(read())
  })

  const refused: readonly (readonly [what: string, edit: (text: string) => string | null, says: string])[] = [
    ["has no place in the file", () => null, "its tables are written inline"],
    ["makes it wrong", (text) => setValue(text, "basic", "loglevel", "loud"), "would make it wrong"],
    ["makes it no TOML at all", (text) => `${text}[`, "would make it wrong"],
    ["touches something else too", (text) => text.replace("127.0.0.1", "0.0.0.0"), "would touch basic.listen_addr too"],
  ]
  for (const [what, edit, says] of refused) {
    test(`is refused when the change ${what}`, () => {
      const file = openConfigFile(null, io())
      const error = failure(() => replaceConfigFile(file, edit(file.text), ["basic.loglevel"], io()))
      expect(error.message).toContain(says)
      expect(error.message).toContain("change basic.loglevel by hand")
      expect({ code: error.exitCode, text: read(), files: readdirSync(cwd) }).toEqual({
        code: 78,
        text: TEXT,
        files: ["config.toml"],
      })
    })
  }

  test("is refused when somebody else has changed the file meanwhile", () => {
    const file = openConfigFile(null, io())
    writeFileSync(path, `${TEXT}# theirs\n`)
    const text = appendTable(file.text, "keys", { name: "a", sha256: "0".repeat(64) })
    const error = failure(() => replaceConfigFile(file, text, ["keys"], io()))
    expect({ code: error.exitCode, text: read(), files: readdirSync(cwd) }).toEqual({
      code: 75,
      text: `${TEXT}# theirs\n`,
      files: ["config.toml"],
    })
    expect(error.message).toContain("was changed by somebody else meanwhile")
  })

  test("says what failed when the file cannot be written", () => {
    const file = openConfigFile(null, io())
    rmSync(cwd, { recursive: true })
    const error = failure(() => replaceConfigFile(file, `${TEXT}# more\n`, [], io()))
    expect({ code: error.exitCode, message: error.message }).toEqual({
      code: 73,
      message: expect.stringContaining("nothing was changed"),
    })
  })
})

test("a configuration that has problems is not opened for a change", () => {
  writeFileSync(path, `${TEXT}loglevel = "loud"\nlisten_prt = 1\n`)
  const error = failure(() => openConfigFile(null, io()))
  expect(error.exitCode).toBe(78)
  expect(error.message.split("\n")).toHaveLength(2)
  rmSync(path)
  expect(failure(() => openConfigFile(null, io())).message).toContain("pollux init")
})
