import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { parse } from "smol-toml"
import { appendTable, removeTable, removeValue, setValue } from "../../src/config/edit.ts"
import { renderExample, renderInit } from "../../src/config/render.ts"

const FILE = `# My pool.
[basic]
pollux_key = "k" # keep it
listen_port = 1

# Ann's
[[keys]]
name = "ann" # laptop
# no limit
sha256 = "aa"

# Bob's
[[keys]]
name = "bob"
sha256 = "bb"
models = [
  "m1", # the big one
  "m2",
]

[providers.codex]
oauth_tps = 1
`

const comments = (text: string) => text.split("\n").filter((line) => line.trimStart().startsWith("#"))

describe("appending a table", () => {
  test("puts it at the end, behind a blank line", () => {
    expect(appendTable('[basic]\npollux_key = "k"', "keys", { name: "ci", requests_per_minute: 5 })).toBe(
      '[basic]\npollux_key = "k"\n\n[[keys]]\nname = "ci"\nrequests_per_minute = 5\n',
    )
  })

  test("writes a moment as a date that TOML knows, to the second", () => {
    const text = appendTable("", "keys", {
      models: ["a", "b"],
      expires: { moment: Date.UTC(2027, 0, 31, 4, 5, 6, 789) },
    })
    expect(text).toBe('[[keys]]\nmodels = ["a", "b"]\nexpires = 2027-01-31T04:05:06Z\n')
    expect(parse(text).keys).toMatchObject([{ models: ["a", "b"] }])
  })

  test("keeps the line ends of the file", () => {
    expect(appendTable("[basic]\r\n", "keys", { name: "ci" })).toBe('[basic]\r\n\r\n[[keys]]\r\nname = "ci"\r\n')
  })
})

describe("removing a table", () => {
  test("takes its own lines and the comments between them, and leaves all others", () => {
    const text = removeTable(FILE, "keys", 0)
    expect(text).toBe(
      FILE.replace(/\[\[keys\]\]\nname = "ann"[\s\S]*?"aa"\n\n/, "").replace("# Ann's\n", "# Ann's\n\n"),
    )
    expect(comments(text ?? "")).toEqual(["# My pool.", "# Ann's", "# Bob's"])
  })

  test("takes a value of several lines whole", () => {
    const text = removeTable(FILE, "keys", 1) ?? ""
    expect(text).not.toContain("m2")
    expect(text).toEndWith("# Bob's\n\n[providers.codex]\noauth_tps = 1\n")
  })

  test("between blank lines leaves one of them", () => {
    const [before, after] = ["[basic]\na = 1\n\n", "[other]\nb = 1\n"]
    expect(removeTable(`${before}[[keys]]\nname = "x"\n\n${after}`, "keys", 0)).toBe(before + after)
    const windows = `${before}[[keys]]\nname = "x"\n\n${after}`.replaceAll("\n", "\r\n")
    expect(removeTable(windows, "keys", 0)).toBe((before + after).replaceAll("\n", "\r\n"))
  })

  test("at the end leaves one line end", () => {
    expect(removeTable('[basic]\na = 1\n\n[[keys]]\nname = "x"\n', "keys", 0)).toBe("[basic]\na = 1\n")
    expect(removeTable('[[keys]]\nname = "x"', "keys", 0)).toBe("")
  })

  test("is refused where it has no header or is not there", () => {
    expect(removeTable('keys = [{ name = "x" }]\n', "keys", 0)).toBeNull()
    expect(removeTable(FILE, "keys", 2)).toBeNull()
    expect(removeTable("", "keys", 0)).toBeNull()
  })
})

describe("setting a value", () => {
  test("replaces the one that is there and nothing else, comment behind it included", () => {
    expect(setValue(FILE, "basic", "pollux_key", 'a"b')).toBe(FILE.replace('"k" #', String.raw`"a\"b" #`))
    expect(setValue(FILE, "providers.codex", "oauth_tps", 7)).toBe(FILE.replace("oauth_tps = 1", "oauth_tps = 7"))
  })

  test("replaces a list of several lines", () => {
    const text = setValue('[basic]\na = [\n  "x", # one\n  "y",\n] # list\nb = 1\n', "basic", "a", ["z"])
    expect(text).toBe('[basic]\na = ["z"] # list\nb = 1\n')
  })

  test("adds a new one behind the comment that shows it", () => {
    const text = setValue(renderInit({ key: "k".repeat(20) }), "basic", "encryption_key", "ab") ?? ""
    expect(text).toContain('# encryption_key = "64 hex digits"\nencryption_key = "ab"\n')
  })

  test("adds one that no comment shows at the end of its table, not of the next", () => {
    expect(setValue(FILE, "basic", "loglevel", "warn")).toBe(
      FILE.replace("listen_port = 1\n", 'listen_port = 1\nloglevel = "warn"\n'),
    )
    expect(setValue("[basic]", "basic", "a", 1)).toBe("[basic]\na = 1")
    expect(setValue("[basic] # mine\r\n\r\n[x]\r\n", "basic", "a", 1)).toBe("[basic] # mine\r\na = 1\r\n\r\n[x]\r\n")
  })

  test("does not take a comment of another table for its place", () => {
    expect(setValue("[basic]\nb = 1\n[other]\n# a = 2\n", "basic", "a", 1)).toBe(
      "[basic]\nb = 1\na = 1\n[other]\n# a = 2\n",
    )
  })

  test("is refused for a table without a header", () => {
    expect(setValue("basic = { a = 1 }\n", "basic", "b", 1)).toBeNull()
    expect(setValue("basic.a = 1\n", "basic", "b", 1)).toBeNull()
    expect(setValue("", "basic", "b", 1)).toBeNull()
    expect(setValue("basic = { a = 1 }\n", "basic", "a", 2)).toBe("basic = { a = 2 }\n")
  })
})

describe("removing a value", () => {
  test("takes its lines and leaves the rest", () => {
    expect(removeValue(FILE, ["basic", "listen_port"])).toBe(FILE.replace("listen_port = 1\n", ""))
    expect(removeValue(FILE, ["keys", 1, "models"])).toBe(FILE.replace(/models = \[[\s\S]*?\n\]\n/, ""))
    expect(removeValue("[basic]\na = 1", ["basic", "a"])).toBe("[basic]\n")
  })

  test("of a key that is not there changes nothing", () => {
    expect(removeValue(FILE, ["basic", "nothing"])).toBe(FILE)
  })
})

describe("over any file", () => {
  const value = fc.oneof(fc.string(), fc.integer({ min: -1000, max: 1000 }), fc.array(fc.string(), { maxLength: 3 }))
  const line = fc.oneof(
    fc.string({ maxLength: 12 }).map((text) => `# ${text.replace(/[\x00-\x1f\x7f]/g, "")}`),
    fc.constantFrom("", "  ", "[[keys]]", '  name = "x" # n', "list = [1,\n  2]", "text = '''\na\n[b]\n'''"),
  )
  const file = fc.array(line, { maxLength: 12 }).map((lines) => `[basic]\n${lines.join("\n")}\n`)
  const readable = file.filter((text) => {
    try {
      parse(text)
      return true
    } catch {
      return false
    }
  })
  const count = (text: string) => {
    const { keys } = parse(text)
    return Array.isArray(keys) ? keys.length : 0
  }

  test("what is appended is read back, and removing it gives the file back", () => {
    fc.assert(
      fc.property(readable, value, (text, given) => {
        const longer = appendTable(text, "keys", { name: "new", value: given })
        const index = count(text)
        const { keys } = parse(longer)
        expect(Array.isArray(keys) ? keys[index] : null).toEqual({ name: "new", value: given })
        expect(removeTable(longer, "keys", index)?.trimEnd()).toBe(text.trimEnd())
      }),
    )
  })

  test("a value that is set is read back, and removing it gives the file back", () => {
    fc.assert(
      fc.property(readable, value, (text, given) => {
        const longer = setValue(text, "basic", "extra", given)
        if (longer === null) throw new Error("refused")
        const before = parse(text)
        expect(parse(longer)).toEqual({ ...before, basic: { ...Object(before.basic), extra: given } })
        expect(parse(removeValue(longer, ["basic", "extra"]))).toEqual(before)
        for (const comment of comments(text)) expect(longer).toContain(comment)
      }),
    )
  })

  test("removing any table leaves the others", () => {
    fc.assert(
      fc.property(readable, fc.nat(3), (text, index) => {
        const shorter = removeTable(text, "keys", index)
        if (index >= count(text)) return expect(shorter).toBeNull()
        const { keys } = parse(text)
        const left = Array.isArray(keys) ? keys.toSpliced(index, 1) : []
        expect(parse(shorter ?? "").keys ?? []).toEqual(left)
      }),
    )
  })

  test("the example takes every change", () => {
    const text = setValue(renderExample(), "basic", "previous_encryption_keys", ["ab"]) ?? ""
    expect(parse(text)).toMatchObject({ basic: { previous_encryption_keys: ["ab"] } })
    expect(removeValue(text, ["basic", "previous_encryption_keys"])).toBe(renderExample())
  })
})
