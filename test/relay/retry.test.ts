import { describe, expect, test } from "bun:test"
import { answers, bench, byCredential, streams } from "./support/bench.ts"
import { fakePool, refusal } from "./support/pool.ts"
import { handTime } from "./support/time.ts"
import { event, type Rule } from "./support/toy.ts"
import type { Exchange, Script } from "./support/upstream.ts"

const TEXT = event("text")
const END = event("end")
const OK = streams(TEXT, END)
const ROTATE: Rule = { retry: "other", budget: "credential" }
const FAULT: Rule = { retry: "other", budget: "fault" }

const post = (url: string): Promise<Response> => fetch(url, { method: "POST", body: "hi" })

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1)
}

describe("budgets", () => {
  test("a 5xx is retried retry_max_times, another credential first, the same again if there is no other", async () => {
    const b = bench({ script: answers(500), credentials: 2, rules: { "500": { ...FAULT, says: "boom" } } })
    const response = await post(b.url)
    expect(response.status).toBe(502)
    expect(await response.json()).toEqual({ error: "boom" })
    expect(b.attempts.map(({ credential }) => credential)).toEqual([1, 2, 1, 2])
    expect(b.pool.open).toBe(0)
  })

  test("with retry_max_times 0 a 5xx is not retried, a credential's fault still is", async () => {
    const b = bench({
      script: byCredential({ 1: [answers(401)], 2: [answers(500)], 3: [OK] }),
      credentials: 3,
      settings: { retryMaxTimes: 0 },
      rules: { "500": FAULT, "401": ROTATE },
    })
    expect((await post(b.url)).status).toBe(502)
    expect(b.attempts.map(({ cause }) => cause)).toEqual(["401", "500"])
  })

  test("a credential's fault rotates through every credential once, beyond retry_max_times", async () => {
    const b = bench({ script: answers(403), credentials: 9, rules: { "403": ROTATE } })
    expect((await post(b.url)).status).toBe(502)
    expect(b.attempts.map(({ credential }) => credential)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test("a credential whose token was renewed is tried once more, alone, and then no more", async () => {
    const refresh = { do: "refresh", generation: 1 } as const
    const b = bench({
      script: answers(401),
      credentials: 2,
      rules: { "401": { retry: "same", budget: "credential", act: refresh } },
    })
    expect((await post(b.url)).status).toBe(502)
    expect(b.attempts.map(({ credential }) => credential)).toEqual([1, 1, 2, 2])
    expect(b.pool.asks.map(({ only }) => only)).toEqual([null, 1, null, 2, null])
    expect(b.pool.reports.map(({ action }) => action)).toEqual([refresh, refresh, refresh, refresh])
  })

  test("when the one credential cannot be had again the others are tried", async () => {
    const pool = fakePool(2)
    const b = bench({
      script: byCredential({ 1: [answers(401)], 2: [OK] }),
      pool,
      rules: { "401": { retry: "same", budget: "credential" } },
    })
    const pick = pool.acquire
    pool.acquire = (ask) => (ask.only === null ? pick(ask) : Promise.resolve(refusal({ why: "timeout" })))
    expect(await (await post(b.url)).text()).toBe(TEXT + END)
    expect(b.attempts.map(({ credential }) => credential)).toEqual([1, 2])
  })

  test("an amended call is sent once per cause", async () => {
    const sent: string[] = []
    const b = bench({
      script: (exchange) => {
        sent.push(exchange.body)
        return exchange.answer(400, "")
      },
      judge: (_, __, call, ___, { attempts }) => ({
        cause: attempts === 2 ? "second" : "first",
        retry: "same",
        budget: "amend",
        amend: { ...call, text: `${call.text}+` },
        status: 400,
      }),
    })
    expect((await post(b.url)).status).toBe(400)
    expect(sent).toEqual(["hi", "hi+", "hi++"])
    expect(b.attempts.map(({ credential }) => credential)).toEqual([1, 1, 1])
  })

  test("what was amended is not told when the request then fails for another reason", async () => {
    const b = bench({
      script: answers(400),
      settings: { retryMaxTimes: 1 },
      judge: (_, __, call, ___, { attempts }) =>
        attempts === 1
          ? { retry: "same", budget: "amend", amend: call, status: 400, rank: 100 }
          : { ...FAULT, status: 502, rank: 20 },
    })
    expect((await post(b.url)).status).toBe(502)
    expect(b.attempts).toHaveLength(3)
  })

  test("an amendment without a call is none", async () => {
    const b = bench({ script: answers(400), rules: { "400": { retry: "same", budget: "amend", status: 400 } } })
    expect((await post(b.url)).status).toBe(400)
    expect(b.upstream.exchanges).toHaveLength(1)
  })

  test("no attempt starts after the retry window, nor a wait that would end after it", async () => {
    const time = handTime()
    const b = bench({
      time,
      settings: { retryWindowMs: 10_000, firstByteTimeoutMs: 60_000 },
      script: byCredential({
        1: [
          async (exchange: Exchange) => {
            await time.pass(9_000)
            await exchange.answer(429, "")
          },
        ],
        2: [answers(503)],
      }),
      rules: { "429": ROTATE, "503": { ...FAULT, delayMs: 1_500 } },
    })
    // 9 s gone, and a jittered wait of 1.125 s would end behind the 10 s.
    expect((await post(b.url)).status).toBe(502)
    expect(b.attempts.map(({ cause }) => cause)).toEqual(["429", "503"])
    expect(b.pool.asks[1]?.deadline).toBe(11_000)
  })

  test("a stated pause is waited for, jittered to 50 to 100 %", async () => {
    for (const [random, waited] of [
      [0, 1_000],
      [0.999, 2_000],
    ] as const) {
      const time = handTime()
      const b = bench({
        time,
        random: () => random,
        script: byCredential({ 1: [answers(503)], 2: [OK] }),
        rules: { "503": { ...FAULT, delayMs: 2_000 } },
      })
      const response = post(b.url)
      await until(() => b.attempts.length === 1)
      await Bun.sleep(5)
      await time.pass(waited - 5)
      expect(b.upstream.exchanges).toHaveLength(1)
      await time.pass(5)
      expect(await (await response).text()).toBe(TEXT + END)
    }
  })
})

describe("what the client is told", () => {
  test("is the failure of the highest rank, the later one on a tie, in the API's shape", async () => {
    const rules: Record<string, Rule> = {
      "401": { ...ROTATE, rank: 1, says: "token", status: 502 },
      "403": { ...ROTATE, rank: 5, says: "forbidden", status: 403 },
      "404": { ...ROTATE, rank: 5, says: "unknown model", status: 404 },
      "429": { ...ROTATE, rank: 3, says: "limited", status: 429 },
    }
    for (const [order, says] of [
      [[401, 403, 404, 429], "unknown model"],
      [[404, 403, 401, 429], "forbidden"],
      [[401, 429], "limited"],
    ] as const) {
      const scripts = Object.fromEntries(order.map((status, i) => [i + 1, [answers(status)]]))
      const b = bench({ script: byCredential(scripts), credentials: order.length, rules })
      expect(await (await post(b.url)).json()).toEqual({ error: says })
      await b.recorded(1)
      expect(b.requests[0]).toMatchObject({ end: "refused", attempts: order.length, credential: order.length })
    }
  })

  test("is never the upstream's redirect: that is a failure like any other", async () => {
    const b = bench({
      script: answers(302, "", { location: "http://127.0.0.1:1/" }),
      rules: { "302": { status: 502 } },
    })
    expect((await post(b.url)).status).toBe(502)
    expect(b.provider.judged.map(({ key }) => key)).toEqual(["302"])
  })

  test("comes within bounds although the failed answer's body never ends", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(500)
        for (let i = 0; i < 64 && !exchange.isClosed; i++) await exchange.chunk("é".repeat(16 * 1024))
      },
    })
    expect((await post(b.url)).status).toBe(502)
    const failure = b.provider.judged[0]?.failure
    const body = failure?.kind === "status" ? failure.body : ""
    expect(Buffer.byteLength(body)).toBe(256 * 1024)
    await b.upstream.exchanges[0]?.closed
  })

  test("comes after 10 s although the failed answer's body stalls, with what there was of it", async () => {
    const time = handTime()
    const b = bench({
      time,
      settings: { firstByteTimeoutMs: 60_000 },
      script: async (exchange) => {
        await exchange.head(500)
        await exchange.chunk("partial")
      },
    })
    const response = post(b.url)
    await until(() => b.upstream.exchanges.length === 1)
    await Bun.sleep(20)
    await time.pass(11_000)
    expect((await response).status).toBe(502)
    expect(b.provider.judged[0]?.failure).toMatchObject({ kind: "status", status: 500, body: "partial" })
  })

  test("is a 500 in the API's shape when our own code fails, with the details in the log only and no lease lost", async () => {
    const explode = (): never => {
      throw new Error("bug: secret detail")
    }
    for (const [change, script] of [
      [{ judge: explode }, answers(500)],
      [{ open: explode }, OK],
      [{ judge: explode, refuse: explode }, answers(500)],
    ] as const) {
      const b = bench({ script, change: (toy) => ({ ...toy, ...change }) })
      const response = await post(b.url)
      expect(response.status).toBe(500)
      expect(await response.text()).not.toContain("secret")
      await b.recorded(1)
      expect(b.pool.open).toBe(0)
      expect(b.pool.wrong).toEqual([])
      expect(b.attempts).toMatchObject([{ cause: "internal" }])
      expect(b.logged).toContain("request_failed_inside")
      expect(b.relay.active).toBe(0)
    }
  })

  test("is not touched by a recorder that fails", async () => {
    const b = bench({ script: OK })
    Object.defineProperty(b.attempts, "push", {
      value: () => {
        throw new Error("disk full")
      },
    })
    expect(await (await post(b.url)).text()).toBe(TEXT + END)
    await b.recorded(1)
    expect(b.logged).toContain("recorder_failed")
  })
})

describe("a tentative mark", () => {
  const mark = { do: "lacks", model: "toy-1", until: 9, tentative: true } as const
  const rules = { "404": { ...ROTATE, act: mark } }

  test("is reported once another credential has served the request", async () => {
    const b = bench({ script: byCredential({ 1: [answers(404)], 2: [OK] }), rules })
    await (await post(b.url)).text()
    expect(b.pool.reports).toMatchObject([{ credential: 1, action: mark, error: { cause: "404", status: 404 } }])
  })

  test("is forgotten when none serves it", async () => {
    const b = bench({ script: answers(404), rules })
    await (await post(b.url)).text()
    expect(b.attempts).toHaveLength(2)
    expect(b.pool.reports).toEqual([])
  })

  test("is reported by a unary answer too, and not by the same credential's own success", async () => {
    const flaky: readonly Script[] = [answers(404), answers(200, "{}")]
    const same = { "404": { retry: "same", budget: "credential", act: mark } } as const
    const b = bench({ script: byCredential({ 1: flaky }), rules: same, call: { stream: false } })
    expect((await post(b.url)).status).toBe(200)
    expect(b.pool.reports).toEqual([])
    const c = bench({
      script: byCredential({ 1: [answers(404)], 2: [answers(200, "{}")] }),
      rules,
      call: { stream: false },
    })
    expect((await post(c.url)).status).toBe(200)
    expect(c.pool.reports).toHaveLength(1)
  })
})

describe("time limits", () => {
  test("an upstream that sends no head in first_byte_timeout fails over, and is cancelled", async () => {
    const time = handTime()
    const b = bench({
      time,
      settings: { firstByteTimeoutMs: 4_000, retryWindowMs: 60_000 },
      script: byCredential({ 1: [() => undefined], 2: [OK] }),
      rules: { "timeout:first_byte": FAULT },
    })
    const response = post(b.url)
    await until(() => b.upstream.exchanges.length === 1)
    await time.pass(3_900)
    expect(b.attempts).toEqual([])
    await time.pass(600)
    expect(await (await response).text()).toBe(TEXT + END)
    expect(b.attempts.map(({ cause }) => cause)).toEqual(["timeout:first_byte", "ok"])
    await b.upstream.exchanges[0]?.closed
  })

  test("a head without a body counts as no first byte; a body that stalls has the idle limit", async () => {
    for (const [first, key] of [
      ["", "timeout:first_byte"],
      ["{", "timeout:idle"],
    ] as const) {
      const time = handTime()
      const b = bench({
        time,
        call: { stream: false },
        settings: { firstByteTimeoutMs: 4_000, idleTimeoutMs: 4_000 },
        script: async (exchange) => {
          await exchange.head(200)
          if (first !== "") await exchange.chunk(first)
        },
      })
      const response = post(b.url)
      await until(() => b.upstream.exchanges.length === 1)
      await Bun.sleep(20)
      await time.pass(4_500)
      expect((await response).status).toBe(502)
      expect(b.provider.judged.map((judged) => judged.key)).toEqual([key])
    }
  })

  test("nothing ticks when nothing is under way", async () => {
    const time = handTime()
    const b = bench({ time, script: OK })
    await (await post(b.url)).text()
    await b.recorded(1)
    await time.pass(1_000)
    expect(time.pending).toBe(0)
  })
})

describe("a unary answer", () => {
  test("fails over on an error inside a 200, on an empty one and on a broken one", async () => {
    const broken: Script = async (exchange) => {
      await exchange.head(200)
      await exchange.chunk("{")
      exchange.reset()
    }
    for (const [script, key] of [
      [answers(200, event("error", { code: "overloaded" })), "event:overloaded"],
      [streams(), "empty"],
      [broken, "cut"],
    ] as const) {
      const b = bench({
        call: { stream: false },
        script: byCredential({ 1: [script], 2: [answers(200, "{}")] }),
        rules: { [key]: FAULT },
      })
      expect(await (await post(b.url)).text()).toBe("{}")
      expect(b.attempts.map(({ cause }) => cause)).toEqual([key, "ok"])
    }
  })

  test("is given once its last event came, and the connection is used again if the upstream ends soon", async () => {
    const b = bench({
      call: { stream: false },
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(TEXT + END)
        await Bun.sleep(50)
        await exchange.end()
      },
    })
    const from = performance.now()
    expect(await (await post(b.url)).text()).toBe(TEXT + END)
    expect(performance.now() - from).toBeLessThan(45)
    expect(b.pool.open).toBe(0)
    await Bun.sleep(80)
    expect(b.upstream.exchanges[0]?.isClosed).toBe(false)
  })

  test("whose upstream lingers after its last event is cancelled a second later", async () => {
    const time = handTime()
    const b = bench({
      time,
      call: { stream: false },
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(END)
      },
    })
    expect(await (await post(b.url)).text()).toBe(END)
    await time.pass(500)
    expect(b.upstream.exchanges[0]?.isClosed).toBe(false)
    await time.pass(1_000)
    await b.upstream.exchanges[0]?.closed
    await time.pass(1_000)
    expect(time.pending).toBe(0)
  })
})
