/** Reads what Google says went wrong, however it is wrapped (spec 6.3). */
import { arrayOr, isObject, type JsonObject, objectOr, parseJson, textOr } from "./json.ts"

/** A google.rpc.Status as far as it could be read. Never trusted: every text in it is the upstream's. */
export interface Problem {
  /** `error.code`, else the HTTP status, else 0. */
  readonly code: number
  /** `error.status`, e.g. RESOURCE_EXHAUSTED; "" if it did not say. */
  readonly status: string
  /** "" if there was none. */
  readonly message: string
  readonly details: readonly JsonObject[]
  /** Reasons of all ErrorInfo details and of the old `errors` list, in order. */
  readonly reasons: readonly string[]
  /** Metadata of the ErrorInfo details, the first one to name a key winning. */
  readonly metadata: Readonly<Record<string, string>>
  /** False if the body was no error that we could read (HTML, empty, some other text). */
  readonly understood: boolean
}

const MAX_MESSAGE = 2_000
/** Wrappings inside wrappings. */
const MAX_DEPTH = 3

/** @param status the HTTP status, or null for an event inside a 200 */
export function readProblem(body: string, status: number | null): Problem {
  const error = unwrap(body, 0)
  if (error === null) {
    return { code: status ?? 0, status: "", message: "", details: [], reasons: [], metadata: {}, understood: false }
  }
  const details = arrayOr(error.details).filter(isObject)
  const infos = details.filter((detail) => typeof detail.reason === "string")
  const metadata: Record<string, string> = {}
  for (const info of infos) {
    for (const [key, value] of Object.entries(objectOr(info.metadata) ?? {})) {
      if (typeof value === "string" && !Object.hasOwn(metadata, key)) metadata[key] = value
    }
  }
  return {
    code: codeOf(error.code) ?? status ?? 0,
    status: nameOf(error.status),
    message: (textOr(error.message) ?? "").slice(0, MAX_MESSAGE),
    details,
    reasons: [...infos, ...arrayOr(error.errors).filter(isObject)].flatMap((info) => textOr(info.reason) ?? []),
    metadata,
    understood: true,
  }
}

/** A name of google.rpc.Code; whatever else stands there is no status. */
function nameOf(value: unknown): string {
  return typeof value === "string" && /^[A-Z][A-Z_]{0,63}$/.test(value) ? value : ""
}

function codeOf(value: unknown): number | null {
  const code = typeof value === "string" ? Number(value) : value
  return typeof code === "number" && Number.isInteger(code) && code >= 100 && code <= 599 ? code : null
}

/** The innermost `error` object of a body, or null. */
function unwrap(body: string, depth: number): JsonObject | null {
  if (depth > MAX_DEPTH) return null
  const value = parseLoosely(body)
  return value === undefined ? null : fromValue(value, depth)
}

function fromValue(value: unknown, depth: number): JsonObject | null {
  if (Array.isArray(value)) {
    const first = value.find((item) => isObject(item) && "error" in item)
    return first === undefined ? null : fromValue(first, depth)
  }
  if (!isObject(value)) return null
  const error = value.error
  if (isObject(error)) return deepen(error, depth)
  // OAuth's form (RFC 6749 5.2), and what a proxy in between may say.
  if (typeof error === "string") return { message: textOr(value.error_description) ?? textOr(value.message) ?? error }
  return typeof value.code === "number" && typeof value.message === "string" ? deepen(value, depth) : null
}

/** The message may itself be, or hold, a whole error body; the inner one knows more. */
function deepen(error: JsonObject, depth: number): JsonObject {
  const message = error.message
  if (typeof message !== "string" || !message.includes('"error"')) return error
  const from = message.search(/[[{]/)
  const to = Math.max(message.lastIndexOf("}"), message.lastIndexOf("]"))
  const inner = from === -1 || to < from ? null : unwrap(message.slice(from, to + 1), depth + 1)
  return inner === null ? error : { ...error, ...inner }
}

function parseLoosely(body: string): unknown {
  const text = body.replace(/^\uFEFF/, "").trim()
  if (text === "") return undefined
  const plain = parseJson(text)
  if (plain !== undefined) return plain
  const data = eventData(text)
  if (data !== null) return parseJson(data)
  // Seen from upstream: stray duplicated commas (spec 6.3). Inside strings they do no harm to what we look for.
  return /^[[{]/.test(text) ? parseJson(text.replace(/,(?:\s*,)+/g, ",").replace(/,(\s*[\]}])/g, "$1")) : undefined
}

/** The data of the first event, if `text` is an event stream. */
function eventData(text: string): string | null {
  const lines = text.split(/\r\n|\r|\n/)
  const first = lines.findIndex((line) => line.startsWith("data:"))
  if (first === -1) return null
  const data: string[] = []
  for (const line of lines.slice(first)) {
    if (!line.startsWith("data:")) break
    data.push(line.slice(5))
  }
  return data.join("\n")
}

/** Whether any of the reasons is given. */
export const hasReason = (problem: Problem, ...reasons: readonly string[]): boolean =>
  problem.reasons.some((reason) => reasons.includes(reason))

/** Details of a `google.rpc` type, named without its package. */
export const detailsOf = (problem: Problem, type: string): readonly JsonObject[] =>
  problem.details.filter(
    (detail) => typeof detail["@type"] === "string" && detail["@type"].endsWith(`google.rpc.${type}`),
  )

/** `QuotaFailure.violations[].quotaId` and `metadata.quota_limit`, in one list. */
export function quotaNames(problem: Problem): readonly string[] {
  const violations = detailsOf(problem, "QuotaFailure").flatMap((detail) => arrayOr(detail.violations))
  const ids = violations.flatMap((violation) => (isObject(violation) ? (textOr(violation.quotaId) ?? []) : []))
  const limit = problem.metadata.quota_limit
  return limit === undefined ? ids : [...ids, limit]
}

/** Where the person can act: the newest link of a 403, or null. Only https links are shown. */
export function actionUrl(problem: Problem): string | null {
  const { metadata } = problem
  const help = detailsOf(problem, "Help")
    .flatMap((detail) => arrayOr(detail.links))
    .filter(isObject)
    .filter((link) => !/learn more/i.test(textOr(link.description) ?? ""))
    .map((link) => link.url)
  const candidates = [
    metadata.validation_url,
    metadata.validation_link,
    metadata.activationUrl,
    metadata.appeal_url,
    ...help,
  ]
  for (const candidate of candidates) {
    if (typeof candidate !== "string" || candidate.length > 2_048 || !URL.canParse(candidate)) continue
    const url = new URL(candidate)
    if (url.protocol === "https:" && url.hostname !== "support.google.com") return url.href
  }
  return null
}
