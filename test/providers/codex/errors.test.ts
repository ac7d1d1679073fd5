import { expect, test } from "bun:test"
import fc from "fast-check"
import { eventStatus, isRequestFault, readError } from "../../../src/providers/codex/errors.ts"

test("every body form of the backend is read", () => {
  const forms: readonly (readonly [body: string, expected: Record<string, unknown>])[] = [
    [
      '{"error":{"type":"usage_limit_reached","message":"m","plan_type":"plus","resets_at":1900000000,"resets_in_seconds":60}}',
      { code: "usage_limit_reached", type: "usage_limit_reached", plan: "plus", resetsAt: 1900000000, resetsIn: 60 },
    ],
    ['{"error":{"type":"t","code":"c","message":"m","param":"p"}}', { code: "c", type: "t", message: "m", param: "p" }],
    ['{"error":{"code":404,"message":"m"}}', { code: "404", message: "m", form: "error" }],
    ['{"error":{"code":{"odd":1},"type":"t","message":"m"}}', { code: "t", message: "m" }],
    ['{"error":"Something went wrong"}', { code: null, message: "Something went wrong", form: "error" }],
    ['{"error":"invalid_grant","error_description":"gone"}', { code: "invalid_grant", message: "gone" }],
    ['{"detail":"Store must be set to false"}', { message: "Store must be set to false", form: "detail" }],
    ['{"detail":{"code":"deactivated_workspace"}}', { code: "deactivated_workspace", form: "detail" }],
    ['{"detail":[{"loc":["body","input"],"msg":"bad","type":"t"}]}', { message: "body.input: bad", form: "detail" }],
    ['{"status":403,"title":"Forbidden","type":"about:blank"}', { message: "Forbidden", status: 403, form: "other" }],
    ['{"error_code":"token_expired","message":"m"}', { code: "token_expired", message: "m" }],
    ["<!DOCTYPE html><html><title>Just a moment...</title>", { message: "Just a moment...", form: "html" }],
    ["", { message: null, form: "empty" }],
    ["  \n", { form: "empty" }],
    ["upstream connect error", { message: "upstream connect error", form: "other" }],
    ['"just a string"', { message: "just a string", form: "other" }],
    ["[1,2]", { message: "[1,2]", form: "other" }],
    [
      '{"type":"response.failed","response":{"error":{"code":"server_is_overloaded","message":"m"}}}',
      { code: "server_is_overloaded", message: "m", form: "error" },
    ],
    ['{"type":"error","code":"slow_down","message":"m","param":null}', { code: "slow_down", type: null, message: "m" }],
    ['{"type":"error","status":429,"error":{"type":"t","message":"m"}}', { code: "t", status: 429 }],
  ]
  for (const [body, expected] of forms) expect(readError(body)).toMatchObject(expected)
})

test("an empty body is explained by the x-error-json header", () => {
  const hidden = Buffer.from('{"error":{"code":"no_organization","message":"m"}}').toString("base64")
  expect(readError("", new Headers({ "x-error-json": hidden }))).toMatchObject({ code: "no_organization" })
  expect(readError("", new Headers({ "x-error-json": "!!" }))).toMatchObject({ form: "empty" })
  expect(readError("", new Headers({ "x-error-json": Buffer.from("no json").toString("base64") }))).toMatchObject({
    form: "empty",
  })
})

test("a code that names a part of every object is unknown, not a status", () => {
  for (const code of ["__proto__", "constructor", "toString"]) {
    expect(eventStatus(readError(JSON.stringify({ error: { code } })))).toBe(502)
  }
})

test("no text and no JSON makes the reader throw", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((json) => `{"error":${json}}`),
        nested(),
      ),
      (body) => {
        const error = readError(body)
        expect(error.form).toBeString()
        const status = eventStatus(error)
        expect(status).toBeGreaterThanOrEqual(400)
        expect(status).toBeLessThan(600)
        expect(isRequestFault(error)).toBeBoolean()
      },
    ),
  )
  expect(readError(`{"error":${"[".repeat(100_000)}`).form).toBe("other")
})

function nested() {
  const value = fc.jsonValue()
  return fc
    .record(
      { error: value, detail: value, code: value, message: value, response: fc.record({ error: value }) },
      { requiredKeys: [] },
    )
    .map((body) => JSON.stringify(body))
}

test("error codes in a stream become the statuses that unary clients know", () => {
  const status = (code: string, more: object = {}) =>
    eventStatus(readError(JSON.stringify({ type: "error", error: { code, message: "m", ...more } })))
  expect(status("context_length_exceeded")).toBe(400)
  expect(status("cyber_policy")).toBe(400)
  expect(status("authentication_error")).toBe(401)
  expect(status("not_found_error")).toBe(404)
  expect(status("rate_limit_exceeded")).toBe(429)
  expect(status("usage_not_included")).toBe(429)
  expect(status("server_is_overloaded")).toBe(503)
  expect(status("server_error")).toBe(502)
  expect(status("server_error", { status: 529 })).toBe(529)
  expect(status("x", { message: "The selected model is at capacity" })).toBe(429)
})
