import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { bench } from "./support/bench.ts"
import { fakePool, refusal } from "./support/pool.ts"
import { event, type Rule } from "./support/toy.ts"
import type { Exchange } from "./support/upstream.ts"

/** Everything an upstream may do, by name. */
const MOODS = {
  whole: async (e: Exchange) => {
    await e.head(200)
    await e.chunk(event("hello") + event("text"))
    await e.chunk(event("end"))
    await e.end()
  },
  early: (e: Exchange) => e.answer(200, event("error", { code: "early" })),
  late: (e: Exchange) => e.answer(200, event("text") + event("error", { code: "late" })),
  handshake: (e: Exchange) => e.answer(200, event("hello")),
  short: (e: Exchange) => e.answer(200, event("text")),
  nothing: (e: Exchange) => e.answer(200, ""),
  limited: (e: Exchange) => e.answer(429, "{}"),
  unauthorized: (e: Exchange) => e.answer(401, "{}"),
  broken: (e: Exchange) => e.answer(500, "<html>"),
  reset: (e: Exchange) => e.reset(),
  midway: async (e: Exchange) => {
    await e.head(200)
    await e.chunk(event("text"))
    e.reset()
  },
  halfway: async (e: Exchange) => {
    await e.head(200)
    await e.chunk(event("hello"))
    e.close()
  },
  silent: () => undefined,
  stalls: async (e: Exchange) => {
    await e.head(200)
    await e.chunk(event("text"))
  },
  junk: (e: Exchange) => e.answer(200, "data: not json\n\n"),
  unjudgeable: (e: Exchange) => e.answer(418, ""),
}
type Mood = keyof typeof MOODS

const RULES: Readonly<Record<string, Rule>> = {
  "429": { retry: "other", budget: "credential" },
  "401": { retry: "same", budget: "credential" },
  "500": { retry: "other", budget: "fault", delayMs: 30 },
  "event:early": { retry: "other", budget: "credential", act: { do: "lacks", model: "m", until: 1, tentative: true } },
  "network:reset": { retry: "other", budget: "fault" },
  empty: { retry: "same", budget: "fault" },
  cut: { retry: "other", budget: "fault" },
}

const visit = fc.record({
  moods: fc.array(fc.constantFrom(...(Object.keys(MOODS) as Mood[])), { minLength: 1, maxLength: 4 }),
  unary: fc.boolean(),
  /** Milliseconds after which the client leaves, or null for a patient one. */
  leaves: fc.option(fc.nat({ max: 12 })),
  /** The pool refuses the n-th acquire. */
  refuses: fc.option(fc.nat({ max: 2 })),
})

describe("no lease is lost or given back twice, and each request is recorded once", () => {
  test("whatever upstreams, clients and the pool do", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(visit, { minLength: 1, maxLength: 6 }),
        fc.nat({ max: 30 }),
        async (visits, stopAfter) => {
          const pool = fakePool(3)
          const turns = new Map<string, number>()
          const b = bench({
            pool,
            rules: RULES,
            judge: (key) => {
              if (key === "418") throw new Error("a bug of the verdicts")
              return null
            },
            script: (exchange) => {
              const index = Number(exchange.body)
              const turn = turns.get(exchange.body) ?? 0
              turns.set(exchange.body, turn + 1)
              const moods = visits[index]?.moods ?? []
              return MOODS[moods[Math.min(turn, moods.length - 1)] ?? "whole"](exchange)
            },
          })
          const pick = pool.acquire
          let acquires = 0
          pool.acquire = (ask) => {
            acquires++
            const refuse = visits.some(({ refuses }) => refuses !== null && refuses === acquires)
            if (refuse) return Promise.resolve(refusal({ why: "exhausted" }))
            return acquires % 2 === 0 ? Promise.resolve().then(() => pick(ask)) : pick(ask)
          }
          const clients = visits.map(async ({ unary, leaves }, index) => {
            const controller = new AbortController()
            if (leaves !== null) setTimeout(() => controller.abort(), leaves)
            try {
              const url = unary ? `${b.url}?unary` : b.url
              const response = await fetch(url, { method: "POST", body: String(index), signal: controller.signal })
              await response.text()
            } catch {
              // The client left.
            }
          })
          await Bun.sleep(20 + stopAfter)
          b.relay.abortAll()
          await Promise.all(clients)
          await b.recorded(b.relay.active === 0 ? 0 : b.requests.length + b.relay.active)
          // A client that left at once may never have been seen by the server.
          const requests = b.requests.length
          expect(requests).toBeLessThanOrEqual(visits.length)
          expect(b.relay.active).toBe(0)
          expect(pool.open).toBe(0)
          expect(pool.wrong).toEqual([])
          expect(b.attempts.length).toBe(b.requests.reduce((sum, { attempts }) => sum + attempts, 0))
          b.upstream.stop()
        },
      ),
      { numRuns: 40 },
    )
  }, 20_000)
})
