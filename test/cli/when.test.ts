import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { absolute, duration, relative, when } from "../../src/cli/when.ts"

const S = 1_000
const MIN = 60 * S
const H = 60 * MIN
const D = 24 * H
const utc = () => 0

describe("a length of time", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, "0 s"],
    [400, "0 s"],
    [45 * S, "45 s"],
    [90 * S, "1 min 30 s"],
    [2 * MIN, "2 min"],
    [29 * MIN + 59 * S, "30 min"],
    [2 * H + 10 * MIN, "2 h 10 min"],
    [36 * H, "1 d 12 h"],
    [40 * D, "40 d"],
    [-5 * S, "0 s"],
  ]
  for (const [ms, text] of cases) test(`of ${ms} ms is "${text}"`, () => expect(duration(ms)).toBe(text))

  test("is never off by more than a twentieth, nor by a second", () => {
    const units: Readonly<Record<string, number>> = { s: S, min: MIN, h: H, d: D }
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 * D }), (ms) => {
        const words = duration(ms).split(" ")
        let sum = 0
        for (let i = 0; i < words.length; i += 2) sum += Number(words[i]) * (units[words[i + 1] ?? ""] ?? Number.NaN)
        expect(Math.abs(sum - ms)).toBeLessThanOrEqual(Math.max(S, ms / 20))
      }),
    )
  })
})

test("a moment is said from now on, and on the clock", () => {
  const now = Date.UTC(2026, 10, 22, 12, 0)
  expect(when(now + 2 * H, now, utc)).toBe("in 2 h (14:00)")
  expect(when(now - 3 * MIN, now, utc)).toBe("3 min ago (11:57)")
  expect(when(now + 3 * D, now, utc)).toBe("in 3 d (2026-11-25 12:00)")
  expect(relative(now + 500, now)).toBe("now")
})

test("the clock is the reader's: east of UTC the day begins earlier", () => {
  const now = Date.UTC(2026, 10, 22, 23, 30)
  const berlin = () => -60
  expect(absolute(now, now, berlin)).toBe("00:30")
  expect(absolute(Date.UTC(2026, 10, 22, 22, 0), now, berlin)).toBe("2026-11-22 23:00")
})

test("a moment beyond what a calendar knows is shown as unknown", () => {
  expect(absolute(8.64e15, 0, () => -60)).toBe("? ?")
})
