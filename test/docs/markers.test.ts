import { describe, expect, test } from "bun:test"
import { withParts } from "../../scripts/lib/docs/markers.ts"

const place = (name: string, inside = "") => `<!-- generated:${name}:begin -->\n${inside}<!-- generated:${name}:end -->`

describe("the generated parts of a text", () => {
  test("are replaced between their markers, and everything else stays", () => {
    const before = `above\n${place("one", "old\n")}\nbetween\n${place("two")}\nbelow\n`
    const after = withParts(before, { one: "new", two: "$& and $1 are text\n" })
    expect(after).toBe(
      `above\n${place("one", "\nnew\n\n")}\nbetween\n${place("two", "\n$& and $1 are text\n\n")}\nbelow\n`,
    )
    expect(withParts(after, { one: "new", two: "$& and $1 are text" })).toBe(after)
  })

  test("must each have exactly one place, and each place a part", () => {
    expect(() => withParts("nothing", { one: "x" })).toThrow("has no place")
    expect(() => withParts(place("one"), {})).toThrow("nothing is known of the part one")
    expect(() => withParts(`${place("one")}\n${place("one")}`, { one: "x" })).toThrow("two places")
  })

  test("must have markers that pair up", () => {
    for (const text of [
      "<!-- generated:one:begin -->",
      "<!-- generated:one:end -->\n<!-- generated:one:begin -->",
      "<!-- generated:one:begin -->\n<!-- generated:two:end -->",
      `<!-- generated:one:begin -->\n${place("two")}\n<!-- generated:one:end -->`,
    ]) {
      expect(() => withParts(text, { one: "x", two: "y" })).toThrow("pair up")
    }
  })
})
