import { describe, expect, test } from "bun:test"
import { warmUp } from "../../scripts/lib/bench/warm-up.ts"

/** Puts load on something that uses a second of CPU in each slice, so much of it for compiling. */
async function slicesOf(compiling: (slice: number) => number): Promise<number> {
  const used = { cpu: 5, compiling: 1 }
  let slices = 0
  const load = async () => {
    used.cpu += 1
    used.compiling += compiling(slices++)
  }
  await warmUp(() => ({ ...used }), load)
  return slices
}

describe("a subject", () => {
  test("is warm when its compiler has rested for two slices in a row", async () => {
    expect(await slicesOf((slice) => (slice < 5 ? 0.2 : 0.01))).toBe(7)
    expect(await slicesOf((slice) => (slice === 1 ? 0.2 : 0.01))).toBe(4)
  })

  test("that compiles nothing is warm after two slices", async () => {
    expect(await slicesOf(() => 0)).toBe(2)
  })

  test("whose compiler never rests is not waited for without end", async () => {
    expect(await slicesOf(() => 0.2)).toBe(20)
  })
})
