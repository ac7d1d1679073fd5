import { maskEmail } from "../observe/redact.ts"
import { ALL_MODELS } from "../store/types.ts"
import { type Entry, type Now, wallOf } from "./entry.ts"
import { prospectOf } from "./outlook.ts"
import type { CredentialPool } from "./pool.ts"
import type { CredentialView, Explanation } from "./ports.ts"

function masked(email: string | null): string | null {
  return email === null ? null : maskEmail(email)
}

/** One credential for people: no token, the address masked, times on the wall clock as it is now. */
export function viewOf(entry: Entry, pool: CredentialPool, now: Now): CredentialView {
  const { reason, detail, url, until } = why(entry, pool, now)
  return {
    id: entry.id,
    email: masked(entry.identity.email),
    account: entry.identity.account,
    plan: entry.identity.plan,
    state: entry.shown,
    reason,
    detail,
    url,
    until,
    inFlight: entry.inFlight,
    expiresAt: entry.accessToken === null ? null : entry.expiresAt,
    refreshDead: entry.refreshDead,
    ambiguousRefresh: entry.ambiguous,
    cooldowns: [...entry.rests.values()].map((rest) => ({
      scope: rest.scope,
      until: wallOf(rest.at, now),
      stated: rest.stated,
      cause: rest.cause,
    })),
    lacks: [...entry.marks.values()].map((mark) => ({ model: mark.model, until: wallOf(mark.at, now) })),
    quotas: entry.quotas,
    lastError: entry.lastError,
    lastLeasedAt: Number.isFinite(entry.leasedAt) ? wallOf(entry.leasedAt, now) : null,
  }
}

interface Why {
  readonly reason: string | null
  readonly detail: string | null
  readonly url: string | null
  readonly until: number | null
}

function why(entry: Entry, pool: CredentialPool, now: Now): Why {
  const { standing } = entry
  const none = { reason: null, detail: null, url: null, until: null }
  switch (standing.kind) {
    case "parked":
      return { reason: standing.reason, detail: standing.detail, url: standing.url, until: pendingWall(entry, now) }
    case "banned":
      return { ...none, reason: standing.reason, detail: standing.detail }
    case "disabled":
      return { ...none, reason: "disabled" }
    case "active":
      break
  }
  if (entry.shown === "cooling") {
    const all = entry.rests.get(ALL_MODELS)
    if (all !== undefined) return { ...none, reason: all.cause, until: wallOf(all.at, now) }
    let first: { cause: string; at: number } | null = null
    for (const model of pool.models) {
      const rest = entry.restOf(model)
      const mark = entry.marks.get(model)
      const at = Math.max(rest?.at ?? 0, mark?.at ?? 0)
      if (first === null || at < first.at) first = { cause: rest?.cause ?? "model_unavailable", at }
    }
    return first === null ? none : { ...none, reason: first.cause, until: wallOf(first.at, now) }
  }
  if (entry.shown === "expired" && entry.renewal === "backoff") {
    return { ...none, reason: "refresh_failed", until: wallOf(entry.renew.at, now) }
  }
  return none
}

function pendingWall(entry: Entry, now: Now): number | null {
  return entry.parole.pending ? wallOf(entry.parole.at, now) : null
}

/** Why `entry` would, or would not, serve `model`, in one sentence. */
export function explainOf(
  entry: Entry,
  model: string,
  bound: number | null,
  pool: CredentialPool,
  now: Now,
): Explanation {
  const sticky = bound === entry.id
  const say = (usable: boolean, sentence: string, until: number | null = null): Explanation => ({
    id: entry.id,
    email: masked(entry.identity.email),
    usable,
    why: sentence,
    until,
    sticky,
  })
  const { standing } = entry
  switch (standing.kind) {
    case "disabled":
      return say(false, "Disabled by the operator.")
    case "banned":
      return say(false, `Banned (${standing.reason}): ${standing.detail}`)
    case "parked": {
      const until = pendingWall(entry, now)
      const again = until === null ? "" : ` Tried again ${span(until - now.wall)}.`
      return say(false, `Parked (${standing.reason}): ${standing.detail}${again}`, until)
    }
    case "active":
      break
  }
  if (!pool.knows(model)) return say(false, `${model} is not in the configured model list.`)
  const prospect = prospectOf(entry, model, pool.renewalsFrom)
  switch (prospect.kind) {
    case "lacks": {
      const until = wallOf(prospect.until, now)
      return say(false, `The account does not have ${model}. Asked again ${span(until - now.wall)}.`, until)
    }
    case "cooling": {
      const until = wallOf(prospect.until, now)
      return say(false, restSentence(entry, model, until, now), until)
    }
    case "renewing":
      return renewingSentence(entry, now, say)
    case "out":
      return say(false, "Its tokens no longer serve and cannot be renewed. Log in again.")
    case "ready":
      break
  }
  const load = entry.inFlight === 0 ? "idle" : `${entry.inFlight} in flight`
  const dead =
    entry.refreshDead === null ? "" : " Its refresh token is dead: log in again before the access token expires."
  return say(true, `Ready, ${load}${sticky ? ", preferred by this session" : ""}.${dead}`)
}

function restSentence(entry: Entry, model: string, until: number, now: Now): string {
  const rest = entry.restOf(model)
  if (rest === null) return "Cooling."
  const scope = rest.scope === ALL_MODELS ? "all models" : rest.scope
  const probe =
    rest.stated - until > 1_000 ? ` The upstream said ${span(rest.stated - now.wall)}; it is probed earlier.` : ""
  return `Cooling for ${scope} (${rest.cause}), due ${span(until - now.wall)}.${probe}`
}

function renewingSentence(
  entry: Entry,
  now: Now,
  say: (usable: boolean, sentence: string, until?: number | null) => Explanation,
): Explanation {
  if (entry.identifying) return say(false, "Its account is being looked up anew.")
  if (entry.renewal === "flying") return say(false, "Its tokens are being refreshed.")
  if (entry.renewal === "queued") return say(false, "Its tokens expired; a refresh is queued.")
  if (entry.renewal === "backoff") {
    const until = wallOf(entry.renew.at, now)
    return say(false, `Its refresh failed; tried again ${span(until - now.wall)}.`, until)
  }
  return say(false, "Its access token expired; the next request that needs it refreshes it.")
}

/** `in 5 s`, `in 12 min`, `in 3.5 h`, `in 2.1 days`. */
export function span(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 90) return `in ${Math.ceil(seconds)} s`
  if (seconds < 90 * 60) return `in ${Math.round(seconds / 60)} min`
  if (seconds < 48 * 3600) return `in ${Number((seconds / 3600).toFixed(1))} h`
  return `in ${Number((seconds / 86_400).toFixed(1))} days`
}
