import { describe, expect, test } from "bun:test"
import { answers, type Bench, bench, byCredential, streams } from "./support/bench.ts"
import { fakePool, waits } from "./support/pool.ts"
import { event } from "./support/toy.ts"
import type { Exchange } from "./support/upstream.ts"

const HELLO = event("hello")
const TEXT = event("text")

/** Resolves when `condition` holds; fails the test by its own time limit otherwise. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1)
}

async function gone(b: Bench): Promise<void> {
  await b.recorded(1)
  expect(b.requests).toHaveLength(1)
  expect(b.pool.open).toBe(0)
  expect(b.pool.wrong).toEqual([])
  expect(b.pool.reports).toEqual([])
  expect(b.relay.active).toBe(0)
}

function exchangeOf(b: Bench): Exchange {
  const exchange = b.upstream.exchanges[0]
  if (exchange === undefined) throw new Error("nothing reached the upstream")
  return exchange
}

describe("a client that leaves", () => {
  test("while the answer's head is awaited has the upstream cancelled within 100 ms", async () => {
    const b = bench({ script: () => undefined })
    const controller = new AbortController()
    const request = fetch(b.url, { method: "POST", body: "x", signal: controller.signal })
    request.catch(() => undefined)
    await until(() => b.upstream.exchanges.length === 1)
    const at = performance.now()
    controller.abort()
    expect((await exchangeOf(b).closed) - at).toBeLessThan(100)
    await gone(b)
    expect(b.requests[0]).toMatchObject({ status: 499, end: "client_gone", attempts: 1, credential: 1 })
    expect(b.attempts).toMatchObject([{ cause: "client_gone" }])
    expect(b.pool.ends).toMatchObject([{ credential: 1, end: { served: false } }])
    expect(b.provider.judged).toEqual([])
  })

  test("while the first events are held back has the upstream cancelled within 100 ms", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(HELLO)
      },
    })
    const controller = new AbortController()
    const request = fetch(b.url, { method: "POST", body: "x", signal: controller.signal })
    request.catch(() => undefined)
    await until(() => b.upstream.exchanges.length === 1)
    await Bun.sleep(20)
    const at = performance.now()
    controller.abort()
    expect((await exchangeOf(b).closed) - at).toBeLessThan(100)
    await gone(b)
    expect(b.requests[0]).toMatchObject({ status: 499, end: "client_gone" })
  })

  test("mid-stream has the upstream cancelled within 100 ms, and keeps its session with the credential", async () => {
    const b = bench({
      call: { sessions: ["s"] },
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(TEXT)
      },
    })
    const controller = new AbortController()
    const response = await fetch(b.url, { method: "POST", body: "x", signal: controller.signal })
    const reader = response.body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe(TEXT)
    const at = performance.now()
    controller.abort()
    expect((await exchangeOf(b).closed) - at).toBeLessThan(100)
    await gone(b)
    expect(b.requests[0]).toMatchObject({ status: 200, end: "client_gone", bytes: TEXT.length })
    expect(b.pool.ends).toMatchObject([{ end: { served: true, bind: ["s"] } }])
    expect(b.attempts).toMatchObject([{ cause: "ok" }])
  })

  test("during a unary answer's body has the upstream cancelled within 100 ms", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk("{")
      },
    })
    const controller = new AbortController()
    const request = fetch(`${b.url}?unary`, { method: "POST", body: "x", signal: controller.signal })
    request.catch(() => undefined)
    await until(() => b.upstream.exchanges.length === 1)
    await Bun.sleep(20)
    const at = performance.now()
    controller.abort()
    expect((await exchangeOf(b).closed) - at).toBeLessThan(100)
    await gone(b)
  })

  test("while a lease is awaited leaves the queue at once", async () => {
    const pool = fakePool(1)
    pool.script.push(waits)
    const b = bench({ script: answers(200), pool })
    const controller = new AbortController()
    const request = fetch(b.url, { method: "POST", body: "x", signal: controller.signal })
    request.catch(() => undefined)
    await until(() => pool.asks.length === 1)
    const at = performance.now()
    controller.abort()
    await gone(b)
    expect(performance.now() - at).toBeLessThan(100)
    expect(b.upstream.exchanges).toHaveLength(0)
    expect(b.requests[0]).toMatchObject({ status: 499, end: "client_gone", attempts: 0, credential: null })
  })

  test("during the wait before a retry stops the wait, and no further attempt is made", async () => {
    const b = bench({
      script: answers(503),
      rules: { "503": { retry: "other", budget: "fault", delayMs: 4_000 } },
    })
    const controller = new AbortController()
    const request = fetch(b.url, { method: "POST", body: "x", signal: controller.signal })
    request.catch(() => undefined)
    await until(() => b.attempts.length === 1)
    const at = performance.now()
    controller.abort()
    await gone(b)
    expect(performance.now() - at).toBeLessThan(100)
    expect(b.upstream.exchanges).toHaveLength(1)
    expect(b.requests[0]).toMatchObject({ status: 499, attempts: 1, credential: 1 })
  })

  test("after the last event counts as served", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(TEXT + event("end"))
      },
    })
    const controller = new AbortController()
    const response = await fetch(b.url, { method: "POST", body: "x", signal: controller.signal })
    await response.body?.getReader().read()
    controller.abort()
    await gone(b)
    expect(b.requests[0]).toMatchObject({ status: 200, end: "complete" })
  })

  test("before the relay begins gets nothing sent", async () => {
    const b = bench({ script: answers(200) })
    const signal = AbortSignal.abort()
    const { inbound } = await import("./support/bench.ts")
    const { toyCall } = await import("./support/toy.ts")
    expect((await b.relay.serve(toyCall(), inbound(signal))).status).toBe(499)
    await gone(b)
    expect(b.upstream.exchanges).toHaveLength(0)
  })
})

describe("the relay's own stop", () => {
  test("ends open streams with the protocol's error event and a clean close", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(TEXT)
        await exchange.chunk("data: {half")
      },
    })
    const response = await fetch(b.url, { method: "POST", body: "x" })
    await until(() => b.relay.active === 1)
    await Bun.sleep(20)
    b.relay.abortAll()
    expect(await response.text()).toBe(`${TEXT}data: {half\n\n${event("error", { why: "cut" })}`)
    await exchangeOf(b).closed
    await b.recorded(1)
    expect(b.requests[0]).toMatchObject({ status: 200, end: "cut" })
    expect(b.pool.open).toBe(0)
    expect(b.pool.reports).toEqual([])
    expect(b.relay.active).toBe(0)
  })

  test("refuses what waits for a lease, for the upstream or for a retry, as draining", async () => {
    const pool = fakePool(2)
    pool.script.push(waits)
    const b = bench({
      pool,
      script: byCredential({ 1: [() => undefined], 2: [answers(503)] }),
      rules: { "503": { retry: "other", budget: "fault", delayMs: 4_000 } },
    })
    const waiting = fetch(b.url, { method: "POST", body: "x" })
    await until(() => pool.asks.length === 1)
    const sent = fetch(b.url, { method: "POST", body: "x" })
    await until(() => b.upstream.exchanges.length === 1)
    const retrying = fetch(b.url, { method: "POST", body: "x" })
    await until(() => b.attempts.length === 1)
    b.relay.abortAll()
    for (const response of [await waiting, await sent, await retrying]) {
      expect(response.status).toBe(503)
      expect(await response.json()).toEqual({ refused: "draining" })
    }
    expect(b.pool.open).toBe(0)
    expect(b.relay.active).toBe(0)
  })

  test("leaves what is already whole alone", async () => {
    const b = bench({ script: streams(TEXT, event("end")) })
    expect(await (await fetch(b.url, { method: "POST", body: "x" })).text()).toBe(TEXT + event("end"))
    b.relay.abortAll()
    expect(b.requests).toHaveLength(1)
  })
})
