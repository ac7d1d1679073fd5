import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { parse } from "smol-toml"
import { findPositions, type Path } from "../../src/config/positions.ts"

/** A document written piece by piece, with the place of each key and value noted while it is written. */
class Writer {
  text = ""
  readonly keys = new Map<string, string>()
  readonly values = new Map<string, string>()

  put(text: string): void {
    this.text += text
  }

  private here(): string {
    const lines = this.text.split("\n")
    return `${lines.length}:${(lines.at(-1) ?? "").length + 1}`
  }

  key(path: Path): void {
    this.keys.set(JSON.stringify(path), this.here())
  }

  value(path: Path): void {
    this.values.set(JSON.stringify(path), this.here())
  }
}

type Value = string | { readonly items: readonly Value[] } | { readonly members: readonly (readonly [string, Value])[] }

const scalar = fc.constantFrom(
  "1",
  "-0x1F".replace("-", ""),
  "1.5e3",
  "true",
  "inf",
  "2027-01-31T00:00:00Z",
  "2027-01-31 00:00:00+01:00",
  '""',
  '"a # b = [c]"',
  '"\\"\\\\"',
  "'it \"is\" \\'",
  '"""one\n# two\n"quoted" """',
  '"""ends in two quotes"""""',
  "'''x\n]\n'''",
  '"日本 😀"',
)
const bare = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/)
const name = fc.oneof(bare, fc.constantFrom("a b", "x.y", "", 'q"q', "é", "#", "="))

const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }).map((items) => ({ items })),
    fc
      .uniqueArray(fc.tuple(name, tie("value")), { maxLength: 3, selector: ([key]) => key })
      .map((members) => ({ members })),
  ),
})).value

const gap = fc.constantFrom("", " ", "  ", "\t")
const lines = fc.constantFrom("", "\n", "\n# [comment] = 1\n", "   \n\n")

function writeKey(writer: Writer, key: string, quoting: number): void {
  const canBare = /^[A-Za-z0-9_-]+$/.test(key)
  const canLiteral = !key.includes("'")
  if (canBare && quoting % 3 === 0) writer.put(key)
  else if (canLiteral && quoting % 3 === 1) writer.put(`'${key}'`)
  else writer.put(JSON.stringify(key))
}

function writeValue(writer: Writer, path: Path, given: Value, space: string): void {
  writer.value(path)
  if (typeof given === "string") {
    writer.put(given)
  } else if ("items" in given) {
    writer.put("[")
    for (const [index, item] of given.items.entries()) {
      if (index > 0) writer.put(",")
      writer.put(space === "\t" ? "\n # ] in a comment\n  " : space)
      writer.key([...path, index])
      writeValue(writer, [...path, index], item, space)
      writer.put(space)
    }
    writer.put("]")
  } else {
    writer.put("{")
    for (const [index, [key, member]] of given.members.entries()) {
      if (index > 0) writer.put(",")
      writer.put(space)
      writer.key([...path, key])
      writeKey(writer, key, index)
      writer.put(`${space}=${space}`)
      writeValue(writer, [...path, key], member, space)
      writer.put(space)
    }
    writer.put("}")
  }
}

const pairs = fc.uniqueArray(fc.tuple(name, value, gap, lines, fc.nat(2)), { maxLength: 4, selector: ([key]) => key })
const section = fc.record({
  parts: fc.array(name, { minLength: 1, maxLength: 3 }),
  many: fc.boolean(),
  pairs,
  gap,
  lines,
})
const document = fc.record({ bom: fc.boolean(), top: pairs, sections: fc.array(section, { maxLength: 4 }) })

type Pairs = typeof pairs extends fc.Arbitrary<infer T> ? T : never

function writePairs(writer: Writer, at: Path, given: Pairs): void {
  for (const [key, item, space, before, quoting] of given) {
    writer.put(before)
    writer.put(space)
    writer.key([...at, key])
    writeKey(writer, key, quoting)
    writer.put(`${space}=${space}`)
    writeValue(writer, [...at, key], item, space)
    writer.put(quoting === 0 ? " # done\n" : "\n")
  }
}

function write(given: typeof document extends fc.Arbitrary<infer T> ? T : never): Writer {
  const writer = new Writer()
  if (given.bom) writer.put("\ufeff")
  writePairs(writer, [], given.top)
  const seen = new Map<string, number>()
  for (const [index, { parts, many, pairs: members, gap: space, lines: before }] of given.sections.entries()) {
    // Names of sections are their own, so that no document redefines a table.
    const path = [`section-${many ? 0 : index + 1}`, ...(many ? [] : parts.slice(1))]
    writer.put(before)
    const at: (string | number)[] = [...path]
    if (many) {
      const count = seen.get("many") ?? 0
      seen.set("many", count + 1)
      at.push(count)
    }
    writer.value(at)
    writer.put(many ? "[[" : "[")
    for (const [position, part] of path.entries()) {
      if (position > 0) writer.put(`${space}.${space}`)
      if (position === path.length - 1) writer.key(at)
      writeKey(writer, part, position)
    }
    writer.put(many ? "]]\n" : "]\n")
    writePairs(writer, at, members)
  }
  return writer
}

function show(place: { line: number; column: number }): string {
  return `${place.line}:${place.column}`
}

describe("the position finder", () => {
  test("finds every key and value of any document", () => {
    fc.assert(
      fc.property(document, (given) => {
        const writer = write(given)
        expect(() => parse(writer.text)).not.toThrow()
        const positions = findPositions(writer.text)
        for (const [path, place] of writer.keys)
          expect([path, show(positions.key(JSON.parse(path)))]).toEqual([path, place])
        for (const [path, place] of writer.values) {
          expect([path, show(positions.value(JSON.parse(path)))]).toEqual([path, place])
        }
      }),
      { numRuns: 600 },
    )
  })

  test("finds what dotted keys and headers make in any order", () => {
    const text = `a.b.c = 1
a.b."d e" = 2
[x.y]
z = 3
[x]
w.v = [ 4,
  { u = 5 } ]
[[l]]
n = 6
[l.sub]
m = 7
[[l]]
n = 8
`
    const { key, value } = findPositions(text)
    const where = (path: Path) => `${show(key(path))} ${show(value(path))}`
    expect(where(["a", "b", "c"])).toBe("1:5 1:9")
    expect(where(["a", "b", "d e"])).toBe("2:5 2:13")
    expect(where(["x", "y", "z"])).toBe("4:1 4:5")
    expect(where(["x"])).toBe("5:2 5:1")
    expect(where(["x", "w", "v"])).toBe("6:3 6:7")
    expect(where(["x", "w", "v", 0])).toBe("6:9 6:9")
    expect(where(["x", "w", "v", 1, "u"])).toBe("7:5 7:9")
    expect(where(["l", 0, "n"])).toBe("9:1 9:5")
    expect(where(["l", 0, "sub", "m"])).toBe("11:1 11:5")
    expect(where(["l", 1, "n"])).toBe("13:1 13:5")
  })

  test("gives the nearest table for what is not there", () => {
    const { value } = findPositions("\n[a]\nb = { c = 1 }\n")
    expect(show(value(["a", "nothing"]))).toBe("2:1")
    expect(show(value(["a", "b", "nothing", 3]))).toBe("3:5")
    expect(show(value(["nothing"]))).toBe("1:1")
  })

  test("comes to an end on any text, valid or not", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("[", "]", "{", "}", '"', "'", "=", ".", ",", "\\", "\n", "a", "#", " ")),
        (parts) => {
          findPositions(parts.join(""))
        },
      ),
      { numRuns: 2000 },
    )
  })
})
