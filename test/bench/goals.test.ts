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
    failed: 0,
  } as const
  return { ...base, subject, figures, ...more }
}

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

test("a rate is compared with the bare one under the same load, API and transport", () => {
  const own = cell("geminicli", { rate: flat(7_000) })
  const others = [
    cell("pass", { rate: flat(1) }, { api: "codex" }),
    cell("pass", { rate: flat(2) }, { transport: "tls-h1" }),
    cell("pass", { rate: flat(3) }, { connections: 64 }),
  ]
  expect(verdicts({ cells: [own, ...others, cell("pass", { rate: flat(10_000) })] })).toEqual([
    [">= 0.70 x", "0.70 x", true],
  ])
  expect(verdicts({ cells: [own, cell("pass", { rate: flat(10_100) })] })).toEqual([[">= 0.70 x", "0.69 x", false]])
})

test("costs, latencies, memory and starts are missed by being too high", () => {
  const paced = { section: "paced", api: "codex", connections: 64 } as const
  const cells = [
    cell("read", { cpu: flat(10), p99: flat(500) }, paced),
    cell("codex", { cpu: flat(12.4), p99: flat(1_501) }, paced),
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
