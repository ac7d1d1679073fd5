import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { formatTime, parseTime } from "../../src/store/rfc3339.ts"

describe("RFC 3339 times", () => {
  test.each([
    ["2026-02-05T03:04:05Z", Date.UTC(2026, 1, 5, 3, 4, 5)],
    ["2026-02-05T03:04:05+00:00", Date.UTC(2026, 1, 5, 3, 4, 5)],
    ["2026-02-05T03:04:05.123+00:00", Date.UTC(2026, 1, 5, 3, 4, 5, 123)],
    ["2026-02-05T03:04:05.123456+00:00", Date.UTC(2026, 1, 5, 3, 4, 5, 123)],
    ["2026-02-05T03:04:05.123456789+00:00", Date.UTC(2026, 1, 5, 3, 4, 5, 123)],
    ["2026-02-05T03:04:05.999999999Z", Date.UTC(2026, 1, 5, 3, 4, 5, 999)],
    ["2026-02-05T03:04:05.5Z", Date.UTC(2026, 1, 5, 3, 4, 5, 500)],
    ["2026-02-05 03:04:05.123456789+00:00", Date.UTC(2026, 1, 5, 3, 4, 5, 123)],
    ["2026-02-05t03:04:05z", Date.UTC(2026, 1, 5, 3, 4, 5)],
    ["2026-02-05T05:34:05+02:30", Date.UTC(2026, 1, 5, 3, 4, 5)],
    ["2026-02-05T01:04:05-02:00", Date.UTC(2026, 1, 5, 3, 4, 5)],
    ["2016-12-31T23:59:60Z", Date.UTC(2017, 0, 1)],
    ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
  ])("%s is read", (text, ms) => {
    expect(parseTime(text)).toBe(ms)
  })

  test.each([
    "",
    "now",
    "2026-02-05",
    "2026-02-05T03:04:05",
    "2026-13-05T03:04:05Z",
    "2026-02-05T25:04:05Z",
    "2026-02-05T03:04:05+25:00",
    "2026-02-05T03:04:05.Z",
    "1770260645",
    " 2026-02-05T03:04:05Z",
  ])("%p is no time", (text) => {
    expect(parseTime(text)).toBeNull()
  })

  test("is written as the Rust program writes it: an offset, and no fraction when there is none", () => {
    expect(formatTime(Date.UTC(2026, 1, 5, 3, 4, 5))).toBe("2026-02-05T03:04:05+00:00")
    expect(formatTime(Date.UTC(2026, 1, 5, 3, 4, 5, 120))).toBe("2026-02-05T03:04:05.120+00:00")
  })

  test("what is written is read back, to the millisecond", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }), (ms) => {
        expect(parseTime(formatTime(ms))).toBe(ms)
      }),
    )
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 1e300])(
    "an absurd time (%p) is brought into range instead of losing the token it belongs to",
    (ms) => {
      expect(parseTime(formatTime(ms))).not.toBeNull()
    },
  )
})
