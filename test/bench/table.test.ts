import { describe, expect, test } from "bun:test"
import type { Cell, Results } from "../../scripts/lib/bench/results.ts"
import { BEGIN, END, report, withReport } from "../../scripts/lib/bench/table.ts"

const flat = (median: number) => ({ median, min: median, max: median })

function cell(subject: Cell["subject"], figures: Cell["figures"], more: Partial<Cell> = {}): Cell {
  return {
    section: "unary",
    api: "geminicli",
    transport: "http",
    subject,
    connections: 32,
    scale: 1024,
    figures,
    beside: {},
    failed: 0,
    ...more,
  }
}

function results(cells: readonly Cell[], more: Partial<Results> = {}): Results {
  return {
    at: "2026-11-22T10:00:00.000Z",
    revision: "0123456789ab",
    machine: { cpu: "A CPU", cores: 4, memoryGiB: 8, kernel: "6.1", bun: "1.4.5", tools: ["wrk 4.1.0"] },
    kind: "full",
    rounds: 5,
    samples: { counted: 600, repeated: 7, disturbed: 3 },
    executableBytes: 110 * 2 ** 20,
    cells,
    starts: [],
    scheduler: [],
    parts: [],
    ...more,
  }
}

describe("the report", () => {
  test("names machine, versions and revision", () => {
    const text = report(results([]))
    for (const part of [
      "600 samples count; 7 others were dropped",
      "and 3 count although",
      "A CPU",
      "4 cores",
      "Bun 1.4.5",
      "wrk 4.1.0",
      "0123456789ab",
      "2026-11-22",
      "110 MiB",
    ]) {
      expect(text).toContain(part)
    }
  })

  test("shows how a subject stands beside the bare one", () => {
    const text = report(
      results([
        cell(
          "geminicli",
          { rate: { median: 700, min: 650, max: 720 } },
          { beside: { rate: { ratio: 0.7, difference: 0 } } },
        ),
        cell("geminicli", { rate: flat(20) }, { connections: 256 }),
      ]),
    )
    expect(text).toContain("| **Pollux, geminicli** | 700 (650 to 720) |  |  |  |  | 0.70 | 0 |")
    expect(text).toContain("256 conn. | **Pollux, geminicli** | 20 |  |  |  |  |  | 0 |")
  })

  test("tells what a subject was busy with where it tells how late it was", () => {
    const more = { section: "lag", beside: { p99: { ratio: 1.5, difference: 100 } } } as const
    const late = { p50: flat(80), p95: flat(200), p99: flat(300) }
    const text = report(
      results([
        cell("geminicli", late, { ...more, under: "paced", connections: 64, scale: 100 }),
        cell("geminicli", late, { ...more, under: "body", connections: 8, scale: 1_000_000 }),
      ]),
    )
    expect(text).toContain(
      "| http, geminicli, 64 streams | **Pollux, geminicli** | 80 µs | 200 µs | 300 µs | 1.50 | 0 |",
    )
    expect(text).toContain("| http, geminicli, 8 conn., 1,000 KB | **Pollux, geminicli** |")
  })

  test("compares streams by the CPU time of an event", () => {
    const beside = { cpu: { ratio: 1.125, difference: 1 }, p50: { ratio: 3, difference: 2 } }
    const text = report(results([cell("codex", { cpu: flat(9) }, { section: "paced", api: "codex", beside })]))
    expect(text).toContain("| **Pollux, codex** | 9.00 µs |  |  |  |  | 1.13 | 0 |")
  })

  test("shows starts and the scheduler where they were measured", () => {
    const text = report(
      results([], {
        starts: [{ credentials: 1_000, ms: { median: 92.4, min: 90, max: 101 } }],
        scheduler: [{ credentials: 100_000, models: 16, operations: { acquireRelease: 153.2 } }],
      }),
    )
    expect(text).toContain("| 1,000 | 92 ms (90 ms to 101 ms) |")
    expect(text).toContain("| 100,000 | 16 | 153 |")
  })

  test("is put between the README's markers, again and again, and leaves the rest alone", () => {
    const readme = `# Title\n\n${BEGIN}\nold\n${END}\n\n## After\n`
    const once = withReport(readme, results([cell("pass", { rate: flat(1000) })]))
    expect(once.startsWith(`# Title\n\n${BEGIN}\n\nMeasured`)).toBe(true)
    expect(once.endsWith(`\n\n${END}\n\n## After\n`)).toBe(true)
    expect(once).not.toContain("old")
    expect(withReport(once, results([cell("pass", { rate: flat(1000) })]))).toBe(once)
  })

  test("is not put into a text without a place for it", () => {
    expect(() => withReport("# Title", results([]))).toThrow("put <!-- bench:begin -->")
    expect(() => withReport(`${END}${BEGIN}`, results([]))).toThrow("there is no place")
  })
})
