import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { createLog } from "../../src/observe/log.ts"
import type { LineField, LineValue, LogLevel } from "../../src/observe/ports.ts"

const NOON = Date.UTC(2026, 10, 22, 12, 0, 0, 7)
const LEVELS = ["error", "warn", "info", "debug", "trace"] as const
const FIELDS: readonly LineField[] = ["id", ["a", "b", "c_d"], "n", ["one"], "last"]
const NAMES = FIELDS.flat()

function capture(format: "json" | "text", level: LogLevel = "trace", now = () => NOON) {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const log = createLog({ level, format, write, now, terminal: { tty: false, color: false } })
  return { log, lines }
}

const SECRETS = [
  "1//0gAbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
  "sk-abcdefghijkl",
  "rt_abcdefgh",
  "x-sk-abcdefghijkl",
  "ac_0123456789",
  "jane.doe@example.com",
  "Bearer abcdefghijklmnop",
]
const text = fc.oneof(
  fc.constantFrom("", "POST", "complete", "m-1.5", '"', "\\", "a\nb", "\ud800", "\u2028", "é", "𝒳", ...SECRETS),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.stringMatching(/^[\w+-]{0,30}$/),
  fc.stringMatching(/^[\x21-\x7e]{0,128}$/),
)
const number = fc.oneof(
  fc.constantFrom(0, -0, -1, 999, 1000, 1001, 10_000, 999_999, 1_000_000, 2 ** 31, 2 ** 53, 0.5, 1e21, 1e-7),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fc.nat(2_000_000),
  fc.double(),
)
const value: fc.Arbitrary<LineValue> = fc.oneof(text, number, fc.boolean(), fc.constant(null))
const values = fc.array(value, { minLength: NAMES.length, maxLength: NAMES.length })

describe("a line made ready", () => {
  for (const format of ["json", "text"] as const) {
    test(`is to the byte what the log writes of the same fields, as ${format}`, () => {
      const ready = capture(format)
      const plain = capture(format)
      fc.assert(
        fc.property(
          fc.array(values, { minLength: 1, maxLength: 4 }),
          fc.array(fc.tuple(fc.nat(3), fc.constantFrom(...LEVELS)), { maxLength: 12 }),
          fc.oneof(fc.constant("request"), text),
          (rows, order, event) => {
            ready.lines.length = 0
            plain.lines.length = 0
            const line = ready.log.line(event, FIELDS)
            for (const [index, level] of order) {
              const row = rows[index % rows.length] ?? []
              line.write(level, row)
              plain.log[level](event, Object.fromEntries(NAMES.map((name, at) => [name, row[at]])))
            }
            expect(ready.lines).toEqual(plain.lines)
          },
        ),
        { numRuns: 1000 },
      )
    })
  }

  test("shows the time of each line, over the end of a second and of a year", () => {
    let time = 0
    const ready = capture("json", "info", () => time)
    const plain = capture("json", "info", () => time)
    const line = ready.log.line("x", ["a"])
    for (const at of [NOON, NOON + 992, NOON + 993, NOON + 0.9, Date.UTC(2027, 0, 1) - 1, Date.UTC(2027, 0, 1), -1]) {
      time = at
      line.write("info", [1])
      plain.log.info("x", { a: 1 })
    }
    expect(ready.lines).toEqual(plain.lines)
  })

  test("tells groups apart that meet in one place", () => {
    const { log, lines } = capture("json")
    const line = log.line("x", [["a", "b"]])
    const expected: string[] = []
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 2000; index++) {
        line.write("info", [`t ${index}`, index])
        expected.push(`"a":"t ${index}","b":${index}}`)
      }
    }
    expect(lines.map((each) => each.slice(each.indexOf('"a"'), -1))).toEqual(expected)
  })

  test("carries no secret, however often it comes", () => {
    for (const format of ["json", "text"] as const) {
      const { log, lines } = capture(format)
      const line = log.line("x", ["a", ["b", "c"]])
      for (const secret of [...SECRETS, ...SECRETS]) {
        line.write("info", [secret, "", secret])
        line.write("info", [secret, "", secret])
      }
      for (const secret of SECRETS) expect(lines.join("")).not.toContain(secret)
    }
  })

  test("costs nothing where its level is hidden, and says so beforehand", () => {
    const { log, lines } = capture("json", "warn", () => {
      throw new Error("asked for the time")
    })
    const line = log.line("x", ["a"])
    line.write("info", [1])
    expect(LEVELS.map(line.shows)).toEqual([true, true, false, false, false])
    log.setLevel("trace")
    expect(LEVELS.map(line.shows)).toEqual([true, true, true, true, true])
    expect(lines).toEqual([])
  })

  test("has no field that is the line's own, holds a secret, or would need cleaning", () => {
    const { log } = capture("json")
    for (const name of ["time", "level", "event", "access_token", "cookie", "", "a b", 'a"', "7", "__proto__", "é"]) {
      expect(() => log.line("x", [name])).toThrow()
      expect(() => log.line("x", ["fine", ["a", name]])).toThrow()
    }
  })
})
