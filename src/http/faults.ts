import type { ClientError } from "../relay/ports.ts"
import { type EdgeFault, type ErrorShape, HttpError } from "./ports.ts"

/** Status and code of each fault where no API prescribes its own. */
const NEUTRAL: { readonly [K in EdgeFault["kind"]]: { readonly status: number; readonly code: string } } = {
  unauthorized: { status: 401, code: "UNAUTHORIZED" },
  forbidden: { status: 403, code: "FORBIDDEN" },
  not_found: { status: 404, code: "NOT_FOUND" },
  method_not_allowed: { status: 405, code: "METHOD_NOT_ALLOWED" },
  too_large: { status: 413, code: "PAYLOAD_TOO_LARGE" },
  unsupported_media: { status: 415, code: "UNSUPPORTED_MEDIA_TYPE" },
  bad_request: { status: 400, code: "BAD_REQUEST" },
  invalid_json: { status: 400, code: "INVALID_JSON" },
  invalid_request: { status: 400, code: "INVALID_REQUEST" },
  rate_limited: { status: 429, code: "RATE_LIMITED" },
  draining: { status: 503, code: "DRAINING" },
  unavailable: { status: 503, code: "UNAVAILABLE" },
  not_implemented: { status: 501, code: "NOT_IMPLEMENTED" },
  internal: { status: 500, code: "INTERNAL_ERROR" },
}

/** Why a request was turned away, by the status that it got; for what has none of its own: `bad_request` or `internal`. */
const TURNED_AWAY: Readonly<Record<number, string>> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  413: "too_large",
  415: "unsupported_media",
  429: "rate_limited",
  501: "not_implemented",
  503: "unavailable",
}

/** A word for a metric's label, or null for an answer that turned nobody away. Pure. */
export function rejectionOf(status: number): string | null {
  if (status < 400) return null
  return TURNED_AWAY[status] ?? (status < 500 ? "bad_request" : "internal")
}

/** The shape outside every provider's API: `{"error":{"code","message"}}`. */
export const neutralShape: ErrorShape = (fault) => {
  const { status, code } = NEUTRAL[fault.kind]
  return { status, body: errorBody(code, fault.message) }
}

/** Body of an error of the edge's own family. */
export function errorBody(code: string, message: string): string {
  return JSON.stringify({ error: { code, message } })
}

/** A fault as an answer: the shape's body, with the headers that HTTP asks for (RFC 9110, 10.2.1, 10.2.3 and 11.6.1). */
export function faultResponse(fault: EdgeFault, shape: ErrorShape): Response {
  const told: ClientError = shape(fault)
  const headers = new Headers({
    "content-type": told.contentType ?? "application/json",
    "cache-control": "no-store",
  })
  const retryAfter = told.retryAfter ?? ("retryAfter" in fault ? fault.retryAfter : undefined)
  if (retryAfter !== undefined) headers.set("retry-after", String(Math.max(1, Math.ceil(retryAfter))))
  if (told.status === 401) headers.set("www-authenticate", 'Bearer realm="pollux"')
  if (fault.kind === "method_not_allowed") headers.set("allow", fault.allow)
  if (fault.kind === "draining") headers.set("connection", "close")
  return new Response(told.body, { status: told.status, headers })
}

/** A JSON answer of the edge's own endpoints: never cached, never sniffed. */
export function json(value: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(value)}\n`, { status, headers: JSON_HEADERS })
}

const JSON_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "application/json",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
}

export function text(body: string, status: number): Response {
  return new Response(body, {
    status,
    headers: { ...JSON_HEADERS, "content-type": "text/plain; charset=utf-8" },
  })
}

/** @throws HttpError always; for use in expressions. */
export function refuse(fault: EdgeFault): never {
  throw new HttpError(fault)
}
