/** What is left of an account's limits, as the backend tells when it is asked (spec codex 6.4, `wham/usage`). */
import type { CodexSettings } from "../../config/types.ts"
import type { Clock, Live } from "../../observe/clock.ts"
import { readErrorBody } from "../../relay/bodies.ts"
import { networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import type { QuotaReader, QuotaReading } from "../../scheduler/ports.ts"
import type { QuotaWindow } from "../../store/types.ts"
import { PROBES, UNSTATED_RESET } from "./actions.ts"
import { callerOf } from "./caller.ts"
import { claimsOf } from "./identity.ts"
import { isObject, type Json, number, parseObject, text } from "./json.ts"
import { exhaustedUntil, familyOf, MAIN_FAMILY, MAX_WINDOWS, plan, quota, serveOn } from "./limits.ts"
import { credentialHeaders, identityHeaders } from "./upstream.ts"

const PATH = "/backend-api/wham/usage"
const NOBODY = callerOf(new Headers())

interface UsageDeps {
  readonly settings: Live<CodexSettings>
  readonly fetcher: Fetcher
  readonly clock: Clock
}

export function createQuotaReader({ settings, fetcher, clock }: UsageDeps): QuotaReader {
  return {
    probe: PROBES,
    async quotas(token, identity, signal) {
      const { apiUrl, clientVersion, originator } = settings.current
      const headers = {
        ...identityHeaders(NOBODY, clientVersion, originator),
        ...credentialHeaders({ token, identity }, claimsOf(token)?.fedramp === true),
        accept: "application/json",
      }
      try {
        const url = new URL(PATH, apiUrl).href
        const response = await fetcher(url, { method: "GET", headers, signal })
        const body = await readErrorBody(response)
        if (!response.ok) return failed(`the backend answered ${response.status}`)
        return readUsage(parseObject(body), clock.wall())
      } catch (error) {
        return failed(networkFailure(error).detail)
      }
    },
  }
}

/** Pure; never throws. `now` is wall time in milliseconds. */
export function readUsage(answer: Json | null, now: number): QuotaReading {
  const main = answer?.rate_limit
  if (answer === null || !isObject(main)) return failed("the answer holds no rate limit")
  const windows = windowsOf(main, MAIN_FAMILY, now)
  const others = Array.isArray(answer.additional_rate_limits) ? answer.additional_rate_limits : []
  for (const other of others.slice(0, MAX_WINDOWS)) {
    if (!isObject(other) || !isObject(other.rate_limit)) continue
    // What the headers of an answer call it too; the other one is for people.
    const id = text(other.metered_feature) ?? text(other.limit_name)
    if (id !== null && familyOf(id) !== MAIN_FAMILY) windows.push(...windowsOf(other.rate_limit, familyOf(id), now))
  }
  const quotas = windows.slice(0, MAX_WINDOWS)
  const limitedUntil = isLimited(main, answer.credits, quotas, now)
    ? (exhaustedUntil(quotas, MAIN_FAMILY, now) ?? now + UNSTATED_RESET)
    : null
  // A side limit does not say which models it is about.
  return { kind: "ok", windows: quotas, plan: plan(answer.plan_type), limitedUntil, models: new Map() }
}

function windowsOf(limit: Json, family: string, now: number): QuotaWindow[] {
  const windows: QuotaWindow[] = []
  for (const name of ["primary", "secondary"] as const) {
    const window = limit[`${name}_window`]
    if (!isObject(window)) continue
    const used = number(window.used_percent)
    if (used === null) continue
    const seconds = number(window.limit_window_seconds)
    const minutes = seconds === null || seconds <= 0 ? null : Math.round(seconds / 60)
    windows.push(quota(family, name, used, minutes, number(window.reset_at), number(window.reset_after_seconds), now))
  }
  return windows
}

/** Credits serve on when a limit is reached. The backend's own word counts before the percentages, which are rounded. */
function isLimited(limit: Json, credits: unknown, quotas: readonly QuotaWindow[], now: number): boolean {
  if (serveOn(credits)) return false
  if (typeof limit.allowed === "boolean") return !limit.allowed
  if (typeof limit.limit_reached === "boolean") return limit.limit_reached
  return exhaustedUntil(quotas, MAIN_FAMILY, now) !== null
}

const failed = (reason: string): QuotaReading => ({ kind: "failed", reason })
