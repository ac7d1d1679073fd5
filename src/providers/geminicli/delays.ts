/** Every way in which Google says "not before" (spec 6.5). Zero, negative and unreadable times count as not said. */
import { detailsOf, hasReason, type Problem } from "./errors.ts"
import { isObject } from "./json.ts"

/** No quota window is longer; more is a mistake. */
const LONGEST_MS = 31 * 24 * 3_600_000

const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  "\u00b5s": 0.001,
  "\u03bcs": 0.001,
  ns: 0.000_001,
}

const GO_DURATION = /^[+-]?(?:\d+(?:\.\d*)?(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/
const GO_STEP = /(\d+(?:\.\d*)?)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g

/** Milliseconds of a Go or protobuf duration (`11h16m14.149781566s`, `373.8ms`, `40s`); null if it is none. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim()
  if (!GO_DURATION.test(trimmed)) return null
  let total = 0
  for (const [, digits, unit] of trimmed.matchAll(GO_STEP)) total += Number(digits) * (UNIT_MS[unit ?? ""] ?? 0)
  return trimmed.startsWith("-") ? -total : total
}

/** Milliseconds of a Retry-After value, seconds or HTTP date (RFC 9110 10.2.3); null if it is neither. */
export function parseRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null
  const text = value.trim()
  if (/^\d{1,10}(?:\.\d+)?$/.test(text)) return Number(text) * 1_000
  // Date.parse takes much that is no HTTP date; all those begin with a day's name.
  if (!/^(?:mon|tue|wed|thu|fri|sat|sun)/i.test(text)) return null
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : at - now
}

/** `retryDelay` of a RetryInfo: a duration text, or the message form {seconds, nanos}. */
function parseRetryDelay(value: unknown): number | null {
  if (typeof value === "string") return parseDuration(value)
  if (!isObject(value)) return null
  const seconds = Number(value.seconds ?? 0)
  const nanos = Number(value.nanos ?? 0)
  return Number.isFinite(seconds) && Number.isFinite(nanos) ? seconds * 1_000 + nanos / 1_000_000 : null
}

const IN_MESSAGE = /\b(?:after|in)\s+((?:\d+(?:\.\d+)?(?:ms|h|m|s))+)\b/i

/** The sources in the order of trust; times relative to `now` (wall, ms). */
function delaysOf(problem: Problem, headers: Headers, now: number): readonly (number | null)[] {
  const stamp = problem.metadata.quotaResetTimeStamp
  const until = stamp === undefined ? Number.NaN : Date.parse(stamp)
  const reset = problem.metadata.quotaResetDelay
  return [
    Number.isNaN(until) ? null : until - now,
    reset === undefined ? null : parseDuration(reset),
    ...detailsOf(problem, "RetryInfo").map((detail) => parseRetryDelay(detail.retryDelay)),
    parseDuration(IN_MESSAGE.exec(problem.message)?.[1] ?? ""),
    parseRetryAfter(headers.get("retry-after"), now),
  ]
}

/**
 * How long the upstream asks to wait, in milliseconds, or null if it does not say: the first source that names a time, the
 * longest of all for an exhausted quota.
 */
export function statedDelay(problem: Problem, headers: Headers, now: number): number | null {
  const delays = delaysOf(problem, headers, now).filter(
    (delay): delay is number => delay !== null && Number.isFinite(delay) && delay > 0,
  )
  if (delays.length === 0) return null
  const delay = hasReason(problem, "QUOTA_EXHAUSTED") ? Math.max(...delays) : (delays[0] ?? 0)
  return Math.min(delay, LONGEST_MS)
}

/** Whether a time was named and was zero: capacity, not quota (spec 6.2). */
export function statesZeroDelay(problem: Problem): boolean {
  const { quotaResetDelay } = problem.metadata
  const stated = [
    quotaResetDelay === undefined ? null : parseDuration(quotaResetDelay),
    ...detailsOf(problem, "RetryInfo").map((detail) => parseRetryDelay(detail.retryDelay)),
  ].filter((delay) => delay !== null)
  return stated.length > 0 && stated.every((delay) => delay <= 0)
}
