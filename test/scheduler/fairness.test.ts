import { expect, test } from "bun:test"
import type { Lease } from "../../src/scheduler/ports.ts"
import { seeded } from "./support/time.ts"
import { end, World } from "./support/world.ts"

/** Highest and lowest count against the mean. */
function spread(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return Math.max(...counts.map((count) => Math.abs(count - mean) / mean))
}

test("requests of random length over a thousand credentials and five models are shared within 2 %", () => {
  const world = new World(...Array.from({ length: 1_000 }, () => ({})))
  const models = ["m0", "m1", "m2", "m3", "m4"]
  world.settings.current = { ...world.settings.current, modelList: models }
  const random = seeded(11)
  const counts = new Array<number>(1_000).fill(0)
  const open: Lease[] = []
  for (let i = 0; i < 300_000; i++) {
    const lease = world.lease({ model: models[Math.floor(random() * 5)] ?? "m0" })
    counts[lease.credential - 1] = (counts[lease.credential - 1] ?? 0) + 1
    open.push(lease)
    // Some 400 in flight, a few of them for very long.
    while (open.length > 400) {
      const at = Math.floor(random() ** 2 * open.length)
      const [done] = open.splice(at, 1)
      if (done !== undefined) world.pool.release(done, end())
    }
  }
  expect(spread(counts)).toBeLessThan(0.02)
})

test("a credential that comes back takes its turn again, and only one turn at a time", () => {
  const world = new World({}, {}, {})
  const counts = new Map<number, number>()
  for (let i = 0; i < 3_000; i++) {
    if (i % 7 === 0) {
      world.pool.disable(2)
      world.pool.enable(2)
    }
    const id = world.tries()
    counts.set(Number(id), (counts.get(Number(id)) ?? 0) + 1)
  }
  // It goes to the tail whenever it comes back, so it may have fewer turns, never more.
  expect(counts.get(2) ?? 0).toBeLessThanOrEqual(1_000)
  expect(Math.abs((counts.get(1) ?? 0) - (counts.get(3) ?? 0))).toBeLessThanOrEqual(60)
})

test("the busiest of many is never given more while idle ones are next to it", () => {
  const world = new World({}, {}, {}, {})
  const leases = Array.from({ length: 40 }, () => world.lease())
  const per = new Map<number, number>()
  for (const { credential } of leases) per.set(credential, (per.get(credential) ?? 0) + 1)
  expect([...per.values()]).toEqual([10, 10, 10, 10])
})
