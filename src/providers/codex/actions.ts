/** What verdicts do to credentials. Times are wall milliseconds. */
import { retryAfterMs } from "../../relay/retry-after.ts"
import type { Action } from "../../scheduler/ports.ts"
import type { Case } from "./case.ts"
import { activeFamily, exhaustedUntil, isSideFamily, limitsOfHeaders, MAIN_FAMILY, resetOf } from "./limits.ts"
import { scrubForLog } from "./scrub.ts"

const MINUTE = 60_000
const HOUR = 3_600_000
/** Reset times of paid plans are not believed for longer: limits are reset early, credits bought, plans changed (spec codex 6.5). */
export const PROBES = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR] as const
/** A usage limit that names no time. */
export const UNSTATED_RESET = 10 * MINUTE
/** No cooldown for a usage limit is shorter, whatever the clocks say. */
const SHORTEST = 5_000
/** How long a model that was refused is not asked of this credential again. */
const LACKING = 12 * HOUR
/** Longest cooldown for a rate limit without a usage limit: such times have been wrong (spec codex 6.5). */
const LONGEST_RATE_LIMIT = 5 * MINUTE
const RATE_LADDER = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, MINUTE, 2 * MINUTE, 5 * MINUTE] as const
const FREE_PLANS: ReadonlySet<string> = new Set(["free"])

const NONE: Action = { do: "none" }

export const none = (): Action => NONE

export const backoffAll = (cause: string, ladder: readonly number[]) => (): Action => ({
  do: "backoff",
  scope: "all",
  ladder,
  cause,
})

/** Only from the given strike in a row on. */
export const backoffLater = (cause: string, after: number, ladder: readonly number[]) => (): Action => ({
  do: "backoff",
  scope: "all",
  ladder,
  cause,
  after,
})

export function refresh({ lease }: Case): Action {
  return { do: "refresh", generation: lease.generation }
}

export function ban(facts: Case): Action {
  return { do: "ban", reason: facts.error.code ?? "account_deactivated", detail: said(facts) }
}

/** Twice a pause, then out. */
export function probation(): Action {
  // biome-ignore lint/suspicious/noThenProperty: the port's name for what follows; a string is no thenable
  return { do: "backoff", scope: "all", ladder: [HOUR, 6 * HOUR], cause: "payment", then: "ban" }
}

/** Repeated refusals over many hours mean the account, a few may mean anything. */
export function backoffForbidden(): Action {
  const ladder = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 12 * HOUR]
  // biome-ignore lint/suspicious/noThenProperty: the port's name for what follows; a string is no thenable
  return { do: "backoff", scope: "all", ladder, cause: "forbidden", then: "ban" }
}

export function parkIneligible(facts: Case): Action {
  const plan = facts.error.plan ?? facts.lease.identity.plan
  const detail = `The plan${plan === null ? "" : ` (${plan})`} does not include Codex.`
  return { do: "park", reason: "ineligible", detail, url: null, recheck: [24 * HOUR] }
}

/** Tentative: when every credential says so, the model's name or our version is wrong, not the accounts. */
export function lacksModel({ call, context }: Case): Action {
  return { do: "lacks", model: call.model, until: context.now + LACKING, tentative: true }
}

/** A usage limit holds for the whole credential, or for its one model when the limit is that of a side family. */
export function coolUntilReset(facts: Case): Action {
  const { error, call, lease, context } = facts
  const { now } = context
  const family = error.limit?.toLowerCase().replaceAll("-", "_") ?? activeFamily(facts.headers)
  const plan = error.plan ?? lease.identity.plan
  const until = Math.max(freeAgain(facts, family ?? MAIN_FAMILY) + 1_000, now + SHORTEST)
  const cool = {
    do: "cool",
    scope: isSideFamily(family) ? [call.model] : "all",
    until,
    cause: "usage_limit",
    quota: true,
  } as const
  return plan !== null && FREE_PLANS.has(plan.toLowerCase()) ? cool : { ...cool, probe: PROBES }
}

function freeAgain({ error, headers, context: { now } }: Case, family: string): number {
  const told = resetOf(error.resetsAt, error.resetsIn !== null && error.resetsIn >= 0 ? error.resetsIn : null, now)
  if (told !== null) return told
  const exhausted = headers === null ? null : exhaustedUntil(limitsOfHeaders(headers.toJSON(), now).quotas, family, now)
  return exhausted ?? now + UNSTATED_RESET
}

/** A passing rate limit: the stated pause, else a ladder; for the model that was asked for. */
export function coolModel(facts: Case): Action {
  const { call, context } = facts
  const stated = retryAfterMs(facts.headers?.get("retry-after") ?? null, context.now) ?? pauseIn(facts.error.message)
  const scope = [call.model]
  if (stated === null) return { do: "backoff", scope, ladder: RATE_LADDER, cause: "rate_limit" }
  const pause = Math.min(Math.max(stated, 500), LONGEST_RATE_LIMIT)
  return { do: "cool", scope, until: context.now + pause, cause: "rate_limit", quota: false }
}

const PAUSE = /try again in\s+(\d{1,6}(?:\.\d{1,6})?)\s*(ms|milliseconds?|s|sec|seconds?|m|min|minutes?)\b/i

/** Milliseconds of "try again in 11.054s" and its like; null where nothing is said. */
export function pauseIn(message: string | null): number | null {
  const [, amount, unit] = (message === null ? null : PAUSE.exec(message)) ?? []
  if (amount === undefined || unit === undefined) return null
  const name = unit.toLowerCase()
  const factor =
    name.startsWith("mi") && !name.startsWith("min") ? 1 : name === "ms" ? 1 : name.startsWith("m") ? MINUTE : 1_000
  return Math.ceil(Number(amount) * factor)
}

function said(facts: Case): string {
  const { error, lease } = facts
  return scrubForLog(error.message ?? error.code ?? `status ${facts.status}`, lease).slice(0, 300)
}
