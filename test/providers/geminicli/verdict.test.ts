import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { explain, judge } from "../../../src/providers/geminicli/verdict.ts"
import type { Failure } from "../../../src/relay/ports.ts"
import { errors } from "../../fakes/google.ts"
import { callOf, contextOf, hello, leaseOf, NOW, status, text } from "./support.ts"

const MODEL = "gemini-2.5-pro"
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const lease = leaseOf()
const call = callOf(hello)
const before = (cause: string, times = 1) => contextOf({ before: (asked) => (asked === cause ? times : 0) })
const verdict = (failure: Failure, context = contextOf(), of = call) => judge(failure, of, lease, context)
const told = (failure: Failure, of = call) => JSON.parse(judge(failure, of, lease, contextOf()).tell.body)
const info = (reason: string, metadata: object = {}) => ({
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason,
  metadata,
})

/** What follows an identify that changes nothing; as a plain key it would look like a promise to the linter. */
const THEN = "then"

describe("limits", () => {
  test("an exhausted quota cools the model until the stated reset, capped by re-probing", () => {
    const v = verdict(status(429, errors.quotaExhausted(MODEL, 11 * HOUR, NOW)))
    expect(v).toMatchObject({ cause: "quota", retry: "other", budget: "credential" })
    expect(v.act).toMatchObject({
      do: "cool",
      scope: [MODEL],
      quota: true,
      probe: [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
    })
    const until = v.act.do === "cool" ? v.act.until : 0
    expect(until).toBeGreaterThanOrEqual(NOW + 11 * HOUR)
    expect(until).toBeLessThan(NOW + 11 * HOUR + 1_000)
    expect(v.tell).toMatchObject({ status: 429, retryAfter: 11 * 3_600 })
  })

  test("missing capacity is the model's: seconds, and at most three credentials", () => {
    for (const failure of [
      status(429, errors.capacityExhausted(MODEL)),
      status(503, errors.capacityExhausted(MODEL, 503)),
      status(429, errors.rateLimited(MODEL, "0s")),
      status(
        429,
        errors.googleError(429, "RESOURCE_EXHAUSTED", `No capacity available for model ${MODEL} on the server`),
      ),
    ]) {
      const v = verdict(failure)
      expect(v).toMatchObject({ cause: "capacity", retry: "other", act: { do: "cool", scope: [MODEL], quota: false } })
      expect(v.act.do === "cool" ? v.act.until - NOW : 0).toBeLessThan(6_001)
      expect(v.tell.retryAfter).toBeGreaterThan(0)
      expect(verdict(failure, contextOf({ seen: () => 3 })).retry).toBe("no")
    }
    expect(verdict(status(503, errors.capacityExhausted(MODEL, 503))).tell.status).toBe(503)
  })

  test("a short stated delay is kept to", () => {
    const v = verdict(status(429, errors.rateLimited(MODEL, "373.8ms")))
    expect(v.cause).toBe("quota")
    expect(v.act.do === "cool" ? v.act.until - NOW : 0).toBeLessThan(1_400)
  })

  test("a bare 429, also an unreadable one, backs off from one minute to an hour", () => {
    for (const body of [errors.bareExhausted(), "<html>429</html>", ""])
      expect(verdict(status(429, body))).toMatchObject({
        cause: "throttled",
        retry: "other",
        act: { do: "backoff", scope: [MODEL], ladder: [1, 2, 4, 8, 16, 32, 60].map((m) => m * MINUTE) },
      })
  })

  test("a quota per minute without a time waits a minute, a limit of zero means that there is none", () => {
    const violations = [{ quotaId: "GenerateRequestsPerMinutePerProject", subject: "project:the-secret-one" }]
    const details = [{ "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations }]
    const v = verdict(status(429, errors.googleError(429, "RESOURCE_EXHAUSTED", "no", details)))
    expect(v).toMatchObject({ cause: "per_minute", tell: { retryAfter: 60 } })
    expect(v.tell.body).not.toContain("the-secret-one")
    const zero = errors.googleError(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric x, limit: 0, model: y")
    expect(verdict(status(429, zero))).toMatchObject({
      cause: "no_quota",
      act: { do: "lacks", model: MODEL, tentative: false },
    })
    const some = errors.googleError(429, "RESOURCE_EXHAUSTED", "limit: 0.5")
    expect(verdict(status(429, some)).cause).toBe("throttled")
  })
})

describe("the credential's token and account", () => {
  const refused = status(401, errors.unauthenticated())

  test("a refused token is renewed and tried once more, then the credential is parked; the client never sees the 401", () => {
    expect(verdict(refused)).toMatchObject({
      act: { do: "refresh", generation: 3 },
      retry: "same",
      budget: "credential",
    })
    expect(verdict(refused, before("unauthorized"))).toMatchObject({
      act: { do: "park", reason: "needs_login" },
      retry: "other",
    })
    expect(verdict(refused).tell.status).toBe(503)
    expect(told(refused).error.status).toBe("UNAVAILABLE")
    const event: Failure = { kind: "event", body: JSON.stringify(errors.unauthenticated()), headers: new Headers() }
    expect(verdict(event).tell.status).toBe(503)
  })

  test.each([
    [
      "verification",
      errors.validationRequired("https://accounts.google.com/v"),
      { do: "park", reason: "needs_verification", url: "https://accounts.google.com/v" },
    ],
    [
      "a disabled service",
      errors.serviceDisabled("p-1"),
      { do: "identify", [THEN]: { do: "park", reason: "service_disabled" } },
    ],
    [
      "a wrong project",
      errors.consumerInvalid("p-1"),
      { do: "identify", [THEN]: { do: "park", reason: "service_disabled" } },
    ],
    ["a missing licence", errors.subscriptionRequired(), { do: "park", reason: "ineligible" }],
    ["a missing role", errors.iamDenied("p-1"), { do: "park", reason: "ineligible" }],
    ["an ended tier", errors.unsupportedClient(), { do: "park", reason: "ineligible" }],
    ["a suspension", errors.tosViolation(), { do: "ban", reason: "tos_violation" }],
    ["any other refusal", errors.permissionDenied(), { do: "park", recheck: [30 * MINUTE, 2 * HOUR, 12 * HOUR] }],
  ])("%s moves this credential and no other", (_, body, act) => {
    const v = verdict(status(403, body))
    expect(v).toMatchObject({ act, retry: "other", budget: "credential", tell: { status: 403 } })
    expect(verdict(status(403, [body])).act).toEqual(v.act)
  })

  test("a location that is not served parks, whatever the status", () => {
    const body = errors.googleError(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")
    expect(verdict(status(400, body))).toMatchObject({ cause: "ineligible", tell: { status: 403 } })
  })

  test("a 403 that is no answer of Google's blames the way there", () => {
    expect(verdict(status(403, "<html>blocked</html>"))).toMatchObject({
      cause: "blocked",
      act: { do: "backoff" },
      tell: { status: 503 },
    })
  })

  test("text that a client can put into an error moves no credential", () => {
    const echo = errors.unknownName(
      "User location is not supported; migrate to Antigravity; missing a valid license",
      "request",
    )
    expect(verdict(status(400, echo))).toMatchObject({ cause: "request", act: { do: "none" }, retry: "no" })
  })

  test("a refusal about a file that the request names parks nothing and asks few", () => {
    const parts = [{ fileData: { fileUri: "https://x.test/files/1" } }]
    const withFile = callOf({ contents: [{ role: "user", parts }] })
    for (const body of [errors.permissionDenied(), errors.notFound()]) {
      const failure = status(body.error.code, body)
      const v = verdict(failure, contextOf(), withFile)
      expect(v).toMatchObject({ act: { do: "none" }, retry: "other", tell: { status: body.error.code } })
      expect(verdict(failure, contextOf({ seen: () => 2 }), withFile).retry).toBe("no")
    }
    expect(verdict(status(403, errors.subscriptionRequired()), contextOf(), withFile).act.do).toBe("park")
  })

  test("a missing model is believed only once another credential has it", () => {
    expect(verdict(status(404, errors.notFound()))).toMatchObject({
      act: { do: "lacks", model: MODEL, until: NOW + 12 * HOUR, tentative: true },
      retry: "other",
      tell: { status: 404 },
    })
    expect(verdict(status(404, "<html>")).act).toEqual({ do: "none" })
  })
})

describe("the request's own faults", () => {
  test("come back word for word, details too, and nothing else is tried", () => {
    const body = errors.unknownName("foo", "request.contents[0]")
    const v = verdict(status(400, body))
    expect(v).toMatchObject({ cause: "request", act: { do: "none" }, retry: "no", rank: 100 })
    expect(JSON.parse(v.tell.body)).toEqual(body)
    const timed = errors.invalidArgument("The video is too long; cut it in 5s pieces.")
    expect(verdict(status(400, timed)).tell).toMatchObject({ body: JSON.stringify(timed) })
    for (const code of [409, 413, 422, 501])
      expect(verdict(status(code, errors.googleError(code, "X", "m")))).toMatchObject({
        retry: "no",
        tell: { status: code },
      })
  })

  test("details do not tell whose account it was", () => {
    const details = [
      info("R", { model: MODEL, consumer: "projects/p-secret", email: "a@b.test" }),
      { "@type": "type.googleapis.com/google.rpc.DebugInfo", detail: "stack" },
      { "@type": "google.rpc.LocalizedMessage", message: `for ${lease.identity.email} in ${lease.identity.account}` },
      { "@type": "type.googleapis.com/google.rpc.Help", links: [{ url: "https://console.test/p-secret" }] },
    ]
    const body = errors.googleError(400, "INVALID_ARGUMENT", `bad for ${lease.identity.account}`, details)
    expect(told(status(400, body)).error).toEqual({
      code: 400,
      message: "bad for ***",
      status: "INVALID_ARGUMENT",
      details: [info("R", { model: MODEL }), { "@type": "google.rpc.LocalizedMessage", message: "for *** in ***" }],
    })
  })

  test("details nested beyond all sense are cut", () => {
    const depth = 120_000
    const violations = `${"[".repeat(depth)}${"]".repeat(depth)}`
    const detail = `{"@type":"google.rpc.BadRequest","fieldViolations":${violations}}`
    const body = `{"error":{"code":400,"message":"m","status":"S","details":[${detail}]}}`
    const { error } = told(status(400, body))
    expect(error).toMatchObject({ code: 400, message: "m", status: "S" })
    expect(JSON.stringify(error).length).toBeLessThan(200)
  })

  test("a refused signature is replaced, once", () => {
    const turn = { role: "model", parts: [{ functionCall: { name: "f", args: {} }, thoughtSignature: "bad" }] }
    const body = {
      contents: [...hello.contents, turn, { role: "user", parts: [{ functionResponse: { name: "f", response: {} } }] }],
    }
    const asked = callOf(body, { model: "gemini-3-pro-preview" })
    for (const refusal of [errors.corruptedSignature(), errors.missingSignature("f", 2)]) {
      const v = verdict(status(400, refusal), contextOf(), asked)
      expect(v).toMatchObject({ cause: "signature", retry: "same", budget: "amend" })
      expect(text(v.amend?.request)).toContain('"thoughtSignature":"skip_thought_signature_validator"')
      if (v.amend === undefined) throw new Error("no amended call")
      expect(verdict(status(400, refusal), contextOf(), v.amend)).toMatchObject({ cause: "request", retry: "no" })
    }
    const old = verdict(status(400, errors.corruptedSignature()), contextOf(), callOf(body))
    expect(text(old.amend?.request)).not.toContain("thoughtSignature")
    expect(verdict(status(400, errors.corruptedSignature()))).toMatchObject({ cause: "request", retry: "no" })
  })

  test("a count that is refused is asked again in the official form", () => {
    const count = callOf({ ...hello, toolConfig: {} }, { verb: "countTokens", form: "unary" })
    const v = verdict(status(400, errors.unknownName("toolConfig", "request")), contextOf(), count)
    expect(v).toMatchObject({ cause: "count_form", retry: "same", budget: "amend" })
    expect(Object.keys(JSON.parse(text(v.amend?.request)))).toEqual(["model", "contents"])
  })
})

describe("the way there and the server", () => {
  test("a server's fault is tried elsewhere after a pause, and holds nothing back before the fifth in a row", () => {
    const failure = status(500, errors.internal())
    expect(verdict(failure)).toMatchObject({
      cause: "server_error",
      retry: "other",
      budget: "fault",
      delayMs: 300,
      act: { do: "backoff", after: 5 },
    })
    expect(told(failure)).toEqual(errors.internal())
    expect(verdict(status(503, errors.unavailable(), { "retry-after": "7" })).tell).toMatchObject({
      status: 503,
      retryAfter: 7,
    })
    for (const code of [301, 500, 520]) expect(verdict(status(code, "<html>")).tell.status).toBe(502)
    expect(verdict(status(504, "")).tell.status).toBe(504)
  })

  test("network faults name the stage, time-outs and empty answers have their own codes", () => {
    const refused: Failure = { kind: "network", stage: "connect", detail: "the connection was refused (ECONNREFUSED)" }
    expect(verdict(refused)).toMatchObject({
      act: { do: "none" },
      retry: "other",
      delayMs: 300,
      tell: { status: 502 },
    })
    expect(told(refused).error.message).toContain("connect")
    expect(verdict({ kind: "timeout", stage: "first_byte" })).toMatchObject({ retry: "other", tell: { status: 504 } })
    expect(verdict({ kind: "empty" })).toMatchObject({ retry: "other", tell: { status: 502 } })
    expect(verdict({ kind: "cut", detail: "x" })).toMatchObject({ retry: "other", act: { do: "backoff", after: 5 } })
  })

  test("an error without alt=sse stands in an array", () => {
    const body = verdict(status(400, errors.invalidArgument("m")), contextOf(), callOf(hello, { form: "array" })).tell
      .body
    expect(JSON.parse(body)).toEqual([errors.invalidArgument("m")])
    expect(
      JSON.parse(explain({ kind: "cut", detail: "x" }, callOf(hello, { form: "array" }), lease, NOW)).error.code,
    ).toBe(502)
  })
})

describe("any failure at all", () => {
  const failures = fc.oneof(
    fc
      .record({
        code: fc.integer({ min: 300, max: 599 }),
        body: fc.oneof(fc.string(), fc.jsonValue(), fc.record({ error: fc.jsonValue() })),
      })
      .map(({ code, body }) => status(code, body)),
    fc.record({ body: fc.json() }).map(({ body }): Failure => ({ kind: "event", body, headers: new Headers() })),
    fc
      .record({
        code: fc.constantFrom(400, 401, 403, 404, 429, 500, 503),
        reason: fc.constantFrom(
          "QUOTA_EXHAUSTED",
          "RATE_LIMIT_EXCEEDED",
          "VALIDATION_REQUIRED",
          "TOS_VIOLATION",
          "SERVICE_DISABLED",
          "X",
        ),
        metadata: fc.dictionary(
          fc.constantFrom("model", "quotaResetDelay", "quotaResetTimeStamp", "validation_url", "consumer"),
          fc.string(),
        ),
        message: fc.string(),
      })
      .map(({ code, reason, metadata, message }) =>
        status(code, errors.googleError(code, "S", message, [info(reason, metadata)])),
      ),
  )

  test("gets a verdict whose answer is an error of the API, is no 401 and names no account", () => {
    const names = [lease.token, lease.identity.account, lease.identity.email ?? "", lease.identity.sub]
    fc.assert(
      fc.property(
        failures,
        fc.constantFrom("sse", "array", "unary"),
        fc.nat(4),
        fc.constantFrom("", ...names),
        (failure, form, seen, name) => {
          const named =
            failure.kind === "status"
              ? { ...failure, body: failure.body.replace('"message":"', `"message":"${name} `) }
              : failure
          const v = judge(named, callOf(hello, { form }), lease, contextOf({ seen: () => seen, before: () => seen }))
          const body = JSON.parse(v.tell.body)
          const { error } = form === "array" ? body[0] : body
          expect(error).toMatchObject({ code: v.tell.status, message: expect.any(String), status: expect.any(String) })
          expect(v.tell.status).toBeGreaterThanOrEqual(400)
          expect(v.tell.status).not.toBe(401)
          for (const secret of names) expect(v.tell.body).not.toContain(secret)
          expect(v.message).not.toContain(lease.token)
          expect(v.message).not.toContain(lease.identity.email ?? "")
          expect(v.message).not.toContain("\n")
          if (v.act.do === "cool") expect(v.act.until).toBeGreaterThan(NOW)
          expect(v.retry === "no" || v.budget !== "amend" || v.amend !== undefined).toBe(true)
          explain(failure, call, lease, NOW)
        },
      ),
      { numRuns: 500 },
    )
  })
})
