import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { bar, quotaLabel, quotaLine } from "../../src/cli/bar.ts"
import { createPaint } from "../../src/cli/paint.ts"
import type { Quota } from "../../src/cli/shapes.ts"

const NOW = 1_790_000_000_000
const plain = createPaint(false)
const quota = (change: Partial<Quota>): Quota => ({
  family: "codex",
  name: "primary",
  usedPercent: 28,
  windowMinutes: 300,
  resetsAt: NOW + 7_800_000,
  seenAt: NOW,
  ...change,
})

test("a bar is as wide as it is told, and full or empty only when that is exact", () => {
  fc.assert(
    fc.property(fc.double({ min: -50, max: 150 }), fc.integer({ min: 2, max: 40 }), (percent, width) => {
      const drawn = bar(percent, width)
      expect(Bun.stringWidth(drawn)).toBe(width)
      expect(drawn.includes("░")).toBe(!(percent >= 100))
      expect(drawn.includes("█")).toBe(percent > 0)
    }),
  )
})

test("a bar is never rounded to full or to empty", () => {
  expect(bar(99.9, 8)).toBe("███████░")
  expect(bar(0.1, 8)).toBe("█░░░░░░░")
})

describe("a quota line", () => {
  test("says what is left and when it is reset", () => {
    expect(quotaLine(quota({}), NOW, plain, "5h")).toBe("5h ██████░░  72 %  2 h 10 min")
  })
  test("of a window that has been reset since is full, and names no time", () => {
    expect(quotaLine(quota({ usedPercent: 100, resetsAt: NOW - 1 }), NOW, plain, "5h")).toBe("5h ████████ 100 %")
  })
  test("never says 0 while something is left, nor more than there is", () => {
    expect(quotaLine(quota({ usedPercent: 99.7, resetsAt: null }), NOW, plain, "5h")).toContain(" <1 %")
    expect(quotaLine(quota({ usedPercent: 130, resetsAt: null }), NOW, plain, "5h")).toContain(
      "░  0 %".replace("  ", "   "),
    )
    expect(quotaLine(quota({ usedPercent: Number.NaN, resetsAt: null }), NOW, plain, "5h")).toContain("░")
  })
  test("turns yellow, then red", () => {
    const paint = createPaint(true)
    const at = (usedPercent: number) => quotaLine(quota({ usedPercent, resetsAt: null }), NOW, paint, "5h")
    expect(at(50)).toContain("\x1b[32m")
    expect(at(80)).toContain("\x1b[33m")
    expect(at(97)).toContain("\x1b[31m")
  })
})

test("a window is called by its length, and by its family where there are several", () => {
  expect(quotaLabel(quota({}), 1)).toBe("5h")
  expect(quotaLabel(quota({ windowMinutes: 10_080 }), 1)).toBe("7d")
  expect(quotaLabel(quota({ windowMinutes: 90 }), 1)).toBe("90m")
  expect(quotaLabel(quota({ windowMinutes: null }), 1)).toBe("primary")
  expect(quotaLabel(quota({}), 2)).toBe("codex 5h")
})
