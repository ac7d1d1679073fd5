/** Faults of single credentials: F1, F2, F4 to F6, F8, L8, and what a session and a restart keep. */
import { expect, test } from "bun:test"
import { errors } from "../fakes/google.ts"
import { until, within } from "../support/wait.ts"
import { type Call, PROVIDERS, type Shown, type Side } from "./support/side.ts"
import { startSide } from "./support/start.ts"

const states = (shown: readonly Shown[]) => shown.map(({ state }) => state)
const accountOf = (calls: readonly Call[]) => calls.map(({ account }) => account)
/** Status and text of a whole answer. */
const answered = async (side: Side, response: Response) => {
  const text = await response.text()
  return { status: response.status, text: response.status === 200 ? side.upstream.textOf(text) : text }
}

for (const provider of PROVIDERS) {
  test.concurrent(`F1: ${provider}: after a 429 with Retry-After 30 the other answers, and the limited one is back at 30 s ± 1`, async () => {
    await using side = await startSide(provider, { accounts: 2, extra: { max_wait: 0 } })
    const { upstream } = side
    const body = provider === "codex" ? { error: { code: "rate_limit_exceeded" } } : errors.bareExhausted()
    upstream.trouble({ status: 429, headers: { "retry-after": "30" }, body }, null)
    expect(await answered(side, await side.ask("first"))).toEqual({ status: 200, text: upstream.said("first") })
    const [refused, served] = upstream.calls()
    expect([refused?.status, served?.status]).toEqual([429, 200])
    expect(served?.account).not.toBe(refused?.account)
    const limited = refused?.account ?? -1
    const refusedAt = refused?.at ?? 0
    expect((await side.shown(limited)).state).toBe("cooling")

    // What is idle longest is leased first, so that the limited one would be next if it were not cooling.
    while (Date.now() - refusedAt < 28_000) {
      expect((await side.ask()).status).toBe(200)
      await Bun.sleep(500)
    }
    const backAt = await until(
      "the limited one serves again",
      async () => {
        expect((await side.ask()).status).toBe(200)
        return upstream.calls().find(({ account, status, at }) => account === limited && status === 200 && at > 0)?.at
      },
      10_000,
    )
    expect(backAt - refusedAt).toBeGreaterThanOrEqual(29_000)
    expect(backAt - refusedAt).toBeLessThanOrEqual(31_000)
  }, 60_000)

  test.concurrent(`F2: ${provider}: when all are limited the client gets 429 with the soonest reset, and none is marked dead`, async () => {
    await using side = await startSide(provider, { accounts: 3 })
    const { upstream } = side
    for (const [account, limited] of [120, 60, 180].entries()) upstream.trouble({ limited }, account)
    const began = Date.now()
    const response = await side.ask()
    expect(response.status).toBe(429)
    const retryAfter = Number(response.headers.get("retry-after"))
    expect(retryAfter).toBeGreaterThanOrEqual(58)
    expect(retryAfter).toBeLessThanOrEqual(62)
    expect(Date.now() - began).toBeLessThan(5_000)
    expect(accountOf(upstream.calls()).toSorted()).toEqual([0, 1, 2])
    expect(states(await side.list())).toEqual(["cooling", "cooling", "cooling"])
    // The next one is told so without bothering the upstream.
    expect((await side.ask()).status).toBe(429)
    expect(upstream.calls()).toHaveLength(3)
  })

  test.concurrent(`F4: ${provider}: a 401 costs one refresh, and the request succeeds`, async () => {
    await using side = await startSide(provider)
    const { upstream } = side
    for (const stream of [false, true]) {
      upstream.expire(0)
      const [calls, refreshes] = [upstream.calls().length, upstream.tokenCalls()]
      const response = await (stream ? side.stream("again") : side.ask("again"))
      expect(await answered(side, response)).toEqual({ status: 200, text: upstream.said("again") })
      expect(
        upstream
          .calls()
          .slice(calls)
          .map(({ status }) => status),
      ).toEqual([401, 200])
      expect(upstream.tokenCalls() - refreshes).toBe(1)
    }
    expect(states(await side.list())).toEqual(["ready"])
  })

  test.concurrent(`F5: ${provider}: a dead refresh token is asked about once, shown as needs_login, told to watchers; others go on`, async () => {
    await using side = await startSide(provider, { accounts: 2 })
    const { upstream, pollux } = side
    const watch = await watchFeed(side)
    await upstream.steal(0)
    upstream.expire(0)
    const refreshes = upstream.tokenCalls()
    for (let i = 0; i < 6; i++) expect((await side.ask()).status).toBe(200)
    expect(await side.shown(0)).toMatchObject({ state: "parked", reason: "needs_login" })
    expect((await side.shown(0)).refreshDead).toBe(upstream.deadReason)
    await until("the event is told", () => watch.text.includes('"needs_login"'))
    // Time for a second try, had there been one.
    await Bun.sleep(3_500)
    for (let i = 0; i < 3; i++) expect((await side.ask()).status).toBe(200)
    expect(upstream.tokenCalls() - refreshes).toBe(1)
    expect((await side.shown(1)).state).toBe("ready")

    await side.restart()
    expect(await side.shown(0)).toMatchObject({ state: "parked", reason: "needs_login" })
    expect((await side.ask()).status).toBe(200)
    expect(upstream.tokenCalls() - refreshes).toBe(1)
    expect(pollux.log().some(({ event }) => event === "a credential needs a new login")).toBeTrue()
    watch.leave()
  })

  for (const [name, trouble] of [
    ["answers 500", { status: 500, body: { error: "backend_error" } }],
    ["answers a page of HTML", { status: 502, body: "<html><h1>502 Bad Gateway</h1></html>" }],
    ["breaks the connection", { silent: "reset" }],
  ] as const) {
    test.concurrent(`F6: ${provider}: a token endpoint that ${name} is waited for, and the token is kept`, async () => {
      await using side = await startSide(provider)
      const { upstream } = side
      const [token] = upstream.tokens()
      upstream.expire(0)
      upstream.tokenTrouble(trouble)
      const refreshes = upstream.tokenCalls()
      const began = performance.now()
      expect(await answered(side, await side.ask("patience"))).toEqual({ status: 200, text: upstream.said("patience") })
      // A backoff came before the second try, which used the same token.
      expect(performance.now() - began).toBeGreaterThan(900)
      expect(upstream.tokenCalls() - refreshes).toBe(2)
      expect(upstream.takes(token ?? "")).toBe(provider === "geminicli")
      expect(await side.shown()).toMatchObject({ state: "ready", refreshDead: null, ambiguousRefresh: false })
    })
  }

  test.concurrent(`F6: ${provider}: a token endpoint that never answers takes nobody's token, and others serve`, async () => {
    await using side = await startSide(provider, { accounts: 2 })
    const { upstream } = side
    upstream.expire(0)
    upstream.tokenTrouble({ silent: "hang" })
    const began = performance.now()
    for (let i = 0; i < 4; i++) expect((await side.ask()).status).toBe(200)
    // The request that met the 401 gives the refresh 5 s before it asks the other.
    expect(performance.now() - began).toBeLessThan(8_000)
    expect(await side.shown(0)).toMatchObject({ state: "refreshing", refreshDead: null })
  })

  test.concurrent(`L8: ${provider}: 100 requests at once on an expired token cost exactly one refresh`, async () => {
    await using side = await startSide(provider)
    const { upstream } = side
    upstream.expire(0)
    upstream.tokenTrouble({ late: 400 })
    const refreshes = upstream.tokenCalls()
    const answers = await within(
      "all 100 are answered",
      Promise.all(
        Array.from({ length: 100 }, async (_, i) =>
          answered(side, await (i % 2 ? side.stream(`n${i}`) : side.ask(`n${i}`))),
        ),
      ),
      30_000,
    )
    expect(answers).toEqual(answers.map((_, i) => ({ status: 200, text: upstream.said(`n${i}`) })))
    expect(upstream.tokenCalls() - refreshes).toBe(1)
    expect(await side.shown()).toMatchObject({ state: "ready", inFlight: 0 })
  })

  test.concurrent(`${provider}: a session stays, moves when its credential is limited, and comes back to where it moved`, async () => {
    await using side = await startSide(provider, { accounts: 3 })
    const { upstream } = side
    const session = { headers: { "session-id": "one-conversation" } }
    const turn = async () => {
      expect((await side.ask("turn", session)).status).toBe(200)
      return upstream.calls().at(-1)?.account ?? -1
    }
    const noise = () => Promise.all(Array.from({ length: 4 }, () => side.ask("noise")))
    const first = await turn()
    for (let i = 0; i < 3; i++) {
      await noise()
      expect(await turn()).toBe(first)
    }
    upstream.trouble({ limited: 3_600 }, first)
    const second = await turn()
    expect(second).not.toBe(first)
    await side.verb("clear", first)
    for (let i = 0; i < 3; i++) {
      await noise()
      expect(await turn()).toBe(second)
    }
    await side.restart()
    await noise()
    expect(await turn()).toBe(second)
  })

  test.concurrent(`${provider}: a client that comes back after a stream was cut meets the account that began its answer`, async () => {
    // Time between the events, since a break that overtakes the first of them is rightly a retry.
    await using side = await startSide(provider, { accounts: 3, eventDelayMs: 20 })
    const { upstream } = side
    const session = { headers: { "session-id": "cut-conversation" } }
    upstream.trouble({ cut: "amid" }, null)
    const broken = await (await side.stream(undefined, session)).text()
    expect(upstream.errorIn(broken)).not.toBeNull()
    const began = upstream.calls().at(-1)?.account
    for (let i = 0; i < 3; i++) {
      await Promise.all(Array.from({ length: 4 }, () => side.ask("noise")))
      expect((await side.stream(undefined, session)).status).toBe(200)
      expect(upstream.calls().at(-1)?.account).toBe(began ?? -1)
    }
  })

  test.concurrent(`${provider}: a restart keeps cooldowns and quotas`, async () => {
    await using side = await startSide(provider, { accounts: 2 })
    const { upstream } = side
    expect((await side.ask()).status).toBe(200)
    upstream.trouble({ limited: 7_200 }, 0)
    for (let i = 0; i < 3; i++) expect((await side.ask()).status).toBe(200)
    const before = await side.shown(0)
    expect(before.state).toBe("cooling")
    if (provider === "codex") expect(before.quotas).not.toBeEmpty()
    for (const stop of ["SIGTERM", "SIGKILL"] as const) {
      if (stop === "SIGKILL") await side.pollux.kill()
      await side.restart()
      const after = await side.shown(0)
      expect(after.state).toBe("cooling")
      expect(after.cooldowns.map(({ scope, stated, cause }) => ({ scope, stated, cause }))).toEqual(
        before.cooldowns.map(({ scope, stated, cause }) => ({ scope, stated, cause })),
      )
      expect(Math.abs((after.cooldowns[0]?.until ?? 0) - (before.cooldowns[0]?.until ?? 0))).toBeLessThan(50)
      expect(after.quotas).toEqual(before.quotas)
      const calls = upstream.calls().length
      for (let i = 0; i < 3; i++) expect((await side.ask()).status).toBe(200)
      expect(accountOf(upstream.calls().slice(calls))).toEqual([1, 1, 1])
    }
  })
}

/** What makes an operator act: lasting, with its reason, over a restart. */
const LASTING = [
  {
    provider: "geminicli",
    name: "a 403 with a validation link",
    trouble: { status: 403, body: errors.validationRequired("https://accounts.google.com/verify?x=1") },
    shown: { state: "parked", reason: "needs_verification", url: "https://accounts.google.com/verify?x=1" },
  },
  {
    provider: "geminicli",
    name: "UNSUPPORTED_CLIENT",
    trouble: { status: 403, body: errors.unsupportedClient() },
    shown: { state: "parked", reason: "ineligible", detail: expect.stringContaining("no longer supported") },
  },
  {
    provider: "codex",
    name: "usage_not_included",
    trouble: { status: 403, body: { error: { code: "usage_not_included", message: "Not in your plan." } } },
    shown: { state: "parked", reason: "ineligible", detail: expect.stringContaining("does not include Codex") },
  },
  {
    provider: "codex",
    name: "a deactivated account",
    trouble: { status: 401, body: { error: { code: "account_deactivated", message: "Deactivated." } } },
    shown: { state: "banned", reason: "account_deactivated" },
  },
] as const

for (const { provider, name, trouble, shown } of LASTING) {
  test.concurrent(`F8: ${provider}: ${name} is a lasting state with its reason, not a cooldown`, async () => {
    await using side = await startSide(provider, { accounts: 2 })
    side.upstream.trouble(trouble, 0)
    for (let i = 0; i < 4; i++) expect((await side.ask()).status).toBe(200)
    expect(await side.shown(0)).toMatchObject(shown)
    expect((await side.shown(0)).cooldowns).toBeEmpty()
    await side.pollux.kill()
    await side.restart()
    expect(await side.shown(0)).toMatchObject(shown)
    const calls = side.upstream.calls().length
    for (let i = 0; i < 4; i++) expect((await side.ask()).status).toBe(200)
    expect(accountOf(side.upstream.calls().slice(calls))).toEqual([1, 1, 1, 1])
  })
}

/** Reads the feed of state changes. */
async function watchFeed(side: Side): Promise<{ readonly text: string; leave(): void }> {
  const leaving = new AbortController()
  const path = `/${side.upstream.provider}/resource:watch`
  const response = await side.pollux.api(path, { signal: leaving.signal })
  expect(response.status).toBe(200)
  const heard = { text: "", leave: () => leaving.abort() }
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) heard.text += decoder.decode(chunk, { stream: true })
  }
  read().catch(() => {}) // it ends by our leaving
  return heard
}
