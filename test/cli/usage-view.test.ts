import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { wholeSpan } from "../../src/cli/usage.ts"
import { GROUPINGS, human, share, total, type UsageRow, usageCells, usageColumns } from "../../src/cli/usage-view.ts"

const row = (more: Partial<UsageRow> = {}): UsageRow => ({
  ...{ start: null, provider: null, model: null, credential: null, principal: null },
  ...{ requests: 1, errors: 0, attempts: 1, input: 0, output: 0, cached: 0, reasoning: 0 },
  ...more,
})

describe("a count for people", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, "0"],
    [999, "999"],
    [1000, "1.0k"],
    [1999, "1.9k"],
    [9999, "9.9k"],
    [10_500, "10k"],
    [999_999, "999k"],
    [1_000_000, "1.0M"],
    [2_345_678_901, "2.3G"],
    [4e15, "4.0P"],
    [4e18, "4000P"],
    [-1500, "-1.5k"],
  ]
  for (const [count, shown] of cases) test(`${count} is ${shown}`, () => expect(human(count)).toBe(shown))

  test("is never more than the true one, and at most a tenth less", () => {
    const units: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 }
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (count) => {
        const [, digits = "", unit = ""] = /^([\d.]+)([kMGTP]?)$/.exec(human(count)) ?? []
        const read = Number(digits) * (units[unit] ?? Number.NaN)
        expect(read).toBeLessThanOrEqual(count * 1.000001)
        expect(read).toBeGreaterThanOrEqual(count * 0.9)
      }),
    )
  })
})

describe("the cached share", () => {
  test("is part of the input, cut short", () => {
    expect(share(0, 1000)).toBe("0 (0 %)")
    expect(share(1, 1000)).toBe("1 (<1 %)")
    expect(share(999, 1000)).toBe("999 (99 %)")
    expect(share(1000, 1000)).toBe("1.0k (100 %)")
  })

  test("is none where there was no input", () => expect(share(0, 0)).toBe("-"))
})

describe("a row", () => {
  const start = Date.UTC(2026, 10, 1, 13)
  const labels: Readonly<Record<(typeof GROUPINGS)[number], readonly (readonly [UsageRow, string])[]>> = {
    model: [[row({ provider: "codex", model: "m1" }), "codex m1"]],
    credential: [
      [row({ provider: "codex", credential: 3 }), "codex:3"],
      [row({ provider: "codex" }), "codex (none)"],
    ],
    day: [[row({ start }), "2026-11-01"]],
    hour: [
      [row({ start }), "2026-11-01 13:00"],
      [row({ start: 9e15 }), "?"],
    ],
    provider: [[row({ provider: "geminicli" }), "geminicli"]],
    key: [
      [row({ principal: "laptop" }), "laptop"],
      [row(), "(none)"],
    ],
  }
  for (const by of GROUPINGS) {
    for (const [given, label] of labels[by]) {
      test(`by ${by} is named ${label}`, () => expect(usageCells(by, [given])[0]?.[0]).toBe(label))
    }
  }

  test("has a cell for every column", () => {
    for (const by of GROUPINGS) expect(usageCells(by, [row()])[0]).toHaveLength(usageColumns(by).length)
  })

  test("cannot drive the terminal with a model's name", () => {
    expect(usageCells("model", [row({ provider: "codex", model: "\x1b[2Jm\n" })])[0]?.[0]).toBe("codex \\x1b[2Jm\\n")
  })
})

test("sums stand below more than one row, and are those of the rows", () => {
  expect(usageCells("key", [row()])).toHaveLength(1)
  const rows = [row({ input: 900, cached: 450 }), row({ requests: 2, errors: 1, input: 100, output: 7 })]
  expect(usageCells("key", rows).at(-1)).toEqual(["total", "3", "1", "2", "1.0k", "450 (45 %)", "7", "0"])
  expect(total([])).toEqual({ requests: 0, errors: 0, attempts: 0, input: 0, cached: 0, output: 0, reasoning: 0 })
})

describe("the beginning of a span", () => {
  const now = Date.UTC(2026, 10, 22, 12, 34)
  const day = 86_400_000
  test("is the whole hour that it is in", () => {
    expect(wholeSpan(now - day, now, "model")).toBe(Date.UTC(2026, 10, 21, 12))
  })
  test("is the whole day by day, and where only days are kept", () => {
    expect(wholeSpan(now - day, now, "day")).toBe(Date.UTC(2026, 10, 21))
    expect(wholeSpan(now - 40 * day, now, "model")).toBe(Date.UTC(2026, 9, 13))
  })
  test("is not before 1970", () => expect(wholeSpan(-5, now, "model")).toBe(0))
})
