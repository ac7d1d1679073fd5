import { describe, expect, test } from "bun:test"
import { find } from "../../src/cli/credential.ts"
import { holders } from "../../src/cli/explain.ts"
import { createPaint } from "../../src/cli/paint.ts"
import { poolText, whyText } from "../../src/cli/pool-text.ts"
import { ServerError } from "../../src/cli/server.ts"
import type { Credential, List, SeedRecord } from "../../src/cli/shapes.ts"

const NOW = Date.UTC(2026, 10, 22, 12)
const MIN = 60_000

const credential = (change: Partial<Credential> = {}): Credential => ({
  id: 1,
  email: "a***@e***.com",
  account: "0123456789-0123456789-0123456789",
  plan: "plus",
  state: "ready",
  reason: null,
  detail: null,
  url: null,
  until: null,
  inFlight: 0,
  expiresAt: NOW + 60 * MIN,
  refreshDead: null,
  ambiguousRefresh: false,
  cooldowns: [],
  lacks: [],
  quotas: [],
  lastError: null,
  lastLeasedAt: null,
  ...change,
})

const list = (change: Partial<List> = {}): List => ({
  provider: "codex",
  counts: { ready: 1, cooling: 0, inFlight: 2, waiting: 1, pendingSeeds: 0 },
  models: { "gpt-5.2-codex": { ready: 1 } },
  credentials: [credential()],
  seeds: [],
  ...change,
})

const look = { now: NOW, width: Number.POSITIVE_INFINITY, paint: createPaint(false) }

describe("a pool as text", () => {
  test("begins with its totals", () => {
    expect(poolText(list(), look).split("\n")[0]).toBe("codex  1 credential: 1 ready; 2 in flight; 1 request waiting")
  })
  test("without credentials says how to add one", () => {
    const text = poolText(list({ credentials: [], counts: {} }), look)
    expect(text).toContain("codex  0 credentials\n")
    expect(text).toContain("`pollux login codex`")
  })
  test("shows each model's ready credentials", () => {
    expect(poolText(list(), look)).toMatch(/gpt-5\.2-codex {6}1\n/)
  })
  test("shows what is being added, and what could not be, newest first", () => {
    const seed = (change: Partial<SeedRecord>): SeedRecord => ({
      id: "s1",
      status: "failed",
      createdAt: NOW - 5 * MIN,
      updatedAt: NOW - 2 * MIN,
      ...change,
    })
    const text = poolText(
      list({
        seeds: [
          seed({ status: "pending" }),
          seed({ reason: "INELIGIBLE", detail: "no tier", url: "https://example.com/verify" }),
          seed({ reason: "invalid_grant", updatedAt: NOW - MIN }),
          seed({ status: "adopted" }),
        ],
      }),
      look,
    )
    expect(text).toContain("Being added: 1, the oldest handed in 5 min ago")
    expect(text).toContain("Not added: 2\n")
    expect(text).toContain("https://example.com/verify")
    expect(text.indexOf("invalid_grant")).toBeLessThan(text.indexOf("INELIGIBLE"))
  })
  test("has no power over the terminal", () => {
    const evil = "x\x1b]0;owned\x07\u202e"
    const text = poolText(
      list({
        provider: evil,
        models: { [evil]: { ready: 1 } },
        counts: { [evil]: 1 },
        credentials: [
          credential({
            email: evil,
            account: evil,
            plan: evil,
            state: evil,
            reason: evil,
            detail: evil,
            url: evil,
            refreshDead: evil,
            cooldowns: [{ scope: evil, until: NOW + MIN, stated: NOW + 60 * MIN, cause: evil }],
            lacks: [{ model: evil, until: NOW + MIN }],
            quotas: [{ family: evil, name: evil, usedPercent: 1, windowMinutes: null, resetsAt: null, seenAt: NOW }],
            lastError: { at: NOW, status: 400, cause: evil, message: evil },
          }),
        ],
        seeds: [{ id: "s", status: "failed", reason: evil, detail: evil, url: evil, createdAt: NOW, updatedAt: NOW }],
      }),
      look,
    )
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\u202e]/)
    expect(text).toContain("owned")
  })
})

describe("why a credential is as it is", () => {
  test("one that is ready needs no words", () => expect(whyText(credential(), look)).toBe(""))
  test("names the reason, until when, what is to be done and where", () => {
    const text = whyText(
      credential({
        state: "parked",
        reason: "needs_verification",
        detail: "Verify the account.",
        url: "https://example.com/v",
        until: NOW + 30 * MIN,
      }),
      look,
    )
    expect(text).toMatch(/^needs_verification\nin 30 min \(\d\d:30\)\nVerify the account\.\nhttps:\/\/example\.com\/v$/)
  })
  test("names models that rest or are missing, and a time that is not believed", () => {
    const text = whyText(
      credential({
        cooldowns: [
          { scope: "*", until: NOW + MIN, stated: NOW + MIN, cause: "usage_limit" },
          { scope: "gpt-x", until: NOW + 5 * MIN, stated: NOW + 120 * MIN, cause: "rate_limit" },
        ],
        lacks: [{ model: "gpt-y", until: NOW + 120 * MIN }],
      }),
      look,
    )
    expect(text).toBe(
      "gpt-x: rate_limit, in 5 min, stated in 2 h\ngpt-y: not available to the account, asked again in 2 h",
    )
  })
  test("warns of a login that ends when its access token does", () => {
    expect(whyText(credential({ refreshDead: "invalid_grant" }), look)).toContain(
      "serves for another 1 h: log in again",
    )
  })
})

const failure = (work: () => unknown) => {
  try {
    work()
    return null
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    return { message: error.message, exitCode: error.exitCode }
  }
}

describe("a credential is meant", () => {
  const lists = [
    list({ provider: "geminicli", credentials: [credential({ id: 1, account: "my-project" })] }),
    list({ credentials: [credential({ id: 1 }), credential({ id: 2 })] }),
  ]
  test("by its full name, or by a number that only one provider has", () => {
    const names = (...named: Parameters<typeof find>[0]) =>
      find(named, lists).map(({ provider, credential: { id } }) => `${provider}:${id}`)
    expect(names({ provider: "codex", id: 1 })).toEqual(["codex:1"])
    expect(names({ provider: null, id: 2 }, { provider: "codex", id: 2 })).toEqual(["codex:2"])
  })
  test("not by a number that both have: both are shown", () => {
    const failed = failure(() => find([{ provider: null, id: 1 }], lists))
    expect(failed?.exitCode).toBe(64)
    expect(failed?.message).toContain("geminicli:1  a***@e***.com, my-project  (ready)")
    expect(failed?.message).toContain("codex:1")
  })
  test("not when it is not there; then nothing is done to the others either", () => {
    const failed = failure(() =>
      find(
        [
          { provider: "codex", id: 1 },
          { provider: "codex", id: 7 },
        ],
        lists,
      ),
    )
    expect(failed).toMatchObject({ exitCode: 1, message: expect.stringContaining("no credential codex:7") })
  })
})

test("a model is explained by the providers that have it, and an unknown one names those there are", () => {
  const lists = [
    list({ provider: "geminicli", models: { shared: { ready: 1 } } }),
    list({ models: { shared: { ready: 0 }, own: { ready: 0 } } }),
  ]
  expect(holders("shared", lists)).toEqual(["geminicli", "codex"])
  expect(holders("own", lists)).toEqual(["codex"])
  expect(failure(() => holders("toString", lists))?.message).toContain("codex: shared, own")
})
