/** What the backend tells of limits when it is asked (spec codex 6.4). */
import { afterAll, describe, expect, test } from "bun:test"
import fc from "fast-check"
import { isObject } from "../../../src/providers/codex/json.ts"
import { readUsage } from "../../../src/providers/codex/usage-limits.ts"
import { startFakeOpenAI } from "../../fakes/openai.ts"
import { codexFor, leaseOf, NOW, VERSION } from "./support.ts"

const SECONDS = Math.floor(NOW / 1000)
const HOUR = 3_600_000

const window = (used: number, minutes: number, resetIn: number) => ({
  used_percent: used,
  limit_window_seconds: minutes * 60,
  reset_after_seconds: resetIn,
  reset_at: SECONDS + resetIn,
})

const limit = (fields: Record<string, unknown> = {}) => ({
  allowed: true,
  limit_reached: false,
  primary_window: window(12, 300, 600),
  secondary_window: window(34, 10_080, 86_400),
  ...fields,
})

const out = (fields: Record<string, unknown> = {}) =>
  limit({ allowed: false, limit_reached: true, primary_window: window(100, 300, 7_200), ...fields })

function read(rate_limit: unknown, more: Record<string, unknown> = {}) {
  const said = readUsage({ plan_type: "plus", rate_limit, ...more }, NOW)
  if (said.kind !== "ok") throw new Error(said.reason)
  return said
}

describe("an answer", () => {
  test("tells plan and windows, of further families too", () => {
    const said = read(limit(), {
      additional_rate_limits: [
        { limit_name: "Spark", metered_feature: "codex-bengalfox", rate_limit: limit({ secondary_window: null }) },
        { limit_name: "Only Named", rate_limit: limit({ primary_window: null }) },
        { metered_feature: "codex", rate_limit: out() },
        "nonsense",
      ],
    })
    expect(said.plan).toBe("plus")
    expect(
      said.windows.map(({ family, name, usedPercent, windowMinutes }) => [family, name, usedPercent, windowMinutes]),
    ).toEqual([
      ["codex", "primary", 12, 300],
      ["codex", "secondary", 34, 10_080],
      ["codex_bengalfox", "primary", 12, 300],
      ["only named", "secondary", 34, 10_080],
    ])
    expect(said.windows[0]).toMatchObject({ resetsAt: (SECONDS + 600) * 1000, seenAt: NOW })
    expect(said.limitedUntil).toBeNull()
  })

  test("says that the account is limited until the exhausted window is free again, the latest of them", () => {
    const reset = (SECONDS + 7_200) * 1000
    expect(read(out()).limitedUntil).toBe(reset)
    const week = { secondary_window: window(100, 10_080, 400_000) }
    expect(read(out(week)).limitedUntil).toBe((SECONDS + 400_000) * 1000)
    expect(read(out({ primary_window: window(99, 300, 7_200) })).limitedUntil).toBeWithin(NOW + 60_000, NOW + HOUR)
  })

  test("goes by the backend's word before the percentages, which are rounded", () => {
    expect(read(out({ allowed: true })).limitedUntil).toBeNull()
    expect(read(out({ allowed: undefined, limit_reached: false })).limitedUntil).toBeNull()
    expect(read(out({ allowed: undefined, limit_reached: true })).limitedUntil).not.toBeNull()
    expect(read(out({ allowed: undefined, limit_reached: undefined })).limitedUntil).not.toBeNull()
    expect(read(limit({ allowed: undefined, limit_reached: undefined })).limitedUntil).toBeNull()
  })

  test("counts credits, which serve on when a limit is reached", () => {
    expect(read(out(), { credits: { has_credits: true, balance: "12.5" } }).limitedUntil).toBeNull()
    expect(read(out(), { credits: { unlimited: true } }).limitedUntil).toBeNull()
    const spent = { credits: { has_credits: true, overage_limit_reached: true } }
    expect(read(out(), spent).limitedUntil).not.toBeNull()
    expect(read(out(), { credits: { has_credits: false, unlimited: false } }).limitedUntil).not.toBeNull()
  })

  test.each([null, {}, { rate_limit: null }, { rate_limit: "x" }])(
    "without a rate limit tells nothing: %p",
    (answer) => {
      expect(readUsage(answer, NOW)).toEqual({ kind: "failed", reason: "the answer holds no rate limit" })
    },
  )

  test.each([
    { reset_after_seconds: -8_641_795_348_800.001 },
    { reset_after_seconds: 1e300 },
    { reset_at: 1e300 },
    { reset_at: 8.64e12 },
    { reset_at: SECONDS + 101 * 366 * 86_400 },
    { reset_after_seconds: -101 * 366 * 86_400 },
  ])("tells no reset where it cannot be meant: %p", (reset) => {
    const primary_window = { used_percent: 100, ...reset }
    const said = read(out({ primary_window, secondary_window: null }))
    expect(said.windows).toMatchObject([{ usedPercent: 100, resetsAt: null }])
    expect(said.limitedUntil).toBeWithin(NOW + 60_000, NOW + HOUR)
  })

  test("tells the time from now where the time itself cannot be meant", () => {
    const primary_window = { used_percent: 100, reset_at: 1e15, reset_after_seconds: 60 }
    expect(read(out({ primary_window })).limitedUntil).toBe(NOW + 60_000)
  })

  test("is bounded", () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ metered_feature: `f${i}`, rate_limit: limit() }))
    expect(read(limit(), { additional_rate_limits: many }).windows).toHaveLength(16)
  })
})

test("no answer makes the reader throw, or tell what a window cannot hold", () => {
  const windows = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(
      fc.constantFrom("used_percent", "limit_window_seconds", "reset_at", "reset_after_seconds"),
      fc.oneof(fc.double(), fc.integer(), fc.string(), fc.jsonValue()),
    ),
  )
  const limits = fc.oneof(
    fc.jsonValue(),
    fc.record({ allowed: fc.jsonValue(), primary_window: windows, secondary_window: windows }, { requiredKeys: [] }),
  )
  const answers = fc.oneof(
    fc.jsonValue(),
    fc.record({
      rate_limit: limits,
      plan_type: fc.jsonValue(),
      credits: fc.jsonValue(),
      additional_rate_limits: fc.oneof(
        fc.jsonValue(),
        fc.array(fc.record({ metered_feature: fc.jsonValue(), rate_limit: limits })),
      ),
    }),
  )
  fc.assert(
    fc.property(answers, (answer) => {
      const said = readUsage(isObject(answer) ? answer : null, NOW)
      if (said.kind !== "ok") return
      expect(said.windows.length).toBeLessThanOrEqual(16)
      for (const { usedPercent, resetsAt, windowMinutes } of said.windows) {
        expect(usedPercent).toBeWithin(0, 100.001)
        if (resetsAt !== null) expect(new Date(resetsAt).getTime()).not.toBeNaN()
        if (windowMinutes !== null) expect(windowMinutes).toBeFinite()
      }
      if (said.limitedUntil !== null) expect(said.limitedUntil).toBeGreaterThan(NOW)
    }),
    {
      examples: [
        [{ rate_limit: { primary_window: { used_percent: 0, reset_after_seconds: -8_641_795_348_800.001 } } }],
      ],
    },
  )
})

describe("the reader", () => {
  const fake = startFakeOpenAI()
  afterAll(() => fake.stop())
  const [account] = fake.accounts
  if (account === undefined) throw new Error("no account")
  const never = new AbortController().signal
  const reader = codexFor(fake).quotas
  const ask = (token: string, signal = never) => reader?.quotas(token, leaseOf(account, token).identity, signal)

  test("asks at api_url's origin, as the official client does", async () => {
    const said = await ask(fake.login(account).access_token)
    expect(said).toMatchObject({ kind: "ok", plan: "plus", limitedUntil: null })
    const [asked, ...more] = fake.readings
    expect(more).toEqual([])
    expect(asked).toMatchObject({ method: "GET", path: "/backend-api/wham/usage", status: 200 })
    expect(asked?.headers).toMatchObject({
      "chatgpt-account-id": account.accountId,
      originator: "codex_cli_rs",
      version: VERSION,
    })
    expect(asked?.headers["user-agent"]).toContain(VERSION)
    expect(fake.requests).toEqual([])
  })

  test("hears of a limit, and that it was lifted", async () => {
    const token = fake.login(account).access_token
    account.limitedUntil = Math.floor(Date.now() / 1000) + 64_800
    expect(await ask(token)).toMatchObject({ kind: "ok", limitedUntil: account.limitedUntil * 1000 })
    fake.lift(account)
    expect(await ask(token)).toMatchObject({ kind: "ok", limitedUntil: null })
  })

  test("fails, and says why without a secret, on refusals and unreachable backends", async () => {
    expect(await ask("no-token")).toEqual({ kind: "failed", reason: "the backend answered 401" })
    const nowhere = codexFor(null).quotas
    const { identity } = leaseOf(account, "t")
    expect(await nowhere?.quotas("t", identity, never)).toMatchObject({ kind: "failed" })
    expect(await ask("t", AbortSignal.abort())).toMatchObject({ kind: "failed" })
  })
})
