import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { delayAfter, LANE, RefreshJob, RefreshLanes, TokenBucket } from "../../src/scheduler/refresh.ts"
import { rung, Strikes } from "../../src/scheduler/strikes.ts"

class Job extends RefreshJob {
  constructor(readonly name: string) {
    super()
  }
  begin(): string {
    return this.name
  }
  answered(): void {}
}

describe("lanes", () => {
  test("a waiting request goes before proactive renewals, those before seeds, each in order", () => {
    const lanes = new RefreshLanes<Job>()
    const [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map((name) => new Job(name))
    if (!a || !b || !c || !d || !e) throw new Error("unreachable")
    lanes.add(a, LANE.seeds)
    lanes.add(b, LANE.proactive)
    lanes.add(c, LANE.waiting)
    lanes.add(d, LANE.proactive)
    expect(lanes.add(d, LANE.proactive)).toBe(false)
    expect(lanes.add(d, LANE.waiting)).toBe(true)
    lanes.add(e, LANE.waiting)
    lanes.remove(e)
    expect(lanes.size).toBe(4)
    expect([0, 1, 2, 3, 4].map(() => lanes.take()?.name)).toEqual(["c", "d", "b", "a", undefined])
    expect(lanes.size).toBe(0)
  })

  test("every job comes out once, whatever is added, moved and removed", () => {
    const step = fc.record({ name: fc.nat(9), lane: fc.nat(2), do: fc.constantFrom("add", "add", "remove", "take") })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const lanes = new RefreshLanes<Job>()
        const jobs = Array.from({ length: 10 }, (_, i) => new Job(String(i)))
        const queued = new Map<string, number>()
        for (const { name, lane, do: what } of steps) {
          const job = jobs[name]
          if (job === undefined) throw new Error("unreachable")
          if (what === "add") {
            lanes.add(job, lane)
            queued.set(job.name, Math.min(lane, queued.get(job.name) ?? 9))
          } else if (what === "remove") {
            lanes.remove(job)
            queued.delete(job.name)
          } else {
            const taken = lanes.take()
            expect(taken === undefined).toBe(queued.size === 0)
            if (taken === undefined) continue
            expect(queued.get(taken.name)).toBe(Math.min(...queued.values()))
            queued.delete(taken.name)
          }
          expect(lanes.size).toBe(queued.size)
        }
      }),
    )
  })
})

test("the bucket lets through twice the rate at once, and the rate on average", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.nat(500), { maxLength: 100 }), (rate, gaps) => {
      let now = 0
      const bucket = new TokenBucket({ mono: () => now }, rate)
      let taken = 0
      for (const gap of gaps) {
        now += gap
        while (bucket.wait(rate) === 0) {
          bucket.spend()
          taken++
        }
        expect(taken).toBeLessThanOrEqual(2 * rate + (now * rate) / 1000 + 1e-3)
        // What it says to wait is enough.
        now += bucket.wait(rate)
        expect(bucket.wait(rate)).toBe(0)
      }
    }),
  )
})

test("delays double up to the most, with at most a fifth added", () => {
  const low = (failures: number) => delayAfter(failures, 1_000, 300_000, () => 0)
  expect([1, 2, 3, 9, 10, 1_000].map(low)).toEqual([1_000, 2_000, 4_000, 256_000, 300_000, 300_000])
  expect(delayAfter(1, 1_000, 300_000, () => 0.999)).toBeLessThanOrEqual(1_200)
})

describe("strikes", () => {
  test("a volley of failures is one strike", () => {
    const strikes = new Strikes()
    expect(strikes.hit("quota", "*", 3, 10)).toEqual({ count: 1, fresh: true })
    expect(strikes.hit("quota", "*", 10, 12)).toEqual({ count: 1, fresh: false })
    expect(strikes.hit("quota", "*", 11, 12)).toEqual({ count: 2, fresh: true })
    expect(strikes.hit("capacity", "m", 11, 12)).toEqual({ count: 1, fresh: true })
  })

  test("a success ends the rows of its model and of all models, unless it is older than the strike", () => {
    const strikes = new Strikes()
    strikes.hit("quota", "*", 5, 5)
    strikes.hit("capacity", "m", 5, 5)
    strikes.hit("capacity", "other", 5, 5)
    expect(strikes.succeed("m", 5)).toEqual([])
    expect([...strikes.succeed("m", 6)].sort()).toEqual(["*", "m"])
    expect(strikes.hit("capacity", "m", 7, 7).count).toBe(1)
    expect(strikes.hit("capacity", "other", 7, 7).count).toBe(2)
  })

  test("the last rung of a ladder repeats", () => {
    expect([0, 1, 2, 3, 9].map((count) => rung([10, 20, 30], count))).toEqual([10, 10, 20, 30, 30])
    expect(rung([], 1)).toBe(0)
  })
})
