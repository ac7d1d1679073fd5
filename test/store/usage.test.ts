import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { IN_MEMORY } from "../../src/store/open.ts"
import { DAY_MS, HOUR_MS, type UsageEntry } from "../../src/store/usage.ts"
import { open, Scratch } from "./support.ts"

const DAY = Date.UTC(2026, 5, 1)
const entry = (more: Partial<UsageEntry> = {}): UsageEntry => ({
  at: DAY,
  provider: "codex",
  model: "m1",
  credential: 1,
  principal: null,
  requests: 1,
  errors: 0,
  attempts: 2,
  input: 100,
  output: 10,
  cached: 50,
  reasoning: 5,
  ...more,
})
const ALL = { since: 0, until: Number.MAX_SAFE_INTEGER }
const GROUPINGS = ["model", "credential", "day", "hour", "provider", "principal"] as const

describe("the usage ledger", () => {
  test("sums up by each grouping", () => {
    const { store } = open(IN_MEMORY)
    store.usage.add([
      entry(),
      entry({ at: DAY + HOUR_MS - 1, errors: 1, principal: "ci" }),
      entry({ at: DAY + HOUR_MS, model: "m2", credential: null }),
      entry({ at: DAY + DAY_MS, provider: "geminicli", model: "m3" }),
    ])
    const by = (by: (typeof GROUPINGS)[number]) => store.usage.query({ by, ...ALL })
    const nothing = { start: null, provider: null, model: null, credential: null, principal: null }
    const sums = (requests: number, errors = 0) => ({
      ...{ requests, errors, attempts: 2 * requests, input: 100 * requests },
      ...{ output: 10 * requests, cached: 50 * requests, reasoning: 5 * requests },
    })
    expect(by("provider")).toEqual([
      { ...nothing, provider: "codex", ...sums(3, 1) },
      { ...nothing, provider: "geminicli", ...sums(1) },
    ])
    expect(by("model")).toEqual([
      { ...nothing, provider: "codex", model: "m1", ...sums(2, 1) },
      { ...nothing, provider: "codex", model: "m2", ...sums(1) },
      { ...nothing, provider: "geminicli", model: "m3", ...sums(1) },
    ])
    expect(by("credential")).toEqual([
      { ...nothing, provider: "codex", credential: 1, ...sums(2, 1) },
      { ...nothing, provider: "codex", credential: null, ...sums(1) },
      { ...nothing, provider: "geminicli", credential: 1, ...sums(1) },
    ])
    expect(by("principal")).toEqual([
      { ...nothing, ...sums(3) },
      { ...nothing, principal: "ci", ...sums(1, 1) },
    ])
    expect(by("day")).toEqual([
      { ...nothing, start: DAY, ...sums(3, 1) },
      { ...nothing, start: DAY + DAY_MS, ...sums(1) },
    ])
    expect(by("hour").map(({ start, requests }) => [start, requests])).toEqual([
      [DAY, 2],
      [DAY + HOUR_MS, 1],
      [DAY + DAY_MS, 1],
    ])
    store.close()
  })

  test("asks for the hours that begin in a span", () => {
    const { store } = open(IN_MEMORY)
    store.usage.add([entry({ at: DAY }), entry({ at: DAY + HOUR_MS }), entry({ at: DAY + 2 * HOUR_MS })])
    const count = (since: number, until: number) =>
      store.usage.query({ by: "provider", since, until }).map(({ requests }) => requests)
    expect(count(DAY, DAY + 2 * HOUR_MS)).toEqual([2])
    expect(count(DAY + 1, DAY + 2 * HOUR_MS)).toEqual([1])
    expect(count(DAY + 3 * HOUR_MS, DAY + DAY_MS)).toEqual([])
    store.close()
  })

  test("loses nothing when hours become days, and forgets days after 400", () => {
    const { store } = open(IN_MEMORY)
    const span = 60
    store.usage.add(
      Array.from({ length: span * 24 }, (_, hour) => entry({ at: DAY + hour * HOUR_MS, credential: hour % 3 })),
    )
    const byCredential = () => store.usage.query({ by: "credential", ...ALL })
    const byDay = () => store.usage.query({ by: "day", ...ALL })
    const before = { credential: byCredential(), day: byDay() }
    const now = DAY + span * DAY_MS + 5 * HOUR_MS
    store.usage.prune(now)
    expect({ credential: byCredential(), day: byDay() }).toEqual(before)
    // 25 whole days are older than 35 days; the 25th is folded whole or not at all.
    const hours = store.usage.query({ by: "hour", ...ALL })
    expect(hours.filter(({ requests }) => requests === 24)).toHaveLength(25)
    expect(hours).toHaveLength(25 + 35 * 24)
    // Late entries for a folded hour join their day the next time.
    store.usage.add([entry({ at: DAY + HOUR_MS })])
    store.usage.prune(now)
    expect(byDay()[0]).toMatchObject({ start: DAY, requests: 25 })
    expect(store.usage.query({ by: "hour", ...ALL })).toHaveLength(25 + 35 * 24)

    store.usage.prune(DAY + 401 * DAY_MS)
    expect(byDay()[0]).toMatchObject({ start: DAY + DAY_MS })
    store.usage.prune(DAY + 1000 * DAY_MS)
    expect(byDay()).toEqual([])
    store.close()
  })

  test("prunes by itself once an hour, so that it cannot grow for want of a caller", () => {
    const { store, clock } = open(IN_MEMORY)
    store.usage.add([entry({ at: clock.now - 500 * DAY_MS })])
    expect(store.usage.query({ by: "day", ...ALL })).toHaveLength(1)
    clock.now += HOUR_MS
    store.usage.add([])
    expect(store.usage.query({ by: "day", ...ALL })).toEqual([])
    store.close()
  })

  test("takes counts that no upstream should send without losing the rest of the batch", () => {
    const { store } = open(IN_MEMORY)
    store.usage.add([
      entry({ input: Number.NaN, output: -5, cached: Number.POSITIVE_INFINITY, reasoning: 1.9 }),
      entry(),
    ])
    expect(store.usage.query({ by: "provider", ...ALL })).toMatchObject([
      { requests: 2, input: 100, output: 10, cached: 50, reasoning: 6 },
    ])
    store.close()
  })

  test("is still there after a restart", () => {
    using scratch = new Scratch()
    const first = open(scratch.path())
    first.store.usage.add([entry(), entry()])
    first.store.close()
    const second = open(scratch.path())
    second.store.usage.add([entry()])
    expect(second.store.usage.query({ by: "model", ...ALL })).toMatchObject([{ model: "m1", requests: 3 }])
    second.store.close()
  })

  test("every grouping sums up to the same, however it was added and folded", () => {
    const entries = fc.array(
      fc.record({
        at: fc.integer({ min: DAY - 80 * DAY_MS, max: DAY }),
        model: fc.constantFrom("m1", "m2"),
        provider: fc.constantFrom("codex", "geminicli"),
        credential: fc.constantFrom(null, 1, 2),
        principal: fc.constantFrom(null, "ci"),
        input: fc.nat(1000),
      }),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(entries, fc.integer({ min: 0, max: 60 }), (some, days) => {
        const { store } = open(IN_MEMORY)
        for (const more of some) store.usage.add([entry(more)])
        store.usage.prune(DAY + days * DAY_MS)
        const total = some.reduce((sum, { input }) => sum + input, 0)
        for (const by of GROUPINGS) {
          const rows = store.usage.query({ by, ...ALL })
          expect(rows.reduce((sum, { input }) => sum + input, 0)).toBe(total)
          expect(rows.reduce((sum, { requests }) => sum + requests, 0)).toBe(some.length)
        }
        store.close()
      }),
      { numRuns: 25 },
    )
  })
})
