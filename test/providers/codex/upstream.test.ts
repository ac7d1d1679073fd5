import { expect, test } from "bun:test"
import type { CodexCall } from "../../../src/providers/codex/call.ts"
import { callerOf } from "../../../src/providers/codex/caller.ts"
import { sessionNames } from "../../../src/providers/codex/sessions.ts"
import { answerHeaders, forwardedHeaders, identityHeaders, Upstream } from "../../../src/providers/codex/upstream.ts"
import { compareVersions, isVersion, newer } from "../../../src/providers/codex/version.ts"
import type { Sender, UpstreamInit } from "../../../src/relay/ports.ts"
import type { Lease } from "../../../src/scheduler/ports.ts"
import { bodyOf, callOf, plainCall, plainLease, settingsOf } from "./support.ts"

const CLI = "codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)"

/** All headers that go to the backend. */
async function sentHeaders(lease: Lease, call: CodexCall, fedramp = false): Promise<Readonly<Record<string, string>>> {
  const sent: UpstreamInit[] = []
  const sender: Sender = (_, init) => {
    sent.push(init)
    return Promise.resolve(new Response())
  }
  const upstream = new Upstream({ sender, settings: { current: settingsOf(null) }, isFedramp: () => fedramp })
  await upstream.send(lease, call, new AbortController().signal)
  return { ...sent[0]?.headers, ...sent[0]?.shared }
}

test("nothing but the allow-list reaches the backend", () => {
  const hostile = {
    authorization: "Bearer client-key",
    cookie: "a=b",
    "x-api-key": "k",
    "x-goog-api-key": "k",
    "chatgpt-account-id": "someone else",
    "x-goog-user-project": "p",
    "x-forwarded-for": "1.2.3.4",
    forwarded: "for=1.2.3.4",
    via: "1.1 x",
    "cf-connecting-ip": "1.2.3.4",
    "accept-encoding": "gzip",
    "content-length": "3",
    traceparent: "00-0-0-0",
    "sec-fetch-mode": "cors",
    origin: "http://evil.example",
    referer: "http://evil.example",
    "x-stainless-lang": "js",
    "openai-beta": "responses=experimental",
    "x-openai-internal-codex-responses-lite": "true",
    "x-codex-turn-state": "ts",
    "x-codex-unheard-of": "1",
  }
  expect(forwardedHeaders(new Headers(hostile), null, false)).toEqual({})
})

test("what Codex clients send goes along in the upstream's spelling", () => {
  const sent = {
    session_id: "s-1",
    "x-client-request-id": "r-1",
    "x-codex-turn-metadata": '{"session_id":"s-1"}',
    "x-codex-window-id": "s-1:0",
    "x-codex-beta-features": "remote_compaction_v2",
    "x-openai-subagent": "review",
    "x-responsesapi-include-timing-metrics": "true",
  }
  const { session_id, ...same } = sent
  expect(forwardedHeaders(new Headers(sent), null, true)).toEqual({
    ...same,
    "session-id": session_id,
    "thread-id": session_id,
    "x-openai-internal-codex-responses-lite": "true",
  })
})

test("the session goes by the first name the client gives it, and by its cache key if there is no header", () => {
  const session = (headers: Record<string, string>, key: string | null = null) =>
    forwardedHeaders(new Headers(headers), key, false)["session-id"]
  expect(session({ "session-id": "a", session_id: "b" })).toBe("a")
  expect(session({ "thread-id": "t" })).toBe("t")
  expect(session({ conversation_id: "c" }, "k")).toBe("c")
  expect(session({}, "k")).toBe("k")
  expect(session({})).toBeUndefined()
  expect(session({}, "line\nbreak")).toBeUndefined()
  expect(session({}, "é")).toBeUndefined()
  expect(session({}, "x".repeat(300))).toBeUndefined()
})

test("version, User-Agent and originator agree, and carry the higher version", async () => {
  const identity = (headers: Record<string, string>, configured = "0.155.0") => {
    const caller = callerOf(new Headers(headers))
    return identityHeaders(caller, newer(configured, caller.version), "codex_cli_rs")
  }
  expect(identity({ "user-agent": "OpenAI/JS 6.49.0" })).toEqual({
    originator: "codex_cli_rs",
    version: "0.155.0",
    "user-agent": "codex_cli_rs/0.155.0 (pollux)",
  })
  expect(identity({ "user-agent": CLI, originator: "codex_exec" })).toEqual({
    originator: "codex_exec",
    version: "0.169.0",
    "user-agent": CLI,
  })
  expect(identity({ "user-agent": CLI, originator: "codex_exec" }, "0.200.0")).toEqual({
    originator: "codex_exec",
    version: "0.200.0",
    "user-agent": CLI.replaceAll("0.169.0", "0.200.0"),
  })
  expect(identity({ "user-agent": "Codex Desktop/0.160.1 (Mac OS)", originator: "Codex Desktop" })).toMatchObject({
    originator: "Codex Desktop",
    version: "0.160.1",
  })
  // Only official clients have a say.
  expect(identity({ "user-agent": "curl/8.0.1", version: "99.0.0", originator: "me" })).toMatchObject({
    originator: "codex_cli_rs",
    version: "0.155.0",
  })
  expect(identity({ "user-agent": `codex_exec/${"9".repeat(70)} x`, version: "nonsense" }).version).toBe("0.155.0")
})

test("the credential's headers are ours, and turn state goes only where it came from", async () => {
  const call = await callOf({ input: "hi" }, { "x-codex-turn-state": "ts-1", authorization: "Bearer client" })
  const headers = (sticky: boolean, fedramp = false) => sentHeaders({ ...plainLease, sticky }, call, fedramp)
  expect(await headers(false)).toMatchObject({
    authorization: "Bearer the-access-token",
    "chatgpt-account-id": "4f1d2c3b-account",
    "content-type": "application/json",
    accept: "text/event-stream",
  })
  expect(await headers(false)).not.toHaveProperty("x-codex-turn-state")
  expect(await headers(true)).toHaveProperty("x-codex-turn-state", "ts-1")
  expect(await headers(false)).not.toHaveProperty("x-openai-fedramp")
  expect(await headers(false, true)).toHaveProperty("x-openai-fedramp", "true")
  expect((await sentHeaders(plainLease, { ...plainCall, endpoint: "compact" })).accept).toBe("application/json")
})

test("headers that calls have in common are one object as long as nothing in them differs, and hold nothing of the credential", async () => {
  const sent: UpstreamInit[] = []
  const settings = { current: settingsOf(null) }
  const sender: Sender = (_, init) => {
    sent.push(init)
    return Promise.resolve(new Response())
  }
  const upstream = new Upstream({ sender, settings, isFedramp: () => false })
  const shared = async (call: CodexCall, token = "t") => {
    await upstream.send({ ...plainLease, token }, call, new AbortController().signal)
    return sent.at(-1)?.shared
  }
  const first = await shared(plainCall, "one")
  expect(JSON.stringify(first)).not.toContain("one")
  expect(await shared({ ...plainCall }, "two")).toBe(first)
  const official = callerOf(new Headers({ "user-agent": CLI, originator: "codex_exec" }))
  const others: Partial<CodexCall>[] = [
    { endpoint: "compact" },
    { version: "9.9.9" },
    { caller: official },
    { caller: { ...official, version: "0.1.6" } },
  ]
  const seen = [first]
  for (const other of others) {
    const call = { ...plainCall, ...other }
    const different = await shared(call)
    expect(seen).not.toContainEqual(different)
    seen.push(different)
    expect(await shared({ ...call })).toBe(different)
  }
  settings.current = { ...settings.current, originator: "codex_tui" }
  expect(await shared(plainCall)).toMatchObject({ originator: "codex_tui" })
  const last = sent.at(-1)
  for (const name in last?.shared) expect(last?.headers).not.toHaveProperty([name])
  for (let i = 0; i < 2 * Upstream.MAX_KINDS; i++) await shared({ ...plainCall, version: `1.0.${i}` })
  expect(await shared(plainCall)).toEqual({ ...first, originator: "codex_tui", "user-agent": expect.any(String) })
})

test("of the backend's headers only the allow-list reaches the client", () => {
  const upstream = new Headers({
    "content-type": "text/event-stream",
    "content-encoding": "gzip",
    "content-length": "5",
    "transfer-encoding": "chunked",
    "set-cookie": "__cf_bm=1",
    "cf-ray": "1",
    server: "cloudflare",
    "x-codex-primary-used-percent": "3",
    "x-codex-turn-state": "ts",
    "openai-model": "m",
    "x-models-etag": "e",
    "x-request-id": "req_1",
    "retry-after": "5",
    "openai-organization": "org-1",
  })
  expect(answerHeaders(upstream.toJSON(), true)["content-type"]).toBe("text/event-stream; charset=utf-8")
  expect(answerHeaders(upstream.toJSON(), false)).toEqual({
    "content-type": "application/json",
    "x-codex-primary-used-percent": "3",
    "x-codex-turn-state": "ts",
    "openai-model": "m",
    "x-models-etag": "e",
    "x-upstream-request-id": "req_1",
    "retry-after": "5",
  })
})

test("session names are kept apart by kind, bounded, and never made up", () => {
  const names = (headers: Record<string, string>, body: Record<string, unknown> = {}) =>
    sessionNames(new Headers(headers), body)
  expect(names({})).toEqual([])
  expect(names({ "session-id": " x " }, { prompt_cache_key: "x", previous_response_id: "x" })).toEqual([
    "s:x",
    "p:x",
    "r:x",
  ])
  expect(names({ "x-codex-turn-metadata": '{"session_id":"y"}', thread_id: "y" })).toEqual(["s:y"])
  expect(names({ "x-codex-turn-metadata": "not json" }, { prompt_cache_key: 5, previous_response_id: null })).toEqual(
    [],
  )
  for (const name of names({ "session-id": "x".repeat(5_000) })) expect(name.length).toBeLessThanOrEqual(256)
})

test("versions compare by number, and a pre-release comes before its release", () => {
  expect(compareVersions("0.100.0", "0.99.9")).toBeGreaterThan(0)
  expect(compareVersions("1.0.0", "1.0.0")).toBe(0)
  expect(compareVersions("0.170.0-alpha.2", "0.170.0")).toBeLessThan(0)
  expect(compareVersions("0.170.0-alpha.10", "0.170.0-alpha.9")).toBeGreaterThan(0)
  expect(newer("0.155.0", "0.170.0-alpha.3")).toBe("0.170.0-alpha.3")
  expect(newer("0.155.0", null)).toBe("0.155.0")
  expect(newer("0.155.0", "nonsense")).toBe("0.155.0")
  expect([isVersion("1.2"), isVersion("1.2.3.4"), isVersion("1.2.3\n"), isVersion("v1.2.3")]).toEqual([
    false,
    false,
    false,
    false,
  ])
})

test("a session's name is a cache key as long as the API takes it, and a longer one a name of it", async () => {
  const keyOf = async (session: string) =>
    bodyOf(await callOf({ input: "x" }, { "session-id": session })).prompt_cache_key
  const fits = "s".repeat(64)
  expect(await keyOf(fits)).toBe(fits)
  const long = "company:0193a1d2-aaaa-7000-8000-000000000001:agent:0193a1d2-bbbb-7000-8000-000000000002"
  expect(await keyOf(long)).toMatch(/^[0-9a-f]{64}$/)
  expect(await keyOf(long)).toBe(await keyOf(long))
  expect(await keyOf(long)).not.toBe(await keyOf(`${long}3`))
  // The client's own is its own matter.
  expect(bodyOf(await callOf({ prompt_cache_key: long }, { "session-id": "s" })).prompt_cache_key).toBe(long)
})
