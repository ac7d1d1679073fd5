import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { actionUrl, quotaNames, readProblem } from "../../../src/providers/geminicli/errors.ts"
import { errors } from "../../fakes/google.ts"

const quota = errors.quotaExhausted("gemini-2.5-pro", 40_574_149)
const json = JSON.stringify(quota)

describe("reading an error body", () => {
  test("every wrapping gives the same problem", () => {
    const plain = readProblem(json, 429)
    expect(plain).toMatchObject({
      code: 429,
      status: "RESOURCE_EXHAUSTED",
      reasons: ["QUOTA_EXHAUSTED"],
      understood: true,
    })
    expect(plain.metadata.model).toBe("gemini-2.5-pro")
    const nested = JSON.stringify({ error: { code: 429, message: json, status: "RESOURCE_EXHAUSTED" } })
    const quoted = JSON.stringify({ error: { code: 429, message: `got status: 429. ${json}`, status: "X" } })
    for (const body of [
      `[${json}]`,
      ` \n${json}\n`,
      `\uFEFF${json}`,
      JSON.stringify(quota, null, 2),
      `data: ${json}\n\n`,
      `event: error\r\ndata: ${json}\r\n\r\n`,
      `data: [${json}]\n\ndata: more\n\n`,
      json.replace('"details":[', '"details":[,').replaceAll("},{", "},,{").replace("[,", "["),
      nested,
      quoted,
      JSON.stringify([{ error: { message: nested } }]),
    ])
      expect(readProblem(body, 429)).toEqual(plain)
  })

  test("what is no error of Google's is not understood, and keeps the HTTP status", () => {
    for (const body of [
      "",
      "  ",
      "<html><title>403</title></html>",
      "null",
      "[]",
      "{}",
      '"error"',
      '{"error":null}',
      '{"response":{}}',
    ])
      expect(readProblem(body, 502)).toMatchObject({ code: 502, understood: false, message: "", details: [] })
  })

  test("OAuth's form is understood", () => {
    const body = JSON.stringify({ error: "invalid_grant", error_description: "Bad Request" })
    expect(readProblem(body, 400)).toMatchObject({ code: 400, message: "Bad Request", understood: true })
  })

  test("a code that makes no sense gives way to the HTTP status", () => {
    expect(readProblem('{"error":{"code":7,"message":"m"}}', 403).code).toBe(403)
    expect(readProblem('{"error":{"code":"429","message":"m"}}', null).code).toBe(429)
  })

  test("odd members do no harm", () => {
    const body = JSON.stringify({
      error: { code: null, message: 5, status: [], details: [1, null, { reason: 3 }, { metadata: "x" }], errors: "y" },
    })
    expect(readProblem(body, 500)).toMatchObject({ code: 500, message: "", status: "", reasons: [], metadata: {} })
    const proto = '{"error":{"message":"m","details":[{"reason":"R","metadata":{"__proto__":"x","toString":"y"}}]}}'
    expect(readProblem(proto, 500).reasons).toEqual(["R"])
  })

  test("no text makes it throw", () => {
    fc.assert(fc.property(fc.string(), (body) => void readProblem(body, null)))
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        readProblem(JSON.stringify(value), 400)
        readProblem(JSON.stringify({ error: value }), 400)
        readProblem(
          JSON.stringify({ error: { code: 1, message: JSON.stringify({ error: value }), details: [value] } }),
          400,
        )
      }),
    )
  })

  test("wrappings in wrappings end", () => {
    let body = json
    for (let i = 0; i < 12; i++) body = JSON.stringify({ error: { message: body } })
    expect(readProblem(body, 429).understood).toBe(true)
  })
})

describe("what an error names", () => {
  test("the link where a person acts, never the one to learn more", () => {
    const url = "https://accounts.google.com/verify?x=1"
    expect(actionUrl(readProblem(JSON.stringify(errors.validationRequired(url)), 403))).toBe(url)
    expect(actionUrl(readProblem(JSON.stringify(errors.serviceDisabled("p-1")), 403))).toContain("project=p-1")
    expect(actionUrl(readProblem(json, 429))).toBeNull()
    const only = { error: { details: [{ "@type": "google.rpc.Help", links: [{ description: "Learn more", url }] }] } }
    expect(actionUrl(readProblem(JSON.stringify(only), 403))).toBeNull()
    expect(actionUrl(readProblem(JSON.stringify(errors.validationRequired("javascript:alert(1)")), 403))).toBeNull()
  })

  test("the quotas that were hit", () => {
    const body = {
      error: {
        details: [
          { "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [{ quotaId: "RequestsPerMinute" }, 5] },
          { reason: "R", metadata: { quota_limit: "PerDay" } },
        ],
      },
    }
    expect(quotaNames(readProblem(JSON.stringify(body), 429))).toEqual(["RequestsPerMinute", "PerDay"])
  })
})

test("only what may be the name of a code is a status: other text would be passed on as it is", () => {
  const statusOf = (status: unknown) =>
    readProblem(JSON.stringify({ error: { code: 400, message: "m", status } }), 400).status
  expect(statusOf("FAILED_PRECONDITION")).toBe("FAILED_PRECONDITION")
  for (const odd of ["for somebody@example.org", "ya29.token", "", "A".repeat(70), 5, null, ["X"]])
    expect(statusOf(odd)).toBe("")
})
