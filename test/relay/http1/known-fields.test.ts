import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { parseFields } from "../../../src/relay/http1/field-lines.ts"
import { KnownFields } from "../../../src/relay/http1/known-fields.ts"
import { heapBytes } from "../../support/heap.ts"

const FIRST = "GET / HTTP/1.1"
const fieldsOf = (lines: readonly string[], known: KnownFields) =>
  parseFields([FIRST, ...lines].join("\r\n"), FIRST.length, known).fields

describe("fields that are remembered", () => {
  test("change nothing of what is read, whatever came before", () => {
    const letter = fc.constantFrom("a", "A", "b", "-")
    const usual = ["host", "Host", "HOST", "hosts", "content-type", "Content-Type", "user-agent", "x-key", "accept"]
    const name = fc.oneof(fc.constantFrom(...usual), fc.string({ unit: letter, minLength: 1, maxLength: 3 }))
    const value = fc.oneof(
      fc.constantFrom("", "a", "aa", "ab", "application/json", "application/json2"),
      fc.string({ unit: fc.constantFrom("a", "b", " ", "\t", "\xe9", ":") }),
    )
    const line = fc.tuple(name, fc.constantFrom("", " ", "\t "), value).map(([n, blank, v]) => `${n}:${blank}${v}`)
    const heads = fc.array(fc.array(line, { maxLength: 6 }), { maxLength: 12 })
    fc.assert(
      fc.property(heads, (all) => {
        const known = new KnownFields()
        for (const lines of all) expect(fieldsOf(lines, known)).toEqual(fieldsOf(lines, new KnownFields()))
      }),
      { numRuns: 500 },
    )
  })

  test("are not taken for longer or shorter ones that begin alike", () => {
    const known = new KnownFields()
    const values = ["application/json", "application", "application/json; a=b", "", "application/json"]
    for (const value of values) expect(fieldsOf([`accept: ${value}`], known)).toEqual({ accept: value })
    for (const name of ["accept", "accept-language", "accep", "acceptt"]) {
      expect(fieldsOf([`${name}: a`], known)).toEqual({ [name]: "a" })
    }
  })

  test("are still names where thousands of others came, and what is no name never becomes one", () => {
    const known = new KnownFields()
    for (let i = 0; i < 5_000; i++) {
      expect(fieldsOf([`x-${i}: ${i}`, "host: a"], known)).toEqual({ [`x-${i}`]: String(i), host: "a" })
      if (i % 100 === 0) expect(() => fieldsOf([`x ${i}: a`], known)).toThrow("no header field")
    }
  })

  test("of a steady kind come as the same text again; a value that changes does not stay", () => {
    const known = new KnownFields()
    for (let i = 0; i < 40; i++) expect(fieldsOf([`user-agent: a/${i}`], known)).toEqual({ "user-agent": `a/${i}` })
  })

  test("are not kept where they are long", () => {
    const known = new KnownFields()
    const long = "x".repeat(300)
    for (let i = 0; i < 20; i++) {
      expect(fieldsOf([`${long}: a`, `accept: ${long}`], known)).toEqual({ [long]: "a", accept: long })
    }
    expect(JSON.stringify(known)).not.toContain("x".repeat(65))
  })

  test("keep nothing else of their heads, and no value that names somebody", () => {
    const known = new KnownFields()
    const before = heapBytes()
    for (let i = 0; i < 4_000; i++) {
      const letter = (n: number): string => String.fromCharCode(65 + (Math.floor(i / 16 ** n) % 16))
      const name = `${letter(0)}${"x".repeat(20)}${letter(1)}${"x".repeat(20)}${letter(2)}`
      const steady = cased(["accept-language", "user-agent", "host", "vary"][i % 4] ?? "", i >> 2)
      fieldsOf([`${name}: a`, `${steady}: a text of its own ${i}`, "authorization: Bearer 1", COOKIE], known)
    }
    // One of the heads for each of some 800 names is 80 MB, for each of some 30 values 3 MB.
    expect(heapBytes() - before).toBeLessThan(1_000_000)
    expect(JSON.stringify(known)).toContain("a text of its own")
    expect(JSON.stringify(known)).not.toContain("Bearer")
  })
})

const COOKIE = `cookie: ${"y".repeat(100_000)}`

/** The text with those of its letters in upper case that have their bit set. */
function cased(text: string, bits: number): string {
  return [...text].map((letter, i) => ((bits >> i) % 2 === 1 ? letter.toUpperCase() : letter)).join("")
}
