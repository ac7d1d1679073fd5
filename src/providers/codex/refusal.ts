/** What Pollux itself answers in the shape of this API (spec codex 0 and 6.6). */
import type { EdgeFault } from "../../http/ports.ts"
import type { ClientError, RelayRefusal } from "../../relay/ports.ts"

/** Exactly this body is what clients of the original look for. */
const NO_CREDENTIAL_BODY = JSON.stringify({
  error: {
    code: "NO_CREDENTIAL",
    message: "No available credentials to process the request.",
    type: "NO_CREDENTIAL",
  },
})

export function noCredential(retryAfter?: number): ClientError {
  return { status: 503, body: NO_CREDENTIAL_BODY, ...(retryAfter === undefined ? {} : { retryAfter }) }
}

/** An error of our own: `code` and `type` are the same word. */
export function localError(status: number, code: string, message: string, retryAfter?: number): ClientError {
  const body = JSON.stringify({ error: { code, message, type: code } })
  return { status, body, ...(retryAfter === undefined ? {} : { retryAfter }) }
}

/** An error as the OpenAI API words it. */
export function openaiError(
  status: number,
  error: {
    readonly message: string
    readonly type: string
    readonly code: string | null
    readonly param?: string | null
  },
  retryAfter?: number,
): ClientError {
  const { message, type, code, param = null } = error
  const body = JSON.stringify({ error: { message, type, param, code } })
  return { status, body, ...(retryAfter === undefined ? {} : { retryAfter }) }
}

/** 429 as the Codex CLI reads it: it shows the time and stops retrying. `until` and `now` are wall milliseconds. */
export function usageLimit(until: number, plan: string | null, now: number): ClientError {
  const seconds = Math.max(1, Math.ceil((until - now) / 1000))
  const error = {
    type: "usage_limit_reached",
    code: "usage_limit_reached",
    message: "The usage limit has been reached",
    plan_type: plan,
    // Rounded: deadlines kept on the monotonic clock come back a fraction of a millisecond off.
    resets_at: Math.round(until / 1000),
    resets_in_seconds: seconds,
  }
  return { status: 429, body: JSON.stringify({ error }), retryAfter: seconds }
}

export function refusal(why: RelayRefusal, now: number): ClientError {
  switch (why.why) {
    case "all_cooling":
      if (why.quota) return usageLimit(why.until, why.plan, now)
      return noCredential(Math.max(1, Math.ceil((why.until - now) / 1000)))
    case "timeout":
      return noCredential(5)
    case "overloaded":
      return localError(503, "OVERLOADED", "Too many requests are waiting for a credential. Try again shortly.", 1)
    case "closed":
    case "draining":
      return localError(503, "SHUTTING_DOWN", "The server is shutting down. Try again shortly.", 5)
    case "internal":
      return localError(500, "INTERNAL_ERROR", "An internal server error occurred.")
    default:
      return noCredential()
  }
}

interface ShapeRule {
  readonly status: number
  readonly code: string
  /** Fixed text that clients may compare; absent: the fault's own. */
  readonly message?: string
}

const SHAPES: Readonly<Record<EdgeFault["kind"], ShapeRule>> = {
  unauthorized: { status: 401, code: "UNAUTHORIZED" },
  forbidden: { status: 403, code: "FORBIDDEN" },
  not_found: { status: 404, code: "NOT_FOUND" },
  method_not_allowed: { status: 405, code: "METHOD_NOT_ALLOWED" },
  too_large: { status: 413, code: "PAYLOAD_TOO_LARGE", message: "request body too large" },
  unsupported_media: { status: 415, code: "INVALID_REQUEST" },
  bad_request: { status: 400, code: "INVALID_REQUEST" },
  invalid_json: { status: 400, code: "INVALID_JSON", message: "invalid JSON" },
  invalid_request: { status: 400, code: "INVALID_REQUEST" },
  rate_limited: { status: 429, code: "RATE_LIMITED" },
  draining: { status: 503, code: "SHUTTING_DOWN" },
  unavailable: { status: 503, code: "UNAVAILABLE" },
  not_implemented: { status: 501, code: "NOT_IMPLEMENTED" },
  internal: { status: 500, code: "INTERNAL_ERROR", message: "An internal server error occurred." },
}

/** The edge's faults in OpenAI's shape: its SDKs read `error.message` and go by the status. */
export function shape(fault: EdgeFault): ClientError {
  const { status, code, message } = SHAPES[fault.kind]
  const retryAfter = "retryAfter" in fault ? fault.retryAfter : fault.kind === "draining" ? 5 : undefined
  return localError(status, code, message ?? fault.message, retryAfter)
}
