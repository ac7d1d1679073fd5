import { expect, test } from "bun:test"
import fc from "fast-check"
import { believableReset } from "../../src/relay/reset-time.ts"

const NOW = Date.UTC(2026, 7, 1, 12)
const YEAR = 365.25 * 86_400_000

test("a reset within a hundred years is believed, one further away is not", () => {
  for (const sign of [-1, 1]) {
    expect(believableReset(NOW + sign * 99 * YEAR, NOW)).toBe(NOW + sign * 99 * YEAR)
    expect(believableReset(NOW + sign * 101 * YEAR, NOW)).toBeNull()
  }
  expect(believableReset(NOW, NOW)).toBe(NOW)
  for (const none of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -8.64e15 - 1, 8.64e15 + 1])
    expect(believableReset(none, NOW)).toBeNull()
})

test("what is believed, a date can hold", () => {
  fc.assert(
    fc.property(fc.double(), (at) => {
      const told = believableReset(at, NOW)
      if (told !== null) expect(new Date(told).getTime()).not.toBeNaN()
    }),
  )
})
