import { type Entry, type Now, wallOf } from "./entry.ts"
import type { CredentialPool } from "./pool.ts"
import type { Ask, Refusal } from "./ports.ts"

/** Longest wait for a refresh, in milliseconds. */
export const REFRESH_WAIT = 30_000
/** Longest wait for the cooldown of the credential that a session prefers, in milliseconds. */
const STICKY_REST_WAIT = 3_000
/** Longest wait for the refresh of the credential that a session prefers while others are ready, in milliseconds. */
const STICKY_REFRESH_WAIT = 5_000

/** Why a credential is not ready for a model, and from when on it may be. */
export type Prospect =
  | { readonly kind: "out" }
  | { readonly kind: "lacks"; readonly until: number }
  | { readonly kind: "cooling"; readonly until: number; readonly quota: boolean }
  /** Its tokens are being renewed, or will be at `from`. */
  | { readonly kind: "renewing"; readonly from: number }
  | { readonly kind: "ready" }

const OUT: Prospect = { kind: "out" }
const READY: Prospect = { kind: "ready" }

/** How `entry` stands towards `model`. Times are monotonic; `renewalsFrom` is when the pool sends refreshes again. */
export function prospectOf(entry: Entry, model: string, renewalsFrom: number): Prospect {
  if (!entry.active || entry.gone) return OUT
  const mark = entry.marks.get(model)
  if (mark !== undefined) return { kind: "lacks", until: mark.at }
  const rest = entry.restOf(model)
  if (rest !== null) return { kind: "cooling", until: rest.at, quota: rest.quota }
  if (entry.identifying || (entry.renewal === "flying" && !entry.alive)) return { kind: "renewing", from: 0 }
  if (entry.alive) return READY
  if (entry.renewal === "backoff") return { kind: "renewing", from: Math.max(entry.renew.at, renewalsFrom) }
  return entry.refreshDead === null ? { kind: "renewing", from: renewalsFrom } : OUT
}

/** All credentials of one model, counted. */
interface Outlook {
  version: number
  /** Active and not lacking the model. */
  candidates: number
  lacking: number
  cooling: number
  /** Every cooling one waits for a stated quota reset. */
  quota: boolean
  first: Entry | null
  /** When the first cooling one is due, Infinity for none. */
  firstAt: number
  /** Those whose tokens are being renewed, or can be. */
  renewing: number
  /** When the first of them may be tried. */
  renewFirstAt: number
}

/**
 * What a request that finds nothing ready may hope for. The counts of a model are computed once per change of the pool, not
 * once per request, so that a storm of refusals costs no more than the changes that led to it.
 */
export class Outlooks {
  readonly #cache = new Map<string, Outlook>()

  constructor(readonly pool: CredentialPool) {}

  of(model: string): Outlook {
    const known = this.#cache.get(model)
    if (known !== undefined && known.version === this.pool.version) return known
    const fresh = this.#count(model)
    this.#cache.set(model, fresh)
    return fresh
  }

  /**
   * Null when it is worth waiting since `since`, else why not.
   * Worth it: a refresh under way or about to begin within REFRESH_WAIT, a cooldown that ends within `maxWait`.
   */
  judge(ask: Ask, since: number, maxWait: number, now: Now): Refusal | null {
    const { model } = ask
    if (!this.pool.knows(model)) return { why: "unsupported", model }
    const refreshEnd = Math.min(since + REFRESH_WAIT, ask.deadline)
    const restEnd = Math.min(since + maxWait, ask.deadline)
    if (ask.only !== null) return this.#judgeOne(ask.only, model, refreshEnd, restEnd, now)
    const all = this.of(model)
    if (all.candidates === 0) return all.lacking > 0 ? { why: "unsupported", model } : { why: "empty" }
    if (now.mono < refreshEnd && this.#hopes(ask, all, refreshEnd)) return null
    if (now.mono < restEnd && this.#firstRest(ask, all) <= restEnd) return null
    return this.#refuse(ask, all, now)
  }

  /** A credential is being renewed, or will be before `end`, that the ask does not exclude. */
  #hopes(ask: Ask, all: Outlook, end: number): boolean {
    if (all.renewing === 0 || all.renewFirstAt >= end) return false
    let left = all.renewing
    for (const id of ask.exclude) {
      const entry = this.pool.entries.get(id)
      if (entry !== undefined && prospectOf(entry, ask.model, 0).kind === "renewing") left--
    }
    return left > 0
  }

  #firstRest(ask: Ask, all: Outlook): number {
    const first = all.first
    if (first === null || !ask.exclude.has(first.id)) return all.firstAt
    let least = Number.POSITIVE_INFINITY
    for (const entry of this.pool.entries.values()) {
      if (ask.exclude.has(entry.id)) continue
      const prospect = prospectOf(entry, ask.model, 0)
      if (prospect.kind === "cooling" && prospect.until < least) least = prospect.until
    }
    return least
  }

  #refuse(ask: Ask, all: Outlook, now: Now): Refusal {
    // Whoever is not cooling is either renewing or was ruled out by the ask itself.
    let untried = all.renewing
    for (const id of ask.exclude) {
      const entry = this.pool.entries.get(id)
      if (entry !== undefined && prospectOf(entry, ask.model, 0).kind === "renewing") untried--
    }
    if (all.cooling === all.candidates) return this.#cooling(all, all.quota, all.firstAt, now)
    if (untried <= 0) return { why: "exhausted" }
    if (all.renewFirstAt <= now.mono) return { why: "timeout" }
    return this.#cooling(all, false, Math.min(all.firstAt, all.renewFirstAt), now)
  }

  #cooling(all: Outlook, quota: boolean, at: number, now: Now): Refusal {
    return { why: "all_cooling", until: wallOf(at, now), quota, plan: all.first?.identity.plan ?? null }
  }

  #judgeOne(id: number, model: string, refreshEnd: number, restEnd: number, now: Now): Refusal | null {
    const entry = this.pool.entries.get(id)
    if (entry === undefined) return { why: "exhausted" }
    const prospect = prospectOf(entry, model, this.pool.renewalsFrom)
    if (prospect.kind === "renewing") {
      if (prospect.from < refreshEnd && now.mono < refreshEnd) return null
      return { why: "timeout" }
    }
    if (prospect.kind === "cooling" && prospect.until <= restEnd && now.mono < restEnd) return null
    return { why: "exhausted" }
  }

  #count(model: string): Outlook {
    const all: Outlook = {
      version: this.pool.version,
      candidates: 0,
      lacking: 0,
      cooling: 0,
      quota: true,
      first: null,
      firstAt: Number.POSITIVE_INFINITY,
      renewing: 0,
      renewFirstAt: Number.POSITIVE_INFINITY,
    }
    for (const entry of this.pool.entries.values()) {
      const prospect = prospectOf(entry, model, this.pool.renewalsFrom)
      if (prospect.kind === "out") continue
      if (prospect.kind === "lacks") {
        all.lacking++
        continue
      }
      all.candidates++
      if (prospect.kind === "cooling") {
        all.cooling++
        if (!prospect.quota) all.quota = false
        if (prospect.until < all.firstAt) {
          all.firstAt = prospect.until
          all.first = entry
        }
      } else if (prospect.kind === "renewing") {
        all.renewing++
        all.renewFirstAt = Math.min(all.renewFirstAt, prospect.from)
      }
    }
    return all
  }
}

/** Until when it is worth waiting for the credential that a session prefers, though others may be ready; 0 for not at all. */
export function stickyWait(
  entry: Entry,
  ask: Ask,
  since: number,
  maxWait: number,
  renewalsFrom: number,
  now: number,
): number {
  if (ask.only !== null || ask.exclude.has(entry.id) || ask.avoid.has(entry.id)) return 0
  const prospect = prospectOf(entry, ask.model, renewalsFrom)
  if (prospect.kind === "cooling") {
    const end = Math.min(since + Math.min(maxWait, STICKY_REST_WAIT), ask.deadline)
    return prospect.until <= end && now < end ? end : 0
  }
  if (prospect.kind === "renewing") {
    const end = Math.min(since + STICKY_REFRESH_WAIT, ask.deadline)
    return prospect.from <= end && now < end ? end : 0
  }
  return 0
}

/** Ready for `model`, or so soon again that a session stays with it (kept over passing errors). */
export function soonBack(entry: Entry, model: string, renewalsFrom: number, now: number): boolean {
  const prospect = prospectOf(entry, model, renewalsFrom)
  switch (prospect.kind) {
    case "ready":
      return true
    case "cooling":
      return prospect.until - now <= STICKY_REST_WAIT
    case "renewing":
      return prospect.from - now <= STICKY_REFRESH_WAIT
    default:
      return false
  }
}
