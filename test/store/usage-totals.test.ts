import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Timers } from "../../src/observe/clock.ts"
import { IN_MEMORY } from "../../src/store/open.ts"
import { HOUR_MS, type UsageCounts, type UsageEntry, type UsageLedger } from "../../src/store/usage.ts"
import { FLUSH_MS, MOST_GROUPS, RETRY_MS, UsageTotals } from "../../src/store/usage-totals.ts"
import { HandClock, memoryLog, open } from "./support.ts"

const HOUR = Date.UTC(2026, 5, 1, 12)
const entry = (more: Partial<UsageEntry> = {}): UsageEntry => ({
  at: HOUR,
  provider: "codex",
  model: "m1",
  credential: 1,
  principal: "default",
  requests: 1,
  errors: 0,
  attempts: 1,
  input: 100,
  output: 10,
  cached: 50,
  reasoning: 5,
  ...more,
})

/** Timers that a test lets fire. */
class HandTimers implements Timers {
  readonly set: { readonly ms: number; readonly task: () => void }[] = []
  after(ms: number, task: () => void): () => void {
    const timer = { ms, task }
    this.set.push(timer)
    return () => {
      const index = this.set.indexOf(timer)
      if (index >= 0) this.set.splice(index, 1)
    }
  }
  /** The one timer that is set fires; how long it was set for. */
  fire(): number {
    const [timer, ...others] = this.set.splice(0)
    if (timer === undefined || others.length > 0) throw new Error("expected exactly one timer")
    timer.task()
    return timer.ms
  }
}

/** A ledger that remembers what it was given, and can refuse it. */
class FakeLedger implements UsageLedger {
  readonly batches: (readonly UsageEntry[])[] = []
  broken = false
  add(entries: readonly UsageEntry[]): void {
    if (this.broken) throw new Error("disk full")
    this.batches.push(entries)
  }
  query(): [] {
    return []
  }
  prune(): void {}
  /** All that it holds, summed up. */
  total(name: keyof UsageCounts): number {
    return this.batches.flat().reduce((sum, each) => sum + each[name], 0)
  }
}

function setUp() {
  const ledger = new FakeLedger()
  const timers = new HandTimers()
  const log = memoryLog()
  const totals = new UsageTotals(ledger, { clock: new HandClock(), timers, log })
  return { ledger, timers, log, totals }
}

describe("usage in memory", () => {
  test("is written once a second, summed up to one entry for each group", () => {
    const { ledger, timers, totals } = setUp()
    for (let i = 0; i < 1000; i++) totals.add(entry({ at: HOUR + i }))
    expect(ledger.batches).toEqual([])
    expect(timers.fire()).toBe(FLUSH_MS)
    const sums = { requests: 1000, errors: 0, attempts: 1000, input: 100_000, output: 10_000, cached: 50_000 }
    expect(ledger.batches).toEqual([[entry({ ...sums, reasoning: 5000 })]])
    expect(timers.set).toEqual([])
  })

  test("sets no timer while nothing is used, and one however much is used", () => {
    const { timers, totals } = setUp()
    totals.flush()
    expect(timers.set).toHaveLength(0)
    totals.add(entry())
    totals.add(entry({ model: "m2" }))
    expect(timers.set).toHaveLength(1)
    timers.fire()
    totals.add(entry())
    expect(timers.set).toHaveLength(1)
  })

  const apart: readonly (readonly [what: string, other: Partial<UsageEntry>])[] = [
    ["hour", { at: HOUR + HOUR_MS }],
    ["provider", { provider: "geminicli" }],
    ["model", { model: "m2" }],
    ["credential", { credential: 2 }],
    ["missing credential", { credential: null }],
    ["key", { principal: "laptop" }],
    ["missing key", { principal: null }],
  ]
  for (const [what, other] of apart) {
    test(`is counted apart for another ${what}`, () => {
      const { ledger, totals } = setUp()
      totals.add(entry())
      totals.add(entry(other))
      totals.add(entry())
      totals.flush()
      expect(ledger.batches).toEqual([
        [entry({ requests: 2, attempts: 2, input: 200, output: 20, cached: 100, reasoning: 10 }), entry(other)],
      ])
    })
  }

  test("is the same hour up to its last millisecond", () => {
    const { ledger, totals } = setUp()
    totals.add(entry())
    totals.add(entry({ at: HOUR + HOUR_MS - 1 }))
    totals.flush()
    expect(ledger.batches[0]).toHaveLength(1)
  })

  test("is written at once when it is asked for, and not again by the timer", () => {
    const { ledger, timers, totals } = setUp()
    totals.add(entry())
    totals.flush()
    expect(ledger.total("requests")).toBe(1)
    expect(timers.set).toEqual([])
    totals.flush()
    expect(ledger.batches).toHaveLength(1)
  })

  test("is written when the process ends, and no timer is left behind", () => {
    const { ledger, timers, totals } = setUp()
    totals.add(entry())
    totals.close()
    expect(ledger.total("requests")).toBe(1)
    expect(timers.set).toEqual([])
  })

  test("changes no entry that was handed in", () => {
    const { totals } = setUp()
    const first = Object.freeze(entry())
    totals.add(first)
    totals.add(entry())
    expect(first.requests).toBe(1)
  })
})

describe("usage that cannot be written", () => {
  test("is kept, told, and tried again by itself, also when nothing more is used", () => {
    const { ledger, timers, totals, log } = setUp()
    totals.add(entry())
    ledger.broken = true
    timers.fire()
    expect(log.lines).toEqual([
      { level: "warn", event: "usage_not_written", fields: { reason: "disk full", groups: 1, dropped: 0 } },
    ])
    totals.add(entry())
    ledger.broken = false
    expect(timers.fire()).toBe(RETRY_MS)
    expect(ledger.batches).toEqual([
      [entry({ requests: 2, attempts: 2, input: 200, output: 20, cached: 100, reasoning: 10 })],
    ])
    expect(log.lines).toHaveLength(1)
    expect(timers.set).toEqual([])
  })

  test("leaves no timer behind at the end", () => {
    const { ledger, timers, totals } = setUp()
    ledger.broken = true
    totals.add(entry())
    totals.close()
    expect(timers.set).toEqual([])
  })

  test("is bounded: known groups go on counting, what no longer fits is counted as lost and said so once", () => {
    const { ledger, totals, log } = setUp()
    ledger.broken = true
    for (let i = 0; i < MOST_GROUPS + 3; i++) totals.add(entry({ model: `m${i}` }))
    totals.add(entry({ model: "m0" }))
    totals.flush()
    expect(log.lines.at(-1)?.fields).toEqual({ reason: "disk full", groups: MOST_GROUPS, dropped: 3 })
    ledger.broken = false
    totals.flush()
    expect(ledger.total("requests")).toBe(MOST_GROUPS + 1)
    expect(log.lines.at(-1)).toEqual({ level: "warn", event: "usage_lost", fields: { requests: 3 } })
    totals.add(entry({ model: "another" }))
    totals.flush()
    expect(log.lines.filter(({ event }) => event === "usage_lost")).toHaveLength(1)
  })
})

test("nothing is lost and nothing is counted twice, whatever fails in between", () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant("add" as const), model: fc.nat(3), hours: fc.nat(2), input: fc.nat(99) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("break" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("mend" as const) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { ledger, totals, timers } = setUp()
      let requests = 0
      let input = 0
      for (const each of steps) {
        if (each.do === "add") {
          totals.add(entry({ model: `m${each.model}`, at: HOUR + each.hours * HOUR_MS, input: each.input }))
          requests += 1
          input += each.input
        } else if (each.do === "flush") totals.flush()
        else ledger.broken = each.do === "break"
        expect(timers.set.length).toBeLessThanOrEqual(1)
      }
      ledger.broken = false
      totals.close()
      expect([ledger.total("requests"), ledger.total("input")]).toEqual([requests, input])
    }),
    { numRuns: 300 },
  )
})

test("the real ledger holds what was summed up", () => {
  const { store } = open(IN_MEMORY)
  const totals = new UsageTotals(store.usage, { clock: new HandClock(), timers: new HandTimers(), log: memoryLog() })
  for (let i = 0; i < 5; i++) totals.add(entry({ principal: null, credential: null }))
  totals.flush()
  totals.add(entry({ principal: null, credential: null }))
  totals.close()
  expect(store.usage.query({ by: "principal", since: 0, until: Number.MAX_SAFE_INTEGER })).toMatchObject([
    { principal: null, requests: 6, input: 600 },
  ])
  store.close()
})
