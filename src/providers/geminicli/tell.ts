/** Errors as the Gemini API words them: `{"error":{"code","message","status","details"?}}`. */
import type { EdgeFault, ErrorShape } from "../../http/ports.ts"
import type { ClientError, RelayRefusal } from "../../relay/ports.ts"
import type { Problem } from "./errors.ts"
import { arrayOr, isObject, type JsonObject } from "./json.ts"

/** Names of google.rpc.Code by HTTP status, for errors that did not bring their own. */
const STATUS_NAMES: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  500: "INTERNAL",
  501: "UNIMPLEMENTED",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
}

export const statusName = (code: number): string => STATUS_NAMES[code] ?? (code >= 500 ? "UNAVAILABLE" : "UNKNOWN")

export interface Telling {
  readonly code: number
  readonly message: string
  readonly status?: string
  readonly details?: readonly JsonObject[]
  /** Names that are blanked out in every text. */
  readonly hide?: readonly string[]
  /** Milliseconds; also given as a RetryInfo detail. */
  readonly retryAfterMs?: number | null
}

const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"

/** A complete error answer. */
export function tell(what: Telling): ClientError {
  const { code, hide = [] } = what
  const wait = what.retryAfterMs ?? null
  const seconds = wait === null ? null : Math.max(1, Math.ceil(wait / 1_000))
  const others = (what.details ?? []).filter((detail) => seconds === null || detail["@type"] !== RETRY_INFO)
  const details = seconds === null ? others : [...others, { "@type": RETRY_INFO, retryDelay: `${seconds}s` }]
  const error = {
    code,
    message: blank(what.message, hide),
    status: what.status ?? statusName(code),
    ...(details.length === 0 ? {} : { details: details.map((detail) => blankIn(detail, hide, 0)) }),
  }
  return {
    status: code,
    body: JSON.stringify({ error }),
    contentType: "application/json; charset=UTF-8",
    ...(seconds === null ? {} : { retryAfter: seconds }),
  }
}

const blank = (text: string, names: readonly string[]): string =>
  names.reduce((rest, name) => rest.replaceAll(name, "***"), text)

/** Deeper than any detail of Google's; what is beyond is left out. */
const DEEPEST_DETAIL = 16

function blankIn(value: unknown, names: readonly string[], depth: number): unknown {
  if (typeof value === "string") return blank(value, names)
  if (typeof value !== "object" || value === null) return value
  if (depth === DEEPEST_DETAIL) return null
  if (Array.isArray(value)) return value.map((item) => blankIn(item, names, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, blankIn(item, names, depth + 1)]))
}

/** Without `alt=sse` a stream is one JSON array, and so is the error that comes instead of it. */
export const inArray = (error: ClientError): ClientError => ({ ...error, body: `[${error.body}]` })

/** Kinds of detail that a client may see, and the members of each; what is not here may name the account. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  BadRequest: ["fieldViolations"],
  ErrorInfo: ["reason", "domain", "metadata"],
  LocalizedMessage: ["locale", "message"],
  PreconditionFailure: ["violations"],
  QuotaFailure: ["violations"],
  RetryInfo: ["retryDelay"],
}
const SHOWN_METADATA = new Set([
  "model",
  "quotaResetDelay",
  "quotaResetTimeStamp",
  "uiMessage",
  "quota_limit",
  "quota_limit_value",
  "quota_metric",
  "quota_unit",
  "service",
])
/** Of violations: `subject` names a project or a user. */
const HIDDEN_IN_VIOLATIONS = new Set(["subject"])

/** The details that do not tell whose account it was. */
export function shownDetails(problem: Problem): JsonObject[] {
  return problem.details.flatMap((detail) => {
    const type = typeof detail["@type"] === "string" ? detail["@type"] : ""
    const name = type.slice(type.lastIndexOf(".") + 1)
    const members = Object.hasOwn(SHOWN, name) ? SHOWN[name] : undefined
    if (members === undefined) return []
    const shown = members.flatMap((key) => (key in detail ? [[key, shownMember(key, detail[key])]] : []))
    return [{ "@type": type, ...Object.fromEntries(shown) }]
  })
}

function shownMember(key: string, value: unknown): unknown {
  if (key === "metadata")
    return isObject(value) ? Object.fromEntries(Object.entries(value).filter(([name]) => SHOWN_METADATA.has(name))) : {}
  if (key !== "violations") return value
  return arrayOr(value)
    .filter(isObject)
    .map((one) => Object.fromEntries(Object.entries(one).filter(([name]) => !HIDDEN_IN_VIOLATIONS.has(name))))
}

/** What the edge finds wrong. Unlike Google's 400 for a bad key, ours stays 401, which SDKs take for what it is. */
const FAULTS: { readonly [K in EdgeFault["kind"]]: readonly [code: number, status: string] } = {
  unauthorized: [401, "UNAUTHENTICATED"],
  forbidden: [403, "PERMISSION_DENIED"],
  not_found: [404, "NOT_FOUND"],
  method_not_allowed: [405, "METHOD_NOT_ALLOWED"],
  too_large: [413, "PAYLOAD_TOO_LARGE"],
  unsupported_media: [415, "INVALID_ARGUMENT"],
  bad_request: [400, "INVALID_ARGUMENT"],
  invalid_json: [400, "INVALID_ARGUMENT"],
  invalid_request: [400, "INVALID_ARGUMENT"],
  rate_limited: [429, "RESOURCE_EXHAUSTED"],
  draining: [503, "UNAVAILABLE"],
  unavailable: [503, "UNAVAILABLE"],
  not_implemented: [501, "UNIMPLEMENTED"],
  internal: [500, "INTERNAL"],
}

export const shape: ErrorShape = (fault) => {
  const [code, status] = FAULTS[fault.kind]
  const retryAfter = "retryAfter" in fault ? fault.retryAfter : undefined
  return tell({
    code,
    status,
    message: fault.message,
    retryAfterMs: retryAfter === undefined ? null : retryAfter * 1_000,
  })
}

/** What the pool or the relay itself refuses. @param now wall time in milliseconds */
export function tellRefusal(why: RelayRefusal, model: string, now: number): ClientError {
  switch (why.why) {
    case "all_cooling": {
      const wait = Math.max(0, why.until - now)
      const cause = why.quota ? "have exhausted their quota" : "are held back after errors"
      return tell({
        code: 429,
        message: `All credentials for model ${model} ${cause}. Please retry in ${Math.max(1, Math.ceil(wait / 1_000))}s.`,
        retryAfterMs: wait,
      })
    }
    case "unsupported":
      return tell({ code: 404, message: `No credential has access to model ${model}.` })
    case "empty":
    case "exhausted":
      return tell({ code: 503, message: "No available credentials to process the request." })
    case "timeout":
      return tell({ code: 503, message: "No credential became ready in time.", retryAfterMs: 5_000 })
    case "overloaded":
      return tell({ code: 503, message: "Too many requests are waiting for a credential.", retryAfterMs: 1_000 })
    case "draining":
    case "closed":
      return tell({ code: 503, message: "The server is shutting down.", retryAfterMs: 1_000 })
    case "aborted":
      return tell({ code: 499, message: "The request was cancelled." })
    case "internal":
      return tell({ code: 500, message: "An internal server error occurred." })
  }
}
