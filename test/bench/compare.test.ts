import { expect, test } from "bun:test"
import { compared, REFERENCES } from "../../scripts/lib/bench/compare.ts"
import { FULL, plan, SECTIONS } from "../../scripts/lib/bench/plan.ts"

test("a subject is set against the bare one of the same round, whatever the machine's speed was in it", () => {
  const bare = [{ rate: 1_000 }, { rate: 400 }, { rate: 100 }]
  const own = [{ rate: 800 }, { rate: 320 }, { rate: 90 }]
  // The middles, 320 and 400, are of one round here; were they of two, their quotient would say nothing.
  expect(compared(own, bare).rate).toEqual({ ratio: 0.8, difference: -80 })
  expect(
    compared([{ rate: 800 }, { rate: 90 }, { rate: 320 }], [{ rate: 1_000 }, { rate: 100 }, { rate: 400 }]),
  ).toEqual(compared(own, bare))
})

test("an even number of rounds has its middle between two", () => {
  const own = [{ p99: 1_500 }, { p99: 900 }]
  expect(compared(own, [{ p99: 1_000 }, { p99: 1_000 }]).p99).toEqual({ ratio: 1.2, difference: 200 })
})

test("what one side lacks is not compared, and nothing is divided by zero", () => {
  expect(compared([{ rate: 1, cpu: 2, p50: 3 }], [{ rate: 0, p50: 6 }])).toEqual({
    p50: { ratio: 0.5, difference: -3 },
  })
  expect(compared([{ rate: 1 }], [])).toEqual({})
  expect(compared([], [{ rate: 1 }])).toEqual({})
})

test("each section that is compared is planned with a bare subject", () => {
  for (const { section, subjects } of plan(SECTIONS, FULL)) {
    const names = REFERENCES[section]
    if (names.length > 0) expect(subjects.some((subject) => names.includes(subject))).toBe(true)
  }
})
