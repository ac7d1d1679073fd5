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
    const { calm, slept } = machine(1, [125, 125])
    expect(await taken(calm)).toBe(1)
    expect([slept(), calm.repeated, calm.disturbed]).toEqual([0, 0, 0])
  })

  test("waits for a calm moment, and is taken again when it was disturbed", async () => {
    const { calm, slept } = machine(5, [126, 200, 100, 126, 100, 100])
    expect(await taken(calm)).toBe(2)
    expect([slept(), calm.repeated, calm.disturbed]).toEqual([500, 1, 0])
  })

  test("counts as disturbed once there are no repeats left, and the wait has an end", async () => {
    const { calm, slept } = machine(1, Array(200).fill(300))
    expect(await taken(calm)).toBe(2)
    expect([slept(), calm.repeated, calm.disturbed]).toEqual([20_000, 1, 1])
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
