import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Verdict } from "../../src/relay/ports.ts"
import { Tries } from "../../src/relay/tries.ts"

type Toy = Verdict<string>

const verdict = (over: Partial<Toy> = {}): Toy => ({
  cause: "x",
  act: { do: "none" },
  retry: "other",
  budget: "credential",
  tell: { status: 500, body: "" },
  rank: 0,
  message: "",
  ...over,
})

const half = (): number => 0.5

describe("the record of tries", () => {
  test("answers a verdict's questions about this request", () => {
    const tries = new Tries<string>({ faults: 9, windowEnd: 1_000 })
    expect(tries.context(1, 77)).toMatchObject({ now: 77, attempts: 1 })
    expect(tries.context(1, 0).before("x")).toBe(0)
    expect(tries.context(1, 0).seen("x")).toBe(1)
    for (const [credential, cause] of [
      [1, "x"],
      [2, "x"],
      [2, "y"],
      [2, "x"],
    ] as const) {
      tries.next(verdict({ cause }), credential, 0, half)
    }
    const context = tries.context(2, 0)
    expect(context.attempts).toBe(5)
    expect([context.before("x"), context.before("y"), context.before("z")]).toEqual([2, 1, 0])
    expect([context.seen("x"), tries.context(3, 0).seen("x"), context.seen("z")]).toEqual([2, 3, 1])
  })

  test("any sequence of verdicts ends: within the budgets, each credential by its own fault at most twice", () => {
    const anyVerdict = fc.record({
      cause: fc.constantFrom("a", "b", "c"),
      retry: fc.constantFrom<Toy["retry"]>("same", "other", "no"),
      budget: fc.constantFrom<Toy["budget"]>("fault", "credential", "amend"),
      amended: fc.boolean(),
      rank: fc.integer({ min: 0, max: 3 }),
    })
    fc.assert(
      fc.property(
        fc.array(anyVerdict, { minLength: 60, maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        (list, pool) => {
          const faults = 3
          const tries = new Tries<string>({ faults, windowEnd: 1_000 })
          const ownFault = new Map<number, number>()
          let attempts = 0
          let highest = -1
          for (const { amended, ...rest } of list) {
            const ids = Array.from({ length: pool }, (_, i) => i + 1).filter((id) => !tries.exclude.has(id))
            const credential = tries.only ?? ids.find((id) => !tries.avoid.has(id)) ?? ids[0]
            if (credential === undefined) break
            attempts++
            if (rest.budget === "credential") ownFault.set(credential, (ownFault.get(credential) ?? 0) + 1)
            const retry = tries.next(verdict({ ...rest, ...(amended && { amend: "new" }) }), credential, 0, half)
            // What an amended call is rid of is not told.
            if ((retry?.amend ?? null) === null) highest = Math.max(highest, rest.rank)
            expect(tries.best?.rank ?? -1).toBe(highest)
            if (retry === null) break
          }
          expect(Math.max(0, ...ownFault.values())).toBeLessThanOrEqual(2)
          // Each credential twice, the fault budget, and one amendment for each of three causes.
          expect(attempts).toBeLessThanOrEqual(1 + 2 * pool + faults + 3)
        },
      ),
    )
  })

  test("a wait is 50 to 100 % of what the verdict says, and never reaches behind the window", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 5_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.nat({ max: 3_000 }),
        (delayMs, random, now) => {
          const tries = new Tries<string>({ faults: 3, windowEnd: 2_000 })
          const retry = tries.next(verdict({ delayMs }), 1, now, () => random)
          if (retry === null) expect(now + delayMs).toBeGreaterThanOrEqual(2_000)
          else {
            expect(retry.delayMs).toBeGreaterThanOrEqual(delayMs / 2)
            expect(retry.delayMs).toBeLessThanOrEqual(delayMs)
            expect(now + retry.delayMs).toBeLessThan(2_000)
          }
        },
      ),
    )
  })

  test("a credential that cannot be had alone comes last, and still has its second try if there is no other", () => {
    for (const budget of ["credential", "fault"] as const) {
      const tries = new Tries<string>({ faults: 3, windowEnd: 1_000 })
      tries.next(verdict({ retry: "same", budget }), 7, 0, half)
      expect([tries.only, tries.exclude.size, tries.avoid.size]).toEqual([7, 0, 0])
      tries.widen()
      expect([tries.only, tries.exclude.size, ...tries.avoid]).toEqual([null, 0, 7])
      tries.next(verdict({ retry: "same", budget: "credential" }), 7, 0, half)
      expect(tries.exclude.has(7)).toBe(budget === "credential")
    }
  })

  test("the one credential is not waited for as long as any, and no wait reaches beyond the window", () => {
    const tries = new Tries<string>({ faults: 3, windowEnd: 20_000 })
    tries.next(verdict({ retry: "same", budget: "credential" }), 7, 0, half)
    expect([tries.patience(1_000, 30_000), tries.patience(1_000, 10), tries.patience(19_000, 30_000)]).toEqual([
      6_000, 1_010, 20_000,
    ])
    tries.widen()
    expect(tries.patience(1_000, 12_000)).toBe(13_000)
  })
})
