/** Errors, failover and answers of the Responses API (spec codex 10.7 to 10.11), on the compiled executable. */
import { expect, test } from "bun:test"
import { until } from "../support/wait.ts"
import { CLI, CodexSystem, eventNames, inSeconds, lastData, MODEL, outputText } from "./support/codex.ts"

const OVERLOADED = { kind: "event", code: "server_is_overloaded" } as const
const NO_CREDENTIAL =
  '{"error":{"code":"NO_CREDENTIAL","message":"No available credentials to process the request.","type":"NO_CREDENTIAL"}}'

const TOLD: readonly (readonly [body: unknown, status: number, error: Record<string, unknown>])[] = [
  [{ detail: "Something is off" }, 400, { message: "Something is off", type: "invalid_request_error" }],
  [{ detail: { code: "odd_code", message: "told" } }, 422, { message: "told", code: "odd_code" }],
  [{ error: "plain words" }, 400, { message: "plain words" }],
  [
    { error: { message: "m", type: "invalid_request_error", param: "p", code: "context_length_exceeded" } },
    400,
    { message: "m", type: "invalid_request_error", param: "p", code: "context_length_exceeded" },
  ],
]

test("codex 10.7: every form of a request fault reaches the client in one shape, after one attempt", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  for (const [body, status, error] of TOLD) {
    system.openai.fault(null, { kind: "status", status, body })
    const count = system.sent().length
    const response = await system.ask()
    expect(response.status).toBe(status)
    expect(Object(await response.json()).error).toMatchObject(error)
    expect(system.sent()).toHaveLength(count + 1)
  }
})

test("codex 10.7: Cloudflare's page is the address's matter: three tries at most, short pauses, 503 with Retry-After", async () => {
  await using system = await CodexSystem.start({ accounts: 5 })
  for (const account of system.openai.accounts) system.openai.fault(account, { kind: "cloudflare" })
  const response = await system.ask()
  expect(response.status).toBe(503)
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0)
  const text = await response.text()
  expect(text).toContain("upstream_challenge")
  expect(text).not.toContain("<html")
  expect(system.sent()).toHaveLength(3)
  for (const { state, cooldowns } of await system.list()) {
    expect(state).not.toBe("banned")
    for (const cooldown of cooldowns) expect(cooldown.until).toBeLessThan(Date.now() + 121_000)
  }
})

test("codex 10.8: network faults, server errors and cut openings are answered by another credential", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  const account = system.account(0)
  const faults = [
    { kind: "no_answer", how: "reset" },
    { kind: "status", status: 502, body: "<html>bad gateway</html>" },
    { kind: "cut", afterEvents: 1, how: "close" },
    { kind: "cut", afterEvents: 2, how: "reset" },
    OVERLOADED,
    { kind: "event", code: "rate_limit_exceeded", shape: "error", message: "try again in 20ms" },
    { kind: "raw", body: "" },
  ] as const
  for (const fault of faults) {
    for (const { id } of await system.list()) await system.verb("clear", { id })
    system.openai.clearFaults()
    system.openai.fault(account, fault)
    for (let i = 0; i < 2; i++) expect((await system.ask()).status).toBe(200)
    expect(account.faults).toBeEmpty()
  }
})

test("codex 10.8: no new attempt begins after retry_window, and each credential is tried once for its own fault", async () => {
  await using system = await CodexSystem.start({ accounts: 4, extra: "retry_window = 1\nfirst_byte_timeout = 0.8\n" })
  for (const account of system.openai.accounts) system.openai.fault(account, { kind: "no_answer", how: "stall" })
  const started = performance.now()
  const response = await system.ask()
  expect(response.status).toBe(504)
  expect(performance.now() - started).toBeLessThan(6_000)
  expect(system.sent().length).toBeLessThan(4)
  system.openai.clearFaults()
  const limit = { kind: "usage_limit", resetsAt: inSeconds(600) } as const
  for (const account of system.openai.accounts) system.openai.fault(account, limit, limit)
  const before = system.sent().length
  expect((await system.ask()).status).toBe(429)
  expect(system.sent()).toHaveLength(before + 4)
})

test("codex 10.9: an empty pool is 503 in the exact words, a limited one 429 with the earliest reset", async () => {
  await using system = await CodexSystem.start({ accounts: 0 })
  const empty = await system.ask()
  expect(empty.status).toBe(503)
  expect(await empty.text()).toBe(NO_CREDENTIAL)
  for (const seconds of [900, 300]) {
    const { account } = await system.add()
    system.openai.fault(account, { kind: "usage_limit", resetsAt: inSeconds(seconds) })
  }
  await system.ask()
  const dry = await system.ask()
  expect(dry.status).toBe(429)
  const { error } = Object(await dry.json())
  expect(error).toMatchObject({ type: "usage_limit_reached", code: "usage_limit_reached", plan_type: "plus" })
  expect(Math.abs(error.resets_at - inSeconds(300))).toBeLessThan(5)
  expect(Math.abs(error.resets_in_seconds - 300)).toBeLessThan(5)
  expect(dry.headers.get("retry-after")).toBe(String(error.resets_in_seconds))
})

test("codex 10.10: a unary answer is put together from the items, and failed, incomplete and cut ones have their status", async () => {
  await using system = await CodexSystem.start()
  const body = Object(await (await system.ask("in parts")).json())
  expect(body).toMatchObject({ object: "response", status: "completed" })
  expect(outputText(body)).toBe("You said: in parts")
  expect(body.usage).toHaveProperty("input_tokens_details")
  expect(body).not.toHaveProperty("output_text")

  const account = system.account(0)
  system.openai.fault(account, { kind: "incomplete", reason: "max_output_tokens" })
  const incomplete = await system.ask()
  expect(incomplete.status).toBe(200)
  expect(await incomplete.json()).toMatchObject({
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
  })

  system.openai.fault(account, {
    kind: "event",
    code: "context_length_exceeded",
    message: "too long",
    afterContent: true,
  })
  const failed = await system.ask()
  expect(failed.status).toBe(400)
  expect(await failed.json()).toMatchObject({ error: { code: "context_length_exceeded", message: "too long" } })

  const cut = { kind: "cut", afterEvents: 5, how: "close" } as const
  system.openai.fault(account, cut, cut, cut, cut, cut)
  const ended = await system.ask()
  expect(ended.status).toBe(502)
  expect(await ended.json()).toMatchObject({ error: { code: "stream_incomplete" } })
})

test("codex 10.11: overload inside a 200 is never seen by the client while another credential can serve", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  for (const account of system.openai.accounts) {
    system.openai.fault(account, OVERLOADED)
    const { text } = await system.stream("hello", CLI)
    expect(eventNames(text).at(-1)).toBe("response.completed")
    expect(text).not.toContain("overloaded")
    system.openai.clearFaults()
  }
})

test("codex 10.11: a stream that breaks after content ends in the caller's own kind of last event, without a retry", async () => {
  await using system = await CodexSystem.start({ extra: "idle_timeout = 0.5\n" })
  const account = system.account(0)
  const breaks = [
    { kind: "cut", afterEvents: 6, how: "reset" },
    { kind: "cut", afterEvents: 6, how: "close" },
    { kind: "cut", afterEvents: 6, how: "stall" },
  ] as const
  for (const fault of breaks) {
    system.openai.fault(account, fault, fault)
    const count = system.sent().length
    expect(eventNames((await system.stream("a b c", CLI)).text).at(-1)).toBe("response.failed")
    const other = (await system.stream("a b c")).text
    expect(eventNames(other).at(-1)).toBe("error")
    expect(lastData(other).type).toBe("error")
    expect(system.sent()).toHaveLength(count + 2)
  }
})

test("codex 10.11: bytes split anywhere arrive as the same events, and nothing cuts a stream that is merely slow", async () => {
  await using system = await CodexSystem.start({ extra: "idle_timeout = 2\n", openai: { eventDelayMs: 250 } })
  system.openai.fault(system.account(0), { kind: "chunks", size: 1 })
  const { text } = await system.stream("Grüße 日本語 😀", CLI)
  expect(eventNames(text).at(-1)).toBe("response.completed")
  expect(text).toContain("日本語")
})

test("codex 10.11: a client that leaves ends the upstream request, without a mark on the credential", async () => {
  await using system = await CodexSystem.start({ openai: { eventDelayMs: 200 } })
  const leaving = new AbortController()
  const response = await system.post({ model: MODEL, input: "x", stream: true }, CLI, "/responses", leaving.signal)
  await response.body?.getReader().read()
  leaving.abort()
  await until("the upstream sees it", () => system.lastSent().aborted, 1_000)
  await until("the slot is free", async () => (await system.only()).inFlight === 0)
  expect(await system.only()).toMatchObject({ state: "ready", lastError: null })
})

test("nothing of a life full of faults leaves a secret in the log", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  const leak = `Token ${system.account(0).refreshToken} of ${system.account(0).email} in ${system.account(0).accountId}`
  system.openai.fault(null, { kind: "status", status: 400, body: { error: { message: leak, type: "x", code: "y" } } })
  const told = await (await system.ask()).text()
  for (const secret of [system.account(0).refreshToken, system.account(0).email]) expect(told).not.toContain(secret)
  system.openai.fault(
    null,
    { kind: "status", status: 500, body: leak },
    { kind: "event", code: "server_error", message: leak },
  )
  await system.ask()
  await system.stream()
  expect(system.pollux.leaks()).toEqual([])
})
