/** Reads every form in which the backend reports an error (spec codex 6.1), in bodies and in events. Never throws. */
import type { AnswerHeaders } from "../../relay/ports.ts"
import { isObject, type Json, number, parse, text } from "./json.ts"

export interface UpstreamError {
  /** The most specific name given: error.code, else error.type, else detail.code. */
  readonly code: string | null
  readonly type: string | null
  readonly message: string | null
  readonly param: string | null
  /** A status that the error itself names (events), or null. */
  readonly status: number | null
  readonly plan: string | null
  /** Seconds since the epoch, as sent; and seconds from now, as sent. */
  readonly resetsAt: number | null
  readonly resetsIn: number | null
  /** Limit family named in the body, or null. */
  readonly limit: string | null
  /** `error`: OpenAI's own form; `detail`: FastAPI's; `other`: anything else that is text or JSON. */
  readonly form: "error" | "detail" | "html" | "empty" | "other"
}

const NOTHING = {
  code: null,
  type: null,
  message: null,
  param: null,
  status: null,
  plan: null,
  resetsAt: null,
  resetsIn: null,
  limit: null,
} as const

/** Longest text of an unstructured body that is kept as its message. */
const MESSAGE_LENGTH = 500

/** What a body says; an empty one may be explained by the header `x-error-json` (base64 of a body). */
export function readError(body: string, headers: AnswerHeaders | null = null): UpstreamError {
  const trimmed = body.trim()
  if (trimmed === "") {
    const hidden = headerBody(headers)
    return hidden === null ? { ...NOTHING, form: "empty" } : readError(hidden)
  }
  if (trimmed.startsWith("<")) return { ...NOTHING, message: title(trimmed), form: "html" }
  const value = parse(trimmed)
  if (typeof value === "string") return { ...NOTHING, message: value.slice(0, MESSAGE_LENGTH), form: "other" }
  if (!isObject(value)) return { ...NOTHING, message: trimmed.slice(0, MESSAGE_LENGTH), form: "other" }
  return readValue(value)
}

function readValue(value: Json): UpstreamError {
  const response = value.response
  const error = value.error ?? (isObject(response) ? response.error : undefined)
  const status = number(value.status) ?? number(value.status_code)
  if (isObject(error)) return fromObject(error, status, value)
  if (typeof error === "string" && error !== "") {
    const described = text(value.error_description) ?? text(value.message)
    // RFC 6749 5.2: a bare word is a code, described elsewhere or not at all; anything with a space is for people.
    return /\s/.test(error)
      ? { ...NOTHING, message: described ?? error, status, form: "error" }
      : { ...NOTHING, code: error, message: described ?? error, status, form: "error" }
  }
  if (value.type === "error" && (text(value.code) ?? text(value.message)) !== null) {
    return { ...fromObject({ ...value, type: undefined }, status, value), type: null }
  }
  if (value.detail !== undefined && value.detail !== null) return fromDetail(value.detail, status)
  if (isObject(response) && isObject(response.incomplete_details)) return { ...NOTHING, form: "other" }
  return {
    ...NOTHING,
    code: scalar(value.error_code) ?? scalar(value.code),
    type: text(value.type),
    message: text(value.message) ?? text(value.title) ?? text(value.error_description),
    status,
    form: "other",
  }
}

function fromObject(error: Json, status: number | null, around: Json): UpstreamError {
  const type = text(error.type)
  return {
    code: scalar(error.code) ?? type,
    type,
    message: text(error.message) ?? text(error.error_description) ?? text(around.message),
    param: text(error.param),
    status: number(error.status) ?? number(error.status_code) ?? status,
    plan: text(error.plan_type),
    resetsAt: number(error.resets_at),
    resetsIn: number(error.resets_in_seconds),
    limit: text(error.limit_id) ?? text(error.limit_name),
    form: "error",
  }
}

function fromDetail(detail: unknown, status: number | null): UpstreamError {
  if (typeof detail === "string") return { ...NOTHING, message: detail, status, form: "detail" }
  if (isObject(detail)) {
    const code = scalar(detail.code) ?? text(detail.type)
    return { ...NOTHING, code, type: text(detail.type), message: text(detail.message) ?? code, status, form: "detail" }
  }
  if (!Array.isArray(detail)) return { ...NOTHING, status, form: "detail" }
  // FastAPI's validation form: [{loc: [...], msg, type}]
  const parts = detail.filter(isObject).map((part) => {
    const place = Array.isArray(part.loc) ? part.loc.join(".") : ""
    const said = text(part.msg) ?? text(part.message) ?? ""
    return place === "" ? said : `${place}: ${said}`
  })
  const message = parts.filter((part) => part !== "").join("; ")
  return { ...NOTHING, message: message === "" ? null : message.slice(0, MESSAGE_LENGTH), status, form: "detail" }
}

/** A code may be a string or a number; anything else is none. */
function scalar(value: unknown): string | null {
  return typeof value === "number" ? String(value) : text(value)
}

function title(html: string): string | null {
  const found = /<title[^>]*>([^<]{1,200})/i.exec(html)?.[1]?.trim()
  return found === undefined || found === "" ? null : found
}

function headerBody(headers: AnswerHeaders | null): string | null {
  const encoded = headers?.get("x-error-json") ?? null
  if (encoded === null || encoded === "" || !/^[\w+/=-]+$/.test(encoded)) return null
  const decoded = Buffer.from(encoded, "base64").toString("utf8").trim()
  return decoded.startsWith("{") ? decoded : null
}

/** Codes that say the request itself is at fault: no other credential would do better (spec codex 6.2). */
const REQUEST_FAULTS: ReadonlySet<string> = new Set([
  "context_length_exceeded",
  "invalid_prompt",
  "cyber_policy",
  "string_above_max_length",
  "previous_response_not_found",
  "invalid_request_error",
  "invalid_image",
  "image_parse_error",
  "content_policy_violation",
])

/** Codes under `invalid_request_error` that another attempt can mend after all. */
const AMENDABLE: ReadonlySet<string> = new Set([
  "invalid_encrypted_content",
  "model_not_found",
  "unsupported_parameter",
])

/** Whether an error event means the request, not the credential or the server. */
export function isRequestFault(error: UpstreamError): boolean {
  if (error.code !== null && AMENDABLE.has(error.code)) return false
  return (
    (error.code !== null && REQUEST_FAULTS.has(error.code)) || (error.type !== null && REQUEST_FAULTS.has(error.type))
  )
}

/** A map, since a code is the upstream's word: `__proto__` must be as unknown as any other. */
const STATUS_OF_CODE: ReadonlyMap<string, number> = new Map(
  Object.entries({
    invalid_request_error: 400,
    invalid_prompt: 400,
    context_length_exceeded: 400,
    cyber_policy: 400,
    invalid_encrypted_content: 400,
    authentication_error: 401,
    permission_error: 403,
    not_found_error: 404,
    rate_limit_exceeded: 429,
    usage_limit_reached: 429,
    insufficient_quota: 429,
    quota_exceeded: 429,
    usage_not_included: 429,
    server_is_overloaded: 503,
    slow_down: 503,
    service_unavailable_error: 503,
  }),
)

/** The HTTP status of an error that came as an event (spec codex 6.3). */
export function eventStatus(error: UpstreamError): number {
  if (error.status !== null && error.status >= 400 && error.status <= 599) return error.status
  const byCode = STATUS_OF_CODE.get(error.code ?? "") ?? STATUS_OF_CODE.get(error.type ?? "")
  if (byCode !== undefined) return byCode
  if (error.message?.includes("at capacity") === true) return 429
  return isRequestFault(error) ? 400 : 502
}
