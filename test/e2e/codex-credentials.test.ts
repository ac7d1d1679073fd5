/** How Codex credentials live, rest and die (spec codex 10.1 to 10.6, 10.16, 10.19), on the compiled executable. */
import { expect, test } from "bun:test"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { CodexSystem, inSeconds, MODEL } from "./support/codex.ts"

const HOUR = 3600

test("codex 10.1: a refresh is JSON without a scope, and rotates", async () => {
  await using system = await CodexSystem.start()
  const { id } = await system.only()
  const before = system.account(0).refreshToken
  expect((await system.verb("refresh", { id })).status).toBe(200)
  expect(system.openai.isLive(before)).toBeFalse()
  const [, refresh] = system.openai.requestsTo("/oauth/token")
  expect(refresh?.headers["content-type"]).toStartWith("application/json")
  expect(Object.keys(Object(refresh?.json)).sort()).toEqual(["client_id", "grant_type", "refresh_token"])
})

/** What the token endpoint says, and what it makes of a credential whose access token still works. */
const TOKEN_ANSWERS: readonly (readonly [status: number, body: unknown, final: string | null])[] = [
  [401, { error: { code: "refresh_token_reused", message: "used" } }, "refresh_token_reused"],
  [400, { error: "invalid_grant", error_description: "gone" }, "invalid_grant"],
  [401, { error: { code: "app_session_terminated", message: "over" } }, "app_session_terminated"],
  [403, "<html>Just a moment...</html>", null],
  [429, { error: { code: "rate_limited", message: "slow down" } }, null],
  [500, { error: { code: "server_error", message: "oops" } }, null],
  [400, { error: "invalid_client" }, null],
]

test("codex 10.1: only what the token endpoint means for good ends the refreshing; the access token is used as long as it lives", async () => {
  await using system = await CodexSystem.start({ accounts: TOKEN_ANSWERS.length })
  for (const [index, { id }] of (await system.list()).entries()) {
    const [status, body, final] = TOKEN_ANSWERS[index] ?? [0, "", null]
    system.openai.tokenFault({ kind: "status", status, body })
    const answer = await system.verb("refresh", { id })
    expect(answer.status).toBe(409)
    const shown = (await system.list()).find((credential) => credential.id === id)
    expect([status, shown?.refreshDead ?? null]).toEqual([status, final])
    expect(shown?.state).toBe("ready")
  }
  for (const _ of TOKEN_ANSWERS) expect((await system.ask()).status).toBe(200)
  expect(new Set(system.sent().map(({ account }) => account)).size).toBe(TOKEN_ANSWERS.length)
})

test("codex 10.1: an answer that was lost is never followed by the same token at once; the credential shows it", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  const [first] = await system.list()
  system.openai.tokenFault({ kind: "drop_after" })
  const before = system.refreshes()
  expect((await system.verb("refresh", { id: first?.id })).status).toBe(409)
  expect(system.refreshes() - before).toBe(1)
  expect((await system.list())[0]?.ambiguousRefresh).toBeTrue()
  const dead = await until("the second try finds the token spent", async () => (await system.list())[0]?.refreshDead)
  expect(dead).toBe("refresh_token_reused")
  for (let i = 0; i < 4; i++) expect((await system.ask()).status).toBe(200)
})

test("codex 10.2: the rotated token is in the database before it is used: a kill right after loses nothing", async () => {
  await using system = await CodexSystem.start()
  const { id } = await system.only()
  for (let i = 0; i < 3; i++) {
    expect((await system.verb("refresh", { id })).status).toBe(200)
    await system.pollux.kill()
    await system.pollux.restart()
  }
  expect((await system.verb("refresh", { id })).status).toBe(200)
  expect((await system.only()).refreshDead).toBeNull()
  expect((await system.ask()).status).toBe(200)
})

test("codex 10.2: a hundred requests on an expired token cost one refresh, also when the first client leaves", async () => {
  await using system = await CodexSystem.start()
  system.openai.expireAccess(system.account(0))
  system.openai.tokenFault({ kind: "delay", ms: 300 })
  const before = system.refreshes()
  const leaving = new AbortController()
  const left = system.post({ model: MODEL, input: "x" }, {}, "/responses", leaving.signal).catch(() => null)
  await until("the refresh is under way", () => system.refreshes() > before)
  leaving.abort()
  const answers = await Promise.all(Array.from({ length: 100 }, () => system.ask()))
  await left
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(100)
  expect(system.refreshes() - before).toBe(1)
})

test("codex 10.3: the expiry is the access token's own, and it is renewed before that without a request", async () => {
  await using system = await CodexSystem.start({ openai: { accessSeconds: 8 } })
  const before = system.refreshes()
  expect((await system.ask()).status).toBe(200)
  await until("a refresh that nobody asked for", () => system.refreshes() > before, 9_000)
  system.openai.setAccessSeconds(864_000)
  expect((await system.ask()).status).toBe(200)
  expect(system.sent().every(({ status }) => status === 200)).toBeTrue()
})

test("codex 10.4: plan and e-mail follow the new id token", async () => {
  await using system = await CodexSystem.start()
  const { id, plan } = await system.only()
  expect(plan).toBe("plus")
  const account = system.account(0)
  account.plan = "pro"
  account.email = "renamed@example.com"
  expect((await system.verb("refresh", { id })).status).toBe(200)
  const shown = await system.only()
  expect(shown.plan).toBe("pro")
  expect(shown.email).toStartWith("r***@")
})

test("codex 10.4: states are kept over a restart, and a re-add makes a credential usable again", async () => {
  await using system = await CodexSystem.start({ accounts: 3 })
  const [first, second, third] = await system.list()
  const [a, b] = [system.account(0), system.account(1)]
  system.openai.fault(a, {
    kind: "status",
    status: 401,
    body: { error: { code: "account_deactivated", message: "gone" } },
  })
  system.openai.fault(b, {
    kind: "status",
    status: 429,
    body: { error: { type: "usage_not_included", message: "no" } },
  })
  expect((await system.verb("disable", { id: third?.id })).status).toBe(200)
  expect((await system.ask()).status).toBe(503)
  const states = [
    { id: first?.id, state: "banned", reason: "account_deactivated" },
    { id: second?.id, state: "parked", reason: "ineligible" },
    { id: third?.id, state: "disabled" },
  ]
  expect(await system.list()).toMatchObject(states)
  await system.pollux.restart()
  expect(await system.list()).toMatchObject(states)
  const tokens = system.openai.login(a)
  const added = await system.pollux.api("/codex/resource:add?wait=true", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([{ refresh_token: secret(tokens.refresh_token) }]),
  })
  expect(added.status).toBe(202)
  expect((await system.list())[0]).toMatchObject({ id: first?.id, state: "ready", reason: null })
  expect((await system.ask()).status).toBe(200)
})

test("codex 10.5: a 401 is answered by a refresh and the same credential, once, then by another", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  const session = { "session-id": "s-1" }
  await system.ask("hi", {}, session)
  const owner = system.openai.accounts.find(({ email }) => email === system.lastSent().account)
  if (owner === undefined) throw new Error("nobody served")
  system.openai.expireAccess(owner)
  const before = system.refreshes()
  const response = await system.ask("hi", {}, session)
  expect(response.status).toBe(200)
  expect(response.headers.get("x-pollux-attempts")).toBe("2")
  expect(system.lastSent().account).toBe(owner.email)
  expect(system.refreshes() - before).toBe(1)

  const refused = { kind: "status", status: 401, body: { error: { code: "token_expired", message: "x" } } } as const
  system.openai.fault(owner, refused, refused)
  expect((await system.ask("hi", {}, session)).status).toBe(200)
  expect(system.lastSent().account).not.toBe(owner.email)
})

test("codex 10.5: on token_invalidated the refresh decides", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  const account = system.account(0)
  const spurious = {
    kind: "status",
    status: 401,
    body: { error: { code: "token_invalidated", message: "x" } },
  } as const
  system.openai.fault(account, spurious)
  for (let i = 0; i < 2; i++) expect((await system.ask()).status).toBe(200)
  expect((await system.list()).map(({ state }) => state)).toEqual(["ready", "ready"])
  system.openai.revoke(account)
  for (let i = 0; i < 4; i++) expect((await system.ask()).status).toBe(200)
  expect((await system.list())[0]).toMatchObject({ state: "parked", reason: "needs_login" })
})

test("codex 10.6: a usage limit holds for every model, survives refresh and restart, and is asked about again before a distant reset", async () => {
  await using system = await CodexSystem.start()
  const resetsAt = inSeconds(6 * 24 * HOUR)
  system.openai.fault(system.account(0), { kind: "usage_limit", resetsAt })
  expect((await system.ask()).status).toBe(429)
  const shown = await system.only()
  expect(shown).toMatchObject({ state: "cooling", cooldowns: [{ scope: "*", cause: "usage_limit" }] })
  const [cooldown] = shown.cooldowns
  expect(Math.abs((cooldown?.stated ?? 0) - resetsAt * 1000)).toBeLessThan(5_000)
  expect(cooldown?.until).toBeLessThan(Date.now() + 31 * 60_000)
  const count = system.sent().length
  expect((await system.ask("x", { model: "gpt-5.2" })).status).toBe(429)
  expect((await system.verb("refresh", { id: shown.id })).status).toBe(200)
  await system.pollux.restart()
  expect((await system.ask()).status).toBe(429)
  expect(system.sent()).toHaveLength(count)
  expect((await system.verb("clear", { id: shown.id })).status).toBe(200)
  expect((await system.ask()).status).toBe(200)
})

test("codex 10.6: the stated reset of a free plan is believed", async () => {
  await using system = await CodexSystem.start({ accounts: 0 })
  const { account } = await system.add({ plan: "free" })
  system.openai.fault(account, { kind: "usage_limit", resetsAt: inSeconds(48 * HOUR) })
  expect((await system.ask()).status).toBe(429)
  expect((await system.only()).cooldowns[0]?.until).toBeGreaterThan(Date.now() + 47 * HOUR * 1000)
})

test("codex 10.6: the limits in headers and events are kept per credential, over a restart too", async () => {
  await using system = await CodexSystem.start()
  const account = system.account(0)
  account.primary.usedPercent = 61
  expect((await system.ask()).status).toBe(200)
  const windows = [
    { family: "codex", name: "primary", usedPercent: 61 },
    { family: "codex", name: "secondary", usedPercent: 34 },
  ]
  expect((await system.only()).quotas).toMatchObject(windows)
  await system.pollux.stop()
  await system.pollux.restart()
  expect((await system.only()).quotas).toMatchObject(windows)
})

test("codex 10.6: the limits of an account are asked for once it is in, before any request", async () => {
  await using system = await CodexSystem.start()
  const quotas = await until("the limits are shown", async () => {
    const shown = (await system.only()).quotas
    return shown.length > 0 && shown
  })
  expect(quotas).toContainEqual(expect.objectContaining({ family: "codex", name: "primary", usedPercent: 12 }))
  expect(system.sent()).toBeEmpty()
})

test("codex 10.19: state, last error, windows and requests in flight are shown, and metrics count without secrets", async () => {
  await using system = await CodexSystem.start()
  system.openai.fault(system.account(0), { kind: "status", status: 500, body: "oops" })
  system.openai.fault(system.account(0), { kind: "delay", ms: 300 })
  const slow = system.ask()
  await until("it is in flight", async () => (await system.only()).inFlight === 1)
  expect((await slow).status).toBe(200)
  expect(await system.only()).toMatchObject({ inFlight: 0, lastError: { status: 500 } })
  const metrics = await (await system.pollux.api("/metrics")).text()
  expect(metrics).toMatch(/^pollux_requests_total\{.*provider="codex".*\} 1$/m)
  expect(metrics).not.toContain(system.account(0).email)
  expect((await fetch(`${system.pollux.url}/healthz`)).status).toBe(200)
  expect(system.pollux.leaks()).toEqual([])
})
