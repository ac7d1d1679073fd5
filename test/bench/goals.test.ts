import { expect, test } from "bun:test"
import { goalRows } from "../../scripts/lib/bench/goals.ts"
import type { Cell, Results } from "../../scripts/lib/bench/results.ts"

const flat = (median: number) => ({ median, min: median, max: median })

function cell(subject: Cell["subject"], figures: Cell["figures"], more: Partial<Cell> = {}): Cell {
  const base = {
    section: "unary",
    api: "geminicli",
    transport: "http",
    connections: 32,
    scale: 1024,
    beside: {},
    failed: 0,
  } as const
  return { ...base, subject, figures, ...more }
}

const ratio = (value: number) => ({ ratio: value, difference: 0 })
const difference = (value: number) => ({ ratio: 1, difference: value })

function results(more: Partial<Results>): Results {
  return {
    at: "2026-11-22T10:00:00.000Z",
    revision: "0123456789ab",
    machine: { cpu: "A CPU", cores: 4, memoryGiB: 8, kernel: "6.1", bun: "1.4.5", tools: [] },
    kind: "full",
    rounds: 5,
    samples: { counted: 5, repeated: 0, disturbed: 0 },
    executableBytes: 0,
    cells: [],
    starts: [],
    scheduler: [],
    parts: [],
    ...more,
  }
}

const verdicts = (more: Partial<Results>) =>
  goalRows(results(more)).map(({ wanted, measured, met }) => [wanted, measured, met])

test("a goal without figures is not spoken of", () => {
  expect(goalRows(results({}))).toEqual([])
  expect(goalRows(results({ cells: [cell("geminicli", { rate: flat(10) })] }))).toEqual([])
})

test("a rate is looked for under its own load, API and transport", () => {
  const others = [
    cell("pass", {}, { beside: { rate: ratio(0.1) } }),
    cell("geminicli", {}, { beside: { rate: ratio(0.2) }, transport: "tls-h1" }),
    cell("geminicli", {}, { beside: { rate: ratio(0.3) }, connections: 256 }),
    cell("geminicli", {}, { beside: { rate: ratio(0.4) }, section: "body" }),
  ]
  const own = (value: number) => cell("geminicli", {}, { beside: { rate: ratio(value) } })
  expect(verdicts({ cells: [...others, own(0.7)] })).toEqual([[">= 0.70 x", "0.70 x", true]])
  expect(verdicts({ cells: [...others, own(0.69)] })).toEqual([[">= 0.70 x", "0.69 x", false]])
})

test("costs, latencies, memory and starts are missed by being too high", () => {
  const paced = { section: "paced", api: "codex", connections: 64 } as const
  const cells = [
    cell("codex", {}, { ...paced, beside: { cpu: ratio(1.24), p99: difference(1_001) } }),
    cell("geminicli", { rss: flat(251e6) }, { section: "open", connections: 5_000 }),
  ]
  const starts = [
    { credentials: 0, ms: flat(59.4) },
    { credentials: 1_000, ms: flat(150) },
  ]
  const scheduler = [
    { credentials: 1, models: 1, operations: { acquireRelease: 900 } },
    { credentials: 10, models: 1, operations: { acquireRelease: 130 } },
    { credentials: 100_000, models: 128, operations: { acquireRelease: 480 } },
  ]
  expect(verdicts({ cells, starts, scheduler })).toEqual([
    ["<= 1.25 x", "1.24 x", true],
    ["<= 1000 µs", "1001 µs", false],
    ["<= 250 MB", "251 MB", false],
    ["< 60 ms", "59 ms", true],
    ["< 150 ms", "150 ms", false],
    ["< 500 ns", "480 ns at most", true],
  ])
})
