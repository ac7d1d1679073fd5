import { describe, expect, test } from "bun:test"
import { Calm, memoryWalks } from "../../scripts/lib/bench/calm.ts"

/** A machine whose work takes what `times` says, one after the other, and 100 at its best. */
function machine(repeats: number, times: readonly number[]) {
  let slept = 0
  let ready = false
  const left = [...times]
  const calm = new Calm({
    work: () => [ready ? (left.shift() ?? 100) : 100],
    repeats,
    sleep: async (ms) => {
      slept += ms
    },
  })
  ready = true
  return { calm, slept: () => slept, left }
}

async function taken(calm: Calm): Promise<number> {
  let count = 0
  return calm.sample(async () => ++count)
}

describe("a sample", () => {
  test("counts when the work took no longer before and after it", async () => {
    const { calm, slept } = machine(1, [150, 150])
    expect(await taken(calm)).toBe(1)
    expect([slept(), calm.repeated, calm.disturbed]).toEqual([0, 0, 0])
  })

  test("waits for a calm moment, and is taken again when it was disturbed", async () => {
    const { calm, slept } = machine(5, [151, 200, 100, 151, 100, 100])
    expect(await taken(calm)).toBe(2)
    expect([slept(), calm.repeated, calm.disturbed]).toEqual([500, 1, 0])
  })

  test("counts as disturbed once there are no repeats left, and the wait has an end", async () => {
    const { calm, slept } = machine(1, Array(200).fill(300))
    expect(await taken(calm)).toBe(2)
    expect([slept(), calm.repeated, calm.disturbed]).toEqual([6_000, 1, 1])
  })

  test("is taken four times at most", async () => {
    const { calm } = machine(100, Array(200).fill(300))
    expect(await taken(calm)).toBe(4)
    expect([calm.repeated, calm.disturbed]).toEqual([3, 1])
  })

  test("is waited for no longer when all of the run's patience is used up", async () => {
    const { calm, slept } = machine(0, Array(2_000).fill(300))
    for (let i = 0; i < 110; i++) await taken(calm)
    expect([slept(), calm.disturbed]).toEqual([60_000, 110])
  })

  test("is measured against the best that was ever seen", async () => {
    const { calm } = machine(0, [50, 100])
    await taken(calm)
    expect(calm.disturbed).toBe(1)
  })
})

test("the work is a walk through all of its memory", () => {
  const times = memoryWalks()()
  expect(times.length).toBe(2)
  for (const time of times) expect(time).toBeGreaterThan(0)
})
