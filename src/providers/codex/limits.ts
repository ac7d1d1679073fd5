/** Rate-limit telemetry (spec codex 6.4): response headers, `codex.rate_limits` events, and which limit family a refusal is about. */
import type { HeaderFields } from "../../relay/headers.ts"
import type { AnswerHeaders } from "../../relay/ports.ts"
import { believableReset } from "../../relay/reset-time.ts"
import type { QuotaWindow } from "../../store/types.ts"
import { isObject, type Json, number, text } from "./json.ts"

export interface Limits {
  readonly quotas: readonly QuotaWindow[]
  readonly plan: string | null
}

/** The family of every ordinary model. */
export const MAIN_FAMILY = "codex"
export const NO_LIMITS: Limits = { quotas: [], plan: null }

/** Most families read from one answer. */
export const MAX_WINDOWS = 16
const USED = /^x-([a-z0-9_-]{1,60})-(primary|secondary)-used-percent$/

/** What an answer's headers say. `now` is wall time in milliseconds. */
export function limitsOfHeaders(headers: HeaderFields, now: number): Limits {
  let quotas: QuotaWindow[] | null = null
  for (const name in headers) {
    if (!name.endsWith("-used-percent")) continue
    const [, id, window] = USED.exec(name) ?? []
    const used = number(headers[name])
    if (id === undefined || window === undefined || used === null) continue
    quotas ??= []
    if (quotas.length === MAX_WINDOWS) break
    const prefix = `x-${id}-${window}`
    const at = number(headers[`${prefix}-reset-at`])
    const after = number(headers[`${prefix}-reset-after-seconds`])
    quotas.push(quota(familyOf(id), window, used, number(headers[`${prefix}-window-minutes`]), at, after, now))
  }
  return { quotas: quotas ?? NO_LIMITS.quotas, plan: plan(headers["x-codex-plan-type"]) }
}

/** What a `codex.rate_limits` event says, and whether it says that the limit is reached. */
export function limitsOfEvent(
  event: Json,
  now: number,
): Limits & { readonly reached: boolean; readonly family: string } {
  const family = familyOf(text(event.metered_limit_name) ?? text(event.limit_name) ?? MAIN_FAMILY)
  const limits = isObject(event.rate_limits) ? event.rate_limits : {}
  const quotas: QuotaWindow[] = []
  for (const name of ["primary", "secondary"] as const) {
    const window = limits[name]
    if (!isObject(window)) continue
    const used = number(window.used_percent)
    if (used === null) continue
    const minutes = number(window.window_minutes)
    quotas.push(quota(family, name, used, minutes, number(window.reset_at), number(window.reset_after_seconds), now))
  }
  // The backend's own word, and credits, count before the limit: what it goes on serving is no reason to leave the credential out.
  const reached = limits.limit_reached === true && limits.allowed !== true && !serveOn(event.credits)
  return { quotas, plan: plan(event.plan_type), reached, family }
}

/** Whether there are credits that serve on when a limit is reached. */
export function serveOn(credits: unknown): boolean {
  if (!isObject(credits)) return false
  return credits.unlimited === true || (credits.has_credits === true && credits.overage_limit_reached !== true)
}

/** When the exhausted windows of a family are free again, in wall milliseconds: the latest of them, or null. */
export function exhaustedUntil(quotas: readonly QuotaWindow[], family: string, now: number): number | null {
  let until: number | null = null
  for (const window of quotas) {
    if (window.family !== family || window.usedPercent < 100 || window.resetsAt === null) continue
    if (window.resetsAt > now && (until === null || window.resetsAt > until)) until = window.resetsAt
  }
  return until
}

/** The limit family an answer is about: `codex`, or one of its own such as `codex_bengalfox`; null when it does not say. */
export function activeFamily(headers: AnswerHeaders | null): string | null {
  const name = headers?.get("x-codex-active-limit") ?? null
  return name === null || name === "" ? null : familyOf(name)
}

/** Whether a family has nothing to do with the ordinary models. */
export function isSideFamily(family: string | null): boolean {
  return family !== null && family !== MAIN_FAMILY && family.startsWith(`${MAIN_FAMILY}_`)
}

export function familyOf(id: string): string {
  return id.trim().toLowerCase().replaceAll("-", "_").slice(0, 64)
}

export function plan(value: unknown): string | null {
  const name = text(value)
  return name === null ? null : name.slice(0, 64)
}

/**
 * When a limit is free again, in wall milliseconds: `at` (seconds since the epoch), else `after` (seconds from now), else null.
 * An `at` of zero or less counts as not said, and so does what cannot be meant.
 */
export function resetOf(at: number | null, after: number | null, now: number): number | null {
  const told = at !== null && at > 0 ? believableReset(at * 1000, now) : null
  return told ?? (after === null ? null : believableReset(now + after * 1000, now))
}

export function quota(
  family: string,
  name: string,
  used: number,
  windowMinutes: number | null,
  at: number | null,
  after: number | null,
  now: number,
): QuotaWindow {
  const usedPercent = Math.min(100, Math.max(0, used))
  return { family, name, usedPercent, windowMinutes, resetsAt: resetOf(at, after, now), seenAt: now }
}
