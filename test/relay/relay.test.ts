import { describe, expect, test } from "bun:test"
import { answers, bench, byCredential, streams } from "./support/bench.ts"
import { fakePool, refusal } from "./support/pool.ts"
import { event } from "./support/toy.ts"

const HELLO = event("hello")
const TEXT = event("text", { text: "日本語😀" })
const END = event("end", { id: "resp-1" })
const OTHER = { retry: "other", budget: "credential" } as const

const post = (url: string, body = "hi"): Promise<Response> => fetch(url, { method: "POST", body })

describe("the relay", () => {
  test("serves a stream unchanged and releases its lease once", async () => {
    const b = bench({ script: streams(HELLO, TEXT, END), call: { sessions: ["s1"] }, answerHeaders: true })
    const response = await post(b.url)
    expect(response.status).toBe(200)
    expect(response.headers.get("content-type")).toBe("text/event-stream")
    expect(response.headers.get("x-pollux-attempts")).toBe("1")
    expect(response.headers.get("x-pollux-credential")).toBe("1")
    expect(await response.text()).toBe(HELLO + TEXT + END)
    await b.recorded(1)
    expect(b.pool.open).toBe(0)
    expect(b.pool.ends).toEqual([
      { credential: 1, end: { served: true, quotas: [], plan: null, bind: ["s1", "resp-1"] } },
    ])
    expect(b.requests[0]).toMatchObject({ status: 200, end: "complete", attempts: 1, credential: 1, stream: true })
    expect(b.requests[0]?.bytes).toBe(Buffer.byteLength(HELLO + TEXT + END))
    expect(b.attempts).toMatchObject([{ number: 1, cause: "ok", status: 200, credential: 1 }])
    expect(b.relay.active).toBe(0)
  })

  test("serves a unary answer with its length", async () => {
    const b = bench({ script: answers(200, '{"text":"日本語"}') })
    const response = await post(`${b.url}?unary`)
    expect(response.headers.get("content-length")).toBe("20")
    expect(await response.text()).toBe('{"text":"日本語"}')
    await b.recorded(1)
    expect(b.requests[0]).toMatchObject({ status: 200, end: "complete", bytes: 20, stream: false })
    expect(b.pool.open).toBe(0)
  })

  test("fails over to another credential on a credential's fault and reports it", async () => {
    const cool = { do: "cool", scope: "all", until: 1, cause: "quota", quota: true } as const
    const b = bench({
      script: byCredential({ 1: [answers(429, "slow down")], 2: [streams(TEXT, END)] }),
      rules: { "429": { ...OTHER, act: cool, cause: "quota" } },
    })
    const response = await post(b.url)
    expect(await response.text()).toBe(TEXT + END)
    await b.recorded(1)
    expect(b.pool.reports).toMatchObject([{ credential: 1, action: cool, error: { status: 429, cause: "quota" } }])
    expect([...(b.pool.asks[1]?.exclude ?? [])]).toEqual([1])
    expect(b.attempts.map((a) => [a.number, a.credential, a.cause, a.status])).toEqual([
      [1, 1, "quota", 429],
      [2, 2, "ok", 200],
    ])
    expect(b.pool.ends.map(({ end }) => end.served)).toEqual([false, true])
  })

  test("fails over on an error inside a 200 before the client sees anything", async () => {
    const b = bench({
      script: byCredential({
        1: [streams(HELLO, event("error", { code: "overloaded" }))],
        2: [streams(HELLO, TEXT, END)],
      }),
      rules: { "event:overloaded": OTHER },
    })
    expect(await (await post(b.url)).text()).toBe(HELLO + TEXT + END)
    await b.recorded(1)
    expect(b.attempts.map((a) => a.cause)).toEqual(["event:overloaded", "ok"])
  })

  test("says 429 over the last upstream error when every credential is limited, and the upstream's error otherwise", async () => {
    for (const [quota, status, body] of [
      [true, 429, '{"refused":"all_cooling"}'],
      [false, 503, '{"error":"down"}'],
    ] as const) {
      const b = bench({
        script: answers(500),
        pool: fakePool(1, { empty: { why: "all_cooling", until: 1, quota, plan: null } }),
        rules: { "500": { ...OTHER, says: "down", status: 503 } },
      })
      const response = await post(b.url)
      expect(response.status).toBe(status)
      expect(await response.text()).toBe(body)
      expect(response.headers.get("retry-after")).toBe(quota ? "13" : null)
    }
  })

  test("answers 503 in the API's shape when there is no credential", async () => {
    const b = bench({ script: answers(200), credentials: 0 })
    const response = await post(b.url)
    expect(response.status).toBe(503)
    expect(response.headers.get("content-type")).toBe("application/json")
    expect(await response.json()).toEqual({ refused: "empty" })
    await b.recorded(1)
    expect(b.requests[0]).toMatchObject({ end: "refused", attempts: 0, credential: null })
  })

  test("passes a pool's wait on and counts it as queueing", async () => {
    const pool = fakePool(1)
    pool.script.push(async () => {
      await Bun.sleep(40)
      return refusal({ why: "timeout" })
    })
    const b = bench({ script: answers(200), pool })
    expect((await post(b.url)).status).toBe(503)
    await b.recorded(1)
    expect(b.requests[0]?.queueMs).toBeGreaterThan(30)
    expect(b.requests[0]?.overheadMs).toBeLessThan(30)
  })
})
