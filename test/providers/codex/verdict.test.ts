import { expect, test } from "bun:test"
import fc from "fast-check"
import type { CodexCall } from "../../../src/providers/codex/call.ts"
import { judgeFailure, lessonOf } from "../../../src/providers/codex/verdict.ts"
import type { Failure, JudgeContext, Verdict } from "../../../src/relay/ports.ts"
import { CLOUDFLARE_HEADERS, CLOUDFLARE_PAGE } from "../../fakes/openai/faults.ts"
import { bodyOf, judgeContext, NOW, plainCall, plainLease, VERSION } from "./support.ts"

const status = (code: number, body: unknown = "", headers: Record<string, string> = {}): Failure => ({
  kind: "status",
  status: code,
  headers: new Headers(headers),
  body: typeof body === "string" ? body : JSON.stringify(body),
})
const error = (code: string, message = "m", more: object = {}) => ({ error: { code, type: code, message, ...more } })
const event = (code: string, message = "m", headers: Record<string, string> = {}): Failure => ({
  kind: "event",
  headers: new Headers(headers),
  body: JSON.stringify({ type: "response.failed", response: { error: { code, message } } }),
})

function judge(
  failure: Failure,
  context: JudgeContext = judgeContext(),
  call: CodexCall = plainCall,
  newest = VERSION,
) {
  return judgeFailure(failure, call, plainLease, context, newest)
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** The table of spec codex 6.2, row by row. */
const rows: readonly (readonly [
  name: string,
  failure: Failure,
  expected: Partial<Verdict<CodexCall>>,
  told: number,
])[] = [
  [
    "deactivated account",
    status(401, error("account_deactivated")),
    { cause: "deactivated", retry: "other", budget: "credential" },
    503,
  ],
  ["no organization", status(401, error("no_organization")), { cause: "deactivated", retry: "other" }, 503],
  [
    "expired token",
    status(401, error("token_expired")),
    { cause: "unauthorized", act: { do: "refresh", generation: 3 }, retry: "same", budget: "credential" },
    503,
  ],
  [
    "revoked token",
    status(401, error("token_invalidated")),
    { act: { do: "refresh", generation: 3 }, retry: "same" },
    503,
  ],
  ["401 without a body", status(401), { act: { do: "refresh", generation: 3 }, retry: "same" }, 503],
  [
    "deactivated workspace",
    status(402, { detail: { code: "deactivated_workspace" } }),
    {
      cause: "payment",
      // biome-ignore lint/suspicious/noThenProperty: the name in the port; a string is no thenable
      act: { do: "backoff", scope: "all", ladder: [HOUR, 6 * HOUR], cause: "payment", then: "ban" },
      retry: "other",
    },
    503,
  ],
  [
    "forbidden, first",
    status(403, error("permission_error")),
    { cause: "forbidden", act: { do: "refresh", generation: 3 }, retry: "same" },
    503,
  ],
  [
    "region",
    status(403, error("unsupported_country_region_territory")),
    { cause: "region", act: { do: "none" }, retry: "no" },
    403,
  ],
  ["plan without Codex", status(429, error("usage_not_included")), { cause: "not_included", retry: "other" }, 503],
  ["quota", status(429, error("insufficient_quota")), { cause: "quota", retry: "other" }, 429],
  [
    "too many concurrent",
    status(429, error("x", "Too many concurrent requests")),
    {
      cause: "concurrency",
      act: { do: "backoff", scope: "all", ladder: [5_000, 10_000, 15_000], cause: "concurrency" },
    },
    429,
  ],
  [
    "rate limit with Retry-After",
    status(429, error("rate_limit_exceeded"), { "retry-after": "7" }),
    {
      act: { do: "cool", scope: ["gpt-5.2-codex"], until: NOW + 7_000, cause: "rate_limit", quota: false },
      retry: "other",
    },
    429,
  ],
  [
    "rate limit with words",
    status(429, error("rate_limit_exceeded", "Please try again in 11.054s.")),
    { act: { do: "cool", scope: ["gpt-5.2-codex"], until: NOW + 11_054, cause: "rate_limit", quota: false } },
    429,
  ],
  ["rate limit without a time", status(429, ""), { cause: "rate_limit", retry: "other", budget: "credential" }, 429],
  [
    "overloaded",
    status(503, error("server_is_overloaded")),
    { cause: "overloaded", act: { do: "none" }, retry: "other", budget: "fault" },
    503,
  ],
  [
    "at capacity",
    status(503, error("x", "Selected model is at capacity")),
    { cause: "overloaded", act: { do: "none" } },
    503,
  ],
  ["overloaded in the stream", event("slow_down"), { cause: "overloaded", act: { do: "none" }, retry: "other" }, 503],
  ["server error", status(500, "oops"), { cause: "server_error", retry: "other", budget: "fault" }, 502],
  ["gateway page", status(502, "<html><title>Bad gateway</title>"), { cause: "server_error" }, 502],
  ["server error in the stream", event("server_error"), { cause: "server_error", retry: "other" }, 502],
  ["odd redirect", status(302), { cause: "server_error" }, 502],
  ["request timeout", status(408), { cause: "timeout", act: { do: "none" }, retry: "other" }, 504],
  ["empty 404", status(404), { cause: "not_found_empty", retry: "other" }, 502],
  [
    "context length",
    status(400, error("context_length_exceeded")),
    { cause: "request", act: { do: "none" }, retry: "no" },
    400,
  ],
  ["cyber policy", status(400, error("cyber_policy")), { cause: "request", act: { do: "none" }, retry: "no" }, 400],
  ["validation", status(422, { detail: [{ loc: ["body"], msg: "bad" }] }), { cause: "request", retry: "no" }, 422],
  ["too large", status(413, ""), { cause: "request", retry: "no" }, 413],
  ["context length in the stream", event("context_length_exceeded"), { cause: "request", retry: "no" }, 400],
  [
    "refused connection",
    { kind: "network", stage: "connect", detail: "d" },
    { cause: "connect", act: { do: "none" }, retry: "other", budget: "fault" },
    502,
  ],
  [
    "reset",
    { kind: "network", stage: "reset", detail: "d" },
    { cause: "network", retry: "other", budget: "fault" },
    502,
  ],
  [
    "no first byte",
    { kind: "timeout", stage: "first_byte" },
    { cause: "timeout", act: { do: "none" }, retry: "other", budget: "fault" },
    504,
  ],
  ["empty answer", { kind: "empty" }, { cause: "empty", retry: "other", budget: "fault" }, 502],
  [
    "cut answer",
    { kind: "cut", detail: "d" },
    { cause: "cut", act: { do: "none" }, retry: "other", budget: "fault" },
    502,
  ],
]

for (const [name, failure, expected, told] of rows) {
  test(`verdict: ${name}`, () => {
    const verdict = judge(failure)
    expect(verdict).toMatchObject(expected)
    expect(verdict.tell.status).toBe(told)
  })
}

test("a usage limit cools the whole credential until its reset, re-probed on paid plans", () => {
  const resets_at = NOW / 1000 + 3 * 86_400
  const body = error("usage_limit_reached", "The usage limit has been reached", { resets_at, plan_type: "pro" })
  const paid = judge(status(429, body))
  expect(paid.act).toEqual({
    do: "cool",
    scope: "all",
    until: resets_at * 1000 + 1000,
    cause: "usage_limit",
    quota: true,
    probe: [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
  })
  expect(paid).toMatchObject({ retry: "other", budget: "credential" })
  expect(JSON.parse(paid.tell.body).error).toMatchObject({ type: "usage_limit_reached", resets_at, plan_type: "pro" })
  const free = judge(status(429, error("usage_limit_reached", "m", { resets_at, plan_type: "free" })))
  expect(free.act).not.toHaveProperty("probe")
})

test("the reset is taken from the body, else from the headers, else assumed", () => {
  const until = (body: object, headers: Record<string, string> = {}) => {
    const { act } = judge(status(429, error("usage_limit_reached", "m", body), headers))
    return act.do === "cool" ? act.until - NOW : null
  }
  expect(until({ resets_in_seconds: 90 })).toBe(91_000)
  const at = String(NOW / 1000 + 500)
  const exhausted = { "x-codex-primary-used-percent": "100", "x-codex-primary-reset-at": at }
  const later = { "x-codex-secondary-used-percent": "100", "x-codex-secondary-reset-after-seconds": "900" }
  expect(until({}, exhausted)).toBe(501_000)
  expect(until({}, { ...exhausted, ...later })).toBe(901_000)
  expect(until({}, { ...exhausted, "x-codex-primary-used-percent": "99" })).toBe(601_000)
  expect(until({ resets_at: NOW / 1000 - 50 })).toBe(5_000)
  // What cannot be meant is passed over.
  expect(until({ resets_at: 1e15, resets_in_seconds: 90 })).toBe(91_000)
  expect(until({ resets_at: 1e300, resets_in_seconds: 1e300 }, exhausted)).toBe(501_000)
  expect(until({ resets_in_seconds: 1e12 })).toBe(601_000)
})

test("an exhausted side family does not cool the main one", () => {
  const headers = { "x-codex-active-limit": "codex-bengalfox" }
  expect(judge(status(429, error("usage_limit_reached"), headers)).act).toMatchObject({ scope: ["gpt-5.2-codex"] })
  const main = { "x-codex-active-limit": "codex" }
  expect(judge(status(429, error("usage_limit_reached"), main)).act).toMatchObject({ scope: "all" })
  expect(judge(status(429, error("usage_limit_reached", "m", { limit_name: "codex_bengalfox" }))).act).toMatchObject({
    scope: ["gpt-5.2-codex"],
  })
})

test("a second 401 right after a refresh cools the credential instead of refreshing again", () => {
  const verdict = judge(status(401, error("token_expired")), judgeContext(["unauthorized"]))
  expect(verdict).toMatchObject({ cause: "unauthorized", retry: "other", act: { do: "backoff", scope: "all" } })
  expect(judge(status(403), judgeContext(["forbidden"]))).toMatchObject({ retry: "other", act: { do: "backoff" } })
})

test("Cloudflare's page is a matter of the address: a short pause, and no third credential", () => {
  const page = status(403, CLOUDFLARE_PAGE, CLOUDFLARE_HEADERS)
  const first = judge(page)
  expect(first).toMatchObject({
    cause: "challenge",
    retry: "other",
    act: { do: "backoff", ladder: [10_000, 30_000, 90_000, 120_000] },
  })
  expect(first.tell).toMatchObject({ status: 503, retryAfter: 30 })
  expect(JSON.parse(first.tell.body).error.code).toBe("upstream_challenge")
  expect(judge(page, judgeContext([], { challenge: 3 })).retry).toBe("no")
})

test("an unsupported parameter is taken out and the request sent once more, on the same credential", () => {
  const call = { ...plainCall, body: JSON.stringify({ model: "gpt-5.2-codex", input: [], frobnicate: 1 }) }
  const failure = status(400, { detail: "Unsupported parameter: frobnicate" })
  const { amend, ...verdict } = judge(failure, judgeContext(), call)
  expect(verdict).toMatchObject({ cause: "unsupported_parameter", retry: "same", budget: "amend", act: { do: "none" } })
  expect(amend === undefined ? null : bodyOf(amend)).toEqual({ model: "gpt-5.2-codex", input: [] })
  expect(lessonOf(failure)).toBe("frobnicate")
  // The next parameter is another cause, since each cause amends once.
  expect(judge(failure, judgeContext(), { ...call, parametersDropped: 1 }).cause).toBe("unsupported_parameter_2")
  expect(judge(failure, judgeContext(), { ...call, parametersDropped: 3 }).retry).toBe("no")
  expect(judge(failure)).toMatchObject({ retry: "no", tell: { status: 400 } })
})

test("no lesson takes away what a request is about", () => {
  for (const name of ["model", "input", "tools", "store", "text", "reasoning"]) {
    const failure = status(400, { detail: `Unsupported parameter: ${name}` })
    expect(lessonOf(failure)).toBeNull()
    expect(judge(failure)).toMatchObject({ cause: "request", retry: "no" })
  }
  expect(
    lessonOf(status(400, error("unsupported_parameter", "Unsupported parameter: 'top_k'", { param: "top_k" }))),
  ).toBe("top_k")
  expect(lessonOf(status(400, error("unsupported_parameter", "Unsupported parameter", { param: "a.b" })))).toBeNull()
  expect(lessonOf(status(500, { detail: "Unsupported parameter: x" }))).toBeNull()
})

test("another account's encrypted content is stripped and the request sent once more", () => {
  const input = [
    { type: "reasoning", encrypted_content: "e" },
    { type: "compaction", encrypted_content: "c" },
    { role: "user" },
  ]
  const call = { ...plainCall, body: JSON.stringify({ model: "m", input }) }
  for (const failure of [status(400, error("invalid_encrypted_content")), event("invalid_encrypted_content")]) {
    const { amend, ...verdict } = judge(failure, judgeContext(), call)
    expect(verdict).toMatchObject({ cause: "encrypted_content", retry: "same", budget: "amend" })
    expect(amend === undefined ? null : bodyOf(amend).input).toEqual([{ role: "user" }])
  }
  expect(judge(status(400, error("invalid_encrypted_content"))).retry).toBe("no")
})

test("ids the backend does not know are stripped once", () => {
  const body = { model: "m", input: [{ type: "message", id: "msg_1", role: "user" }] }
  const failure = status(404, error("not_found", "Item with id 'msg_1' not found. Items are not persisted"))
  const { amend, cause } = judge(failure, judgeContext(), { ...plainCall, body: JSON.stringify(body) })
  expect(cause).toBe("item_ids")
  expect(amend === undefined ? null : bodyOf(amend).input).toEqual([{ type: "message", role: "user" }])
})

test("the version gate marks no credential, and a newer version is tried once if one is known", () => {
  const newer = status(400, { detail: "The 'm' model requires a newer version of Codex. Please upgrade." })
  expect(judge(newer)).toMatchObject({
    cause: "client_too_old",
    act: { do: "none" },
    retry: "no",
    tell: { status: 400 },
  })
  const known = judge(newer, judgeContext(), plainCall, "0.170.0")
  expect(known).toMatchObject({
    cause: "client_version",
    act: { do: "none" },
    retry: "same",
    amend: { version: "0.170.0" },
  })
  const refused = status(400, { detail: "The 'm' model is not supported when using Codex with a ChatGPT account." })
  expect(judge(refused, judgeContext(), plainCall, "0.170.0")).toMatchObject({
    cause: "client_version",
    act: { do: "none" },
  })
})

test("a model that is refused is a tentative mark, so that a wrong name poisons nobody", () => {
  const texts = [
    status(400, { detail: "The 'm' model is not supported when using Codex with a ChatGPT account." }),
    status(404, error("model_not_found", "Model not found gpt-x")),
    status(404, error("x", "The model `m` does not exist or you do not have access to it.")),
  ]
  for (const failure of texts) {
    expect(judge(failure)).toMatchObject({
      cause: "model_refused",
      act: { do: "lacks", model: "gpt-5.2-codex", until: NOW + 12 * HOUR, tentative: true },
      retry: "other",
      budget: "credential",
    })
  }
})

test("400s reach the client word for word, and a detail in the API's shape", () => {
  const body =
    '{"error":{"message":"Invalid value: \'x\'.","type":"invalid_request_error","param":"input[0]","code":"invalid_value"}, "extra": 1}'
  expect(judge(status(400, body)).tell.body).toBe(body)
  expect(JSON.parse(judge(status(400, { detail: "Store must be set to false" })).tell.body)).toEqual({
    error: { message: "Store must be set to false", type: "invalid_request_error", param: null, code: null },
  })
  expect(JSON.parse(judge(status(400, { error: "plainly wrong" })).tell.body).error.message).toBe("plainly wrong")
})

test("overload is told so that the Codex CLI tries again", () => {
  const { tell } = judge(status(503, error("server_is_overloaded", "busy"), { "retry-after": "3" }))
  expect(tell).toMatchObject({ status: 503, retryAfter: 3 })
  expect(JSON.parse(tell.body).error.code).toBe("server_error")
})

test("nothing of the operator's account reaches the client or the log", () => {
  const { email, account, sub } = plainLease.identity
  const words = `${email} of ${account} (${sub}, org-AbCdEf123456) with the-access-token eyJhbGciOiJ9.e30.x`
  for (const failure of [
    status(400, error("x", words)),
    status(400, { detail: words }),
    status(500, words),
    event("x", words),
  ]) {
    const { tell, message } = judge(failure)
    for (const secret of [email ?? "", account, sub, "AbCdEf123456", "the-access-token", "eyJhbGciOiJ9"]) {
      expect(tell.body).not.toContain(secret)
      expect(message).not.toContain(secret)
    }
  }
})

test("a network fault is told with its stage", () => {
  const { tell } = judge({ kind: "network", stage: "dns", detail: "the host name was not resolved (ENOTFOUND)" })
  expect(tell.status).toBe(502)
  expect(tell.body).toContain("dns, the host name was not resolved (ENOTFOUND)")
})

test("a network fault of several credentials at once is not theirs", () => {
  const reset: Failure = { kind: "network", stage: "reset", detail: "d" }
  expect(judge(reset).act).toMatchObject({ do: "backoff", after: 3 })
  expect(judge(reset, judgeContext([], { network: 2 })).act).toEqual({ do: "none" })
})

test("no failure makes the judge throw, and every answer is JSON with a message", () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map((error) => JSON.stringify({ error })),
  )
  const failure: fc.Arbitrary<Failure> = fc.oneof(
    fc.record({
      kind: fc.constant("status" as const),
      status: fc.integer({ min: 300, max: 599 }),
      headers: fc.constant(new Headers()),
      body: text,
    }),
    fc.record({ kind: fc.constant("event" as const), headers: fc.constant(new Headers()), body: text }),
  )
  fc.assert(
    fc.property(failure, (failed) => {
      const { tell, message, cause } = judge(failed)
      expect(tell.status).toBeGreaterThanOrEqual(400)
      expect(tell.status).not.toBe(401)
      expect(JSON.parse(tell.body).error.message).toBeString()
      expect(message.length).toBeLessThanOrEqual(300)
      expect(cause).toMatch(/^[a-z_0-9]+$/)
    }),
  )
})
