import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { durationMs, httpDate, retryAfterMs } from "../../src/relay/retry-after.ts"

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0)
/** Whole seconds between 1970 and 2200. */
const instant = fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) / 1000 }).map((seconds) => seconds * 1000)

describe("Retry-After", () => {
  test("takes whole seconds", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 - 1 }), (seconds) => {
        expect(retryAfterMs(String(seconds), NOW)).toBe(seconds * 1000)
      }),
    )
    expect(retryAfterMs(" 30 ", NOW)).toBe(30_000)
  })

  test("takes an HTTP date, and one gone by is no wait", () => {
    fc.assert(
      fc.property(instant, (at) => {
        expect(retryAfterMs(new Date(at).toUTCString(), NOW)).toBe(Math.max(0, at - NOW))
      }),
    )
  })

  test("is null when absent or malformed", () => {
    for (const value of [
      null,
      "",
      "  ",
      "-1",
      "1.5",
      "1e3",
      "30s",
      "tomorrow",
      "99999999999",
      "2026-11-22T12:00:00Z",
    ]) {
      expect(retryAfterMs(value, NOW)).toBeNull()
    }
  })

  test("never throws and never gives a negative or endless wait", () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const ms = retryAfterMs(value, NOW)
        expect(ms === null || (ms >= 0 && Number.isFinite(ms))).toBe(true)
      }),
    )
  })
})

describe("an HTTP date", () => {
  test("is read in each of the three forms", () => {
    const at = Date.UTC(1994, 10, 6, 8, 49, 37)
    expect(httpDate("Sun, 06 Nov 1994 08:49:37 GMT", NOW)).toBe(at)
    expect(httpDate("Sunday, 06-Nov-94 08:49:37 GMT", NOW)).toBe(at)
    expect(httpDate("Sun Nov  6 08:49:37 1994", NOW)).toBe(at)
  })

  test("with a two-digit year lies at most 50 years ahead", () => {
    expect(httpDate("Sunday, 06-Nov-76 08:49:37 GMT", NOW)).toBe(Date.UTC(2076, 10, 6, 8, 49, 37))
    expect(httpDate("Sunday, 06-Nov-77 08:49:37 GMT", NOW)).toBe(Date.UTC(1977, 10, 6, 8, 49, 37))
  })

  test("that names no day is none", () => {
    for (const text of [
      "Sun, 31 Feb 2026 00:00:00 GMT",
      "Sun, 00 Nov 2026 00:00:00 GMT",
      "Sun, 06 Foo 2026 00:00:00 GMT",
      "Sun, 06 Nov 2026 24:00:00 GMT",
      "Sun, 06 Nov 2026 08:60:00 GMT",
      "Sun, 06 Nov 2026 08:49:37 CET",
    ]) {
      expect(httpDate(text, NOW)).toBeNull()
    }
  })
})

describe("a duration", () => {
  test("is read as the upstreams write it", () => {
    expect(durationMs("1h2m3.5s")).toBe(3_723_500)
    expect(durationMs("373.8ms")).toBe(373.8)
    expect(durationMs("11h16m14.149781566s")).toBeCloseTo(40_574_149.781566, 3)
    expect(durationMs("40574.149781566s")).toBeCloseTo(40_574_149.781566, 3)
    expect(durationMs("2d")).toBe(172_800_000)
    expect(durationMs("0s")).toBe(0)
    expect(durationMs("5m")).toBe(300_000)
    expect(durationMs("250us")).toBe(0.25)
  })

  test("of any terms is their sum", () => {
    const terms = fc.array(
      fc.tuple(
        fc.nat({ max: 9999 }),
        fc.constantFrom(["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]) as fc.Arbitrary<[string, number]>,
      ),
      { minLength: 1, maxLength: 4 },
    )
    fc.assert(
      fc.property(terms, (parts) => {
        const text = parts.map(([count, [unit]]) => `${count}${unit}`).join("")
        expect(durationMs(text)).toBe(parts.reduce((sum, [count, [, ms]]) => sum + count * ms, 0))
      }),
    )
  })

  test("is null for anything else", () => {
    for (const text of [
      "",
      "5",
      "s",
      "-5s",
      "+5s",
      "5 s",
      "1h 2m",
      "1.2.3s",
      ".5s",
      "5S",
      "5w",
      `${"9".repeat(64)}s`,
      "NaNs",
    ]) {
      expect(durationMs(text)).toBeNull()
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        const ms = durationMs(text)
        expect(ms === null || (ms >= 0 && Number.isFinite(ms))).toBe(true)
      }),
    )
  })
})
