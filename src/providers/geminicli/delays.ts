/** Every way in which Google says "not before" (spec 6.5). Zero, negative, unreadable and unbelievable times count as not said. */
import type { AnswerHeaders } from "../../relay/ports.ts"
import { believableReset } from "../../relay/reset-time.ts"
import { durationMs, retryAfterMs } from "../../relay/retry-after.ts"
import { detailsOf, hasReason, type Problem } from "./errors.ts"
import { isObject } from "./json.ts"

/** No quota window is longer; more is a mistake. */
const LONGEST_MS = 31 * 24 * 3_600_000

/** `retryDelay` of a RetryInfo: a duration text, or the message form {seconds, nanos}. */
function parseRetryDelay(value: unknown): number | null {
  if (typeof value === "string") return durationMs(value)
  if (!isObject(value)) return null
  const seconds = Number(value.seconds ?? 0)
  const nanos = Number(value.nanos ?? 0)
  return Number.isFinite(seconds) && Number.isFinite(nanos) ? seconds * 1_000 + nanos / 1_000_000 : null
}

const IN_MESSAGE = /\b(?:after|in)\s+((?:\d+(?:\.\d+)?(?:ms|h|m|s))+)\b/i

/** The sources in the order of trust; times relative to `now` (wall, ms). */
function delaysOf(problem: Problem, headers: AnswerHeaders, now: number): readonly (number | null)[] {
  const stamp = problem.metadata.quotaResetTimeStamp
  const until = stamp === undefined ? Number.NaN : Date.parse(stamp)
  const reset = problem.metadata.quotaResetDelay
  return [
    Number.isNaN(until) ? null : until - now,
    reset === undefined ? null : durationMs(reset),
    ...detailsOf(problem, "RetryInfo").map((detail) => parseRetryDelay(detail.retryDelay)),
    durationMs(IN_MESSAGE.exec(problem.message)?.[1] ?? ""),
    retryAfterMs(headers.get("retry-after"), now),
  ]
}

/**
 * How long the upstream asks to wait, in milliseconds, or null if it does not say: the first source that names a time, the
 * longest of all for an exhausted quota.
 */
export function statedDelay(problem: Problem, headers: AnswerHeaders, now: number): number | null {
  const delays = delaysOf(problem, headers, now).filter(
    (delay): delay is number => delay !== null && delay > 0 && believableReset(now + delay, now) !== null,
  )
  if (delays.length === 0) return null
  const delay = hasReason(problem, "QUOTA_EXHAUSTED") ? Math.max(...delays) : (delays[0] ?? 0)
  return Math.min(delay, LONGEST_MS)
}

/** Whether a time was named and was zero: capacity, not quota (spec 6.2). */
export function statesZeroDelay(problem: Problem): boolean {
  const { quotaResetDelay } = problem.metadata
  const stated = [
    quotaResetDelay === undefined ? null : durationMs(quotaResetDelay),
    ...detailsOf(problem, "RetryInfo").map((detail) => parseRetryDelay(detail.retryDelay)),
  ].filter((delay) => delay !== null)
  return stated.length > 0 && stated.every((delay) => delay <= 0)
}
