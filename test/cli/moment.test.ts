import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { readMoment } from "../../src/cli/moment.ts"

const NOW = Date.UTC(2026, 10, 22, 12, 34, 56)
const H = 3_600_000

const at = (text: string, direction: "past" | "future" = "past") => {
  const read = readMoment(text, NOW, direction)
  return read.ok ? read.at : read.problem
}

describe("a point in time", () => {
  const lengths: readonly (readonly [text: string, ms: number])[] = [
    ["90min", 1.5 * H],
    ["90m", 1.5 * H],
    ["24h", 24 * H],
    ["7d", 7 * 24 * H],
    ["2w", 14 * 24 * H],
    [" 7 D ", 7 * 24 * H],
    ["0h", 0],
  ]
  for (const [text, ms] of lengths) {
    test(`as "${text}" is counted from now, back or ahead`, () => {
      expect(at(text, "past")).toBe(NOW - ms)
      expect(at(text, "future")).toBe(NOW + ms)
    })
  }

  const times: readonly (readonly [text: string, at: number])[] = [
    ["2026-11-01", Date.UTC(2026, 10, 1)],
    ["2024-02-29", Date.UTC(2024, 1, 29)],
    ["2026-11-01T13:00Z", Date.UTC(2026, 10, 1, 13)],
    ["2026-11-01 13:00:30z", Date.UTC(2026, 10, 1, 13, 0, 30)],
    ["2026-11-01T13:00:00.5+02:00", Date.UTC(2026, 10, 1, 11, 0, 0, 500)],
  ]
  for (const [text, ms] of times) {
    test(`as "${text}" is the same whatever the direction and the zone of the machine`, () => {
      expect(at(text, "past")).toBe(ms)
      expect(at(text, "future")).toBe(ms)
    })
  }

  for (const text of ["2026-02-29", "2026-02-31T00:00Z", "2026-13-01", "2026-11-01T25:00Z", "2026-11-01T13:61Z"]) {
    test(`"${text}" is no day of the calendar`, () => expect(at(text)).toContain("no day of the calendar"))
  }

  for (const text of [
    "",
    "7",
    "7x",
    "-7d",
    "1.5h",
    "yesterday",
    "2026-11",
    "2026-11-01T13:00",
    "01.11.2026",
    "7d ago",
  ]) {
    test(`"${text}" is refused with what is expected`, () => {
      expect(at(text)).toBe(`expected a length of time such as 24h or 7d, or a date such as 2026-11-01, got "${text}"`)
    })
  }

  test("of more than a hundred years from now is a slip of the finger", () => {
    expect(at("999999999d")).toContain("more than a hundred years")
    expect(at("5300w")).toContain("more than a hundred years")
  })

  test("is read from any text without throwing, and is a real time then", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d:TZ+ -]{0,25}$/)), (text) => {
        const read = readMoment(text, NOW, "past")
        if (read.ok) expect(Number.isFinite(new Date(read.at).getTime())).toBe(true)
        else expect(read.problem).not.toBe("")
      }),
    )
  })

  test("that a machine wrote is read back to the millisecond", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("2200-01-01"), noInvalidDate: true }), (date) => {
        expect(at(date.toISOString())).toBe(date.getTime())
      }),
    )
  })
})
