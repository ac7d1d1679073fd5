import { afterEach, describe, expect, test } from "bun:test"
import { Registry } from "prom-client"
import { createMetrics, type Metrics, type RequestSample } from "../../src/observe/metrics.ts"

let open: Metrics[] = []
afterEach(() => {
  for (const metrics of open) metrics.close()
  open = []
})

function make() {
  let mono = 0
  const tasks: { due: number; task: () => void }[] = []
  const metrics = createMetrics({
    version: "1.2.3",
    clock: { mono: () => mono, wall: () => 1_800_000_000_000 },
    timers: {
      after(ms, task) {
        const entry = { due: mono + ms, task }
        tasks.push(entry)
        return () => void tasks.splice(tasks.indexOf(entry), 1)
      },
    },
  })
  open.push(metrics)
  metrics.allow({ principals: ["default", "laptop"], models: { alpha: ["m1", "m2"], beta: ["m3"] } })
  return {
    metrics,
    /** The loop was busy: timers that were due run only now. */
    jump(ms: number) {
      mono += ms
      for (const entry of tasks.splice(0)) {
        if (entry.due <= mono) entry.task()
        else tasks.push(entry)
      }
    },
    timers: () => tasks.length,
  }
}

function sample(over: Partial<RequestSample> = {}): RequestSample {
  return {
    provider: "alpha",
    model: "m1",
    inbound: { principal: "default" },
    status: 200,
    queueMs: 0,
    firstByteMs: 120,
    durationMs: 1500,
    overheadMs: 0.08,
    usage: { input: 100, output: 20, cached: 50, reasoning: null },
    end: "complete",
    ...over,
  }
}

function counts(over: Record<string, number> = {}) {
  const zero = { ready: 0, cooling: 0, refreshing: 0, expired: 0, parked: 0, disabled: 0, banned: 0 }
  return { ...zero, inFlight: 0, waiting: 0, pendingSeeds: 0, ...over }
}

/** The value of one series, its labels in any order; null when it is not there. */
async function read(metrics: Metrics, name: string, labels: Record<string, string> = {}): Promise<number | null> {
  for (const line of (await metrics.text()).split("\n")) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match?.[1] !== name) continue
    const found = Object.fromEntries(
      [...(match[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)].map((pair) => [pair[1], pair[2]]),
    )
    if (Bun.deepEquals(found, labels)) return Number(match[3])
  }
  return null
}

describe("the metrics", () => {
  test("count finished requests by provider, model, status and key", async () => {
    const { metrics } = make()
    metrics.finish(sample())
    metrics.finish(sample())
    metrics.finish(sample({ status: 429, inbound: { principal: "laptop" }, end: "refused", usage: null }))
    const labels = { provider: "alpha", model: "m1" }
    expect(await read(metrics, "pollux_requests_total", { ...labels, status: "200", principal: "default" })).toBe(2)
    expect(await read(metrics, "pollux_requests_total", { ...labels, status: "429", principal: "laptop" })).toBe(1)
    expect(await read(metrics, "pollux_request_ends_total", { ...labels, end: "refused" })).toBe(1)
    expect(await read(metrics, "pollux_tokens_total", { ...labels, kind: "input" })).toBe(200)
    expect(await read(metrics, "pollux_tokens_total", { ...labels, kind: "cached" })).toBe(100)
    expect(await read(metrics, "pollux_tokens_total", { ...labels, kind: "reasoning" })).toBe(0)
  })

  test("give the same when they are scraped again", async () => {
    const { metrics } = make()
    metrics.finish(sample())
    metrics.attempt({ provider: "alpha", model: "m1", cause: "ok" })
    const counters = async () =>
      (await metrics.text()).split("\n").filter((line) => /^pollux_(?!process|event)/.test(line))
    expect(await counters()).toEqual(await counters())
  })

  test("put times in seconds into cumulative buckets", async () => {
    const { metrics } = make()
    for (const firstByteMs of [50, 51, 700_000, null]) metrics.finish(sample({ firstByteMs }))
    const at = (le: string) => read(metrics, "pollux_first_byte_seconds_bucket", { provider: "alpha", model: "m1", le })
    expect(await at("0.05")).toBe(1)
    expect(await at("0.1")).toBe(2)
    expect(await at("600")).toBe(2)
    expect(await at("+Inf")).toBe(3)
    const labels = { provider: "alpha", model: "m1" }
    expect(await read(metrics, "pollux_first_byte_seconds_count", labels)).toBe(3)
    expect(await read(metrics, "pollux_first_byte_seconds_sum", labels)).toBeCloseTo(700.101, 6)
    expect(await read(metrics, "pollux_overhead_seconds_bucket", { ...labels, le: "0.0001" })).toBe(4)
    expect(await read(metrics, "pollux_acquire_seconds_bucket", { ...labels, le: "0.0001" })).toBe(4)
    expect(await read(metrics, "pollux_request_duration_seconds_bucket", { ...labels, le: "2.5" })).toBe(4)
  })

  test("make no series for what a client made up", async () => {
    const { metrics } = make()
    for (let index = 0; index < 500; index++) {
      metrics.finish(
        sample({ model: `made-up-${index}`, inbound: { principal: `nobody-${index}` }, end: `end-${index}` }),
      )
      metrics.attempt({ provider: "alpha", model: `m${index}`, cause: `cause_${index}` })
      metrics.rejected(`reason ${index}\n`)
      metrics.refresh("alpha", `outcome-${index}`)
    }
    const text = await metrics.text()
    expect(text).not.toContain("made-up")
    expect(text).not.toContain("nobody")
    expect(text).not.toContain("reason 1")
    expect(text.split("\n").length).toBeLessThan(800)
    expect(
      await read(metrics, "pollux_requests_total", {
        provider: "alpha",
        model: "other",
        status: "200",
        principal: "other",
      }),
    ).toBe(500)
    expect(await read(metrics, "pollux_rejected_requests_total", { reason: "other" })).toBe(500)
  })

  test("follow a reload of the model list", async () => {
    const { metrics } = make()
    metrics.allow({ principals: ["default"], models: { alpha: ["new"] } })
    metrics.finish(sample({ model: "new" }))
    metrics.finish(sample({ model: "m1" }))
    const labels = { provider: "alpha", status: "200", principal: "default" }
    expect(await read(metrics, "pollux_requests_total", { ...labels, model: "new" })).toBe(1)
    expect(await read(metrics, "pollux_requests_total", { ...labels, model: "other" })).toBe(1)
  })

  test("put a model that a reload took away with the others, also when it was the last one counted", async () => {
    const { metrics } = make()
    for (const model of ["m1", "m2", "m1", "m1", "m2", "m1"]) metrics.finish(sample({ model }))
    metrics.allow({ principals: ["default"], models: { alpha: ["m2"] } })
    metrics.finish(sample({ model: "m1" }))
    metrics.attempt({ provider: "alpha", model: "m1", cause: "ok" })
    const labels = { provider: "alpha", status: "200", principal: "default" }
    expect(await read(metrics, "pollux_requests_total", { ...labels, model: "m1" })).toBe(4)
    expect(await read(metrics, "pollux_requests_total", { ...labels, model: "m2" })).toBe(2)
    expect(await read(metrics, "pollux_requests_total", { ...labels, model: "other" })).toBe(1)
    expect(await read(metrics, "pollux_attempts_total", { provider: "alpha", model: "other", cause: "ok" })).toBe(1)
  })

  test("count words and statuses that come in turns", async () => {
    const { metrics } = make()
    for (let index = 0; index < 12; index++) {
      metrics.finish(
        sample({
          status: [200, 429, 500][index % 3] ?? 0,
          end: index % 2 === 0 ? "complete" : "cut",
          inbound: { principal: index % 4 === 0 ? "laptop" : "default" },
        }),
      )
    }
    const labels = { provider: "alpha", model: "m1" }
    for (const [status, principal, amount] of [
      ["200", "laptop", 1],
      ["429", "laptop", 1],
      ["500", "laptop", 1],
      ["200", "default", 3],
    ] as const) {
      expect(await read(metrics, "pollux_requests_total", { ...labels, status, principal })).toBe(amount)
    }
    expect(await read(metrics, "pollux_request_ends_total", { ...labels, end: "complete" })).toBe(6)
    expect(await read(metrics, "pollux_request_ends_total", { ...labels, end: "cut" })).toBe(6)
  })

  test("ask the pools when they are scraped", async () => {
    const { metrics } = make()
    let now = counts({ ready: 2, parked: 1, waiting: 3, inFlight: 4, pendingSeeds: 5 })
    const relay = { active: 7 }
    metrics.watch({ provider: "alpha", relay, pool: { counts: () => now, ready: (model) => (model === "m1" ? 2 : 0) } })
    metrics.watch({ provider: "beta", relay, pool: { counts: () => counts(), ready: () => 0 } })
    const provider = "alpha"
    expect(await read(metrics, "pollux_credentials", { provider, state: "ready" })).toBe(2)
    expect(await read(metrics, "pollux_credentials", { provider, state: "parked" })).toBe(1)
    expect(await read(metrics, "pollux_credentials_ready", { provider, model: "m1" })).toBe(2)
    expect(await read(metrics, "pollux_credentials_ready", { provider, model: "m2" })).toBe(0)
    expect(await read(metrics, "pollux_leases", { provider })).toBe(4)
    expect(await read(metrics, "pollux_waiting_requests", { provider })).toBe(3)
    expect(await read(metrics, "pollux_pending_seeds", { provider })).toBe(5)
    expect(await read(metrics, "pollux_active_requests", { provider: "beta" })).toBe(7)
    now = counts({ ready: 1 })
    expect(await read(metrics, "pollux_credentials", { provider, state: "ready" })).toBe(1)
    expect(await read(metrics, "pollux_credentials", { provider, state: "parked" })).toBe(0)
    metrics.allow({ principals: [], models: { alpha: ["m2"] } })
    expect(await read(metrics, "pollux_credentials_ready", { provider, model: "m1" })).toBeNull()
  })

  test("measure how late the event loop is, and stop when closed", async () => {
    const { metrics, jump, timers } = make()
    jump(250)
    jump(250 + 80)
    expect(await read(metrics, "pollux_event_loop_lag_seconds_count")).toBe(2)
    expect(await read(metrics, "pollux_event_loop_lag_seconds_bucket", { le: "0.001" })).toBe(1)
    expect(await read(metrics, "pollux_event_loop_lag_seconds_sum")).toBeCloseTo(0.08, 6)
    metrics.close()
    expect(timers()).toBe(0)
  })

  test("are named pollux_*, have help and type, and are counted per app", async () => {
    const { metrics } = make()
    const { metrics: other } = make()
    metrics.seed("alpha", "adopted")
    metrics.refresh("alpha", "ok")
    const text = await metrics.text()
    expect(metrics.contentType).toStartWith("text/plain; version=0.0.4")
    expect(await read(metrics, "pollux_build_info", { version: "1.2.3" })).toBe(1)
    expect(await read(metrics, "pollux_seeds_total", { provider: "alpha", outcome: "adopted" })).toBe(1)
    expect(await read(other, "pollux_seeds_total", { provider: "alpha", outcome: "adopted" })).toBeNull()
    const typed = new Set([...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map((match) => match[1]))
    for (const line of text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))) {
      const name = /^\w+/.exec(line)?.[0] ?? ""
      expect(name).toStartWith("pollux_")
      expect(typed.has(name) || typed.has(name.replace(/_(bucket|sum|count)$/, ""))).toBe(true)
    }
    expect(await read(metrics, "pollux_process_resident_memory_bytes")).toBeGreaterThan(1e6)
    expect(await read(metrics, "pollux_process_cpu_seconds_total")).toBeGreaterThan(0)
  })
})

test("what was counted before the first scrape is in it, and two at once see the same", async () => {
  const { metrics } = make()
  metrics.refresh("beta", "ok")
  metrics.refresh("alpha", "transient")
  metrics.refresh("beta", "ok")
  metrics.rejected("unauthorized")
  const [one, two] = await Promise.all([metrics.text(), metrics.text()])
  const series = (text: string) => text.split("\n").filter((line) => /^pollux_(refreshes|rejected)/.test(line))
  expect(series(one)).toEqual([
    'pollux_refreshes_total{provider="beta",outcome="ok"} 2',
    'pollux_refreshes_total{provider="alpha",outcome="transient"} 1',
    'pollux_rejected_requests_total{reason="unauthorized"} 1',
  ])
  expect(series(two)).toEqual(series(one))
  metrics.rejected("unauthorized")
  expect(series(await metrics.text()).at(-1)).toBe('pollux_rejected_requests_total{reason="unauthorized"} 2')
})

test("the content type is the metrics library's own", () => {
  expect(make().metrics.contentType).toBe(Registry.PROMETHEUS_CONTENT_TYPE)
})

test("readiness is asked at each scrape", async () => {
  let ready = true
  const metrics = createMetrics({
    version: "1",
    clock: { mono: () => 0, wall: () => 0 },
    timers: { after: () => () => {} },
    ready: () => ready,
  })
  open.push(metrics)
  expect(await read(metrics, "pollux_ready")).toBe(1)
  ready = false
  expect(await read(metrics, "pollux_ready")).toBe(0)
  expect(await read(make().metrics, "pollux_ready")).toBe(1)
})
