import { expect, test } from "bun:test"
import fc from "fast-check"
import { createPaint } from "../../src/cli/paint.ts"
import { type Column, renderTable } from "../../src/cli/table.ts"

const plain = createPaint(false)
const COLUMNS: readonly Column[] = [{ title: "ID" }, { title: "NOTE", min: 8 }, { title: "MORE", min: 6, drop: 1 }]

const lines = (text: string) => text.replace(/\n$/, "").split("\n")

test("a table that has room is as wide as its content, and its lines end without spaces", () => {
  const text = renderTable(COLUMNS, [["1", "all is well", "x"]], Number.POSITIVE_INFINITY, plain)
  expect(text).toBe("ID  NOTE         MORE\n1   all is well  x\n")
})

test("a narrow terminal wraps the widest column first", () => {
  const text = renderTable(COLUMNS, [["1", "a sentence that goes on for a while", "short"]], 30, plain)
  expect(lines(text)).toEqual([
    "ID  NOTE                 MORE",
    "1   a sentence that      short",
    "    goes on for a while",
  ])
})

test("a column stays whole as long as a wider one can give", () => {
  const row = ["1", "a sentence that goes on for a while", "four words, not more"]
  expect(renderTable(COLUMNS, [row], 50, plain)).toContain("four words, not more")
})

test("what cannot be wrapped any further is left out by its rank", () => {
  const text = renderTable(COLUMNS, [["credential:1", "all is well", "x"]], 24, plain)
  expect(text).not.toContain("MORE")
  expect(text).toContain("all is")
})

test("a column that may be left out and has nothing in it is left out", () => {
  expect(renderTable(COLUMNS, [["1", "x", ""]], 80, plain)).toBe("ID  NOTE\n1   x\n")
})

test("no rows make no table", () => expect(renderTable(COLUMNS, [], 80, plain)).toBe(""))

test("colours take no room", () => {
  const rows = (paint: ReturnType<typeof createPaint>) => [["1", paint.good("ready"), "y"]]
  const colored = renderTable(COLUMNS, rows(createPaint(true)), 40, plain)
  expect(colored).toContain("\x1b[32mready\x1b[39m")
  expect(Bun.stripANSI(colored)).toBe(renderTable(COLUMNS, rows(plain), 40, plain))
})

test("no line is wider than the terminal, and no word of a column that is shown is lost", () => {
  const word = fc.stringMatching(/^[a-z0-9:*@.]{1,18}$/)
  const cell = fc.array(word, { maxLength: 8 }).map((words) => words.join(" "))
  const row = fc.tuple(word, cell, cell).map((cells) => [...cells])
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 6 }), fc.integer({ min: 40, max: 140 }), (rows, width) => {
      const text = renderTable(COLUMNS, rows, width, plain)
      for (const line of lines(text)) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(width)
      // Wrapped words are cut at most once: what is left when all gaps go is the same.
      const letters = (all: string) => all.replace(/\s+/g, "").split("").toSorted().join("")
      const shown = text.includes("MORE") ? rows : rows.map((cells) => cells.slice(0, 2))
      const heads = text.includes("MORE") ? "IDNOTEMORE" : "IDNOTE"
      expect(letters(text)).toBe(letters(heads + shown.flat().join("")))
    }),
  )
})
