import type { Random } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { redact } from "../observe/redact.ts"
import type { Identity, LastError, Stored, TokenSet } from "../store/types.ts"
import { Awaited } from "./awaited.ts"
import type { Custody } from "./custody.ts"
import type { RefreshDesk } from "./desk.ts"
import type { Entry, Now } from "./entry.ts"
import type { Ledger } from "./ledger.ts"
import { park, stand } from "./penalties.ts"
import type { CredentialPool } from "./pool.ts"
import type { AdminResult, CredentialSource, Refreshed, Refresher } from "./ports.ts"
import { planKnown } from "./quotas.ts"
import { delayAfter, LANE, RefreshJob } from "./refresh.ts"
import { inUse, publish } from "./tokens.ts"

const BACKOFF_FIRST = 1_000
const BACKOFF_MOST = 300_000
/** First wait of the ambiguous rule, in milliseconds: an answer that was lost on the wire is not asked for again at once. */
const AMBIGUOUS_FIRST = 2_000
/** Longest Retry-After of a token endpoint that is believed. */
const RETRY_AFTER_MOST = 3_600_000

const UNSTORED = "the new tokens cannot be stored yet; they are kept in memory and tried again"

export interface RenewalDeps {
  readonly pool: CredentialPool
  readonly source: CredentialSource
  readonly refresher: Refresher
  readonly desk: RefreshDesk
  readonly custody: Custody
  readonly ledger: Ledger
  readonly random: Random
  readonly log: Log
}

type Ended = (result: { ok: true } | { ok: false; reason: string }) => void

/** The renewal of one credential; there is one job per entry, so there is one flight per credential. */
class Renewing extends RefreshJob {
  /** The refresh token that was sent. */
  witness = ""
  /** The operator asked for it: sent even if the credential is parked or its refresh counts as dead. */
  forced = false
  /** Why the tokens that it won are not in force yet, or null. */
  unstored: string | null = null
  readonly ended: Ended[] = []

  constructor(
    readonly owner: Renewals,
    readonly entry: Entry,
  ) {
    super()
  }

  begin(now: Now): string | null {
    return this.owner.begin(this, now)
  }

  answered(outcome: Refreshed, now: Now): void {
    this.owner.answered(this, outcome, now)
  }
}

/** Renews the tokens of credentials: when to ask, what an answer means, and that new tokens are stored before they are leased. */
export class Renewals {
  readonly #jobs = new WeakMap<Entry, Renewing>()
  readonly awaited = new Awaited()

  constructor(readonly deps: RenewalDeps) {}

  /** Wants `entry` renewed; nothing happens if it is under way in this lane or a better one, backing off, or hopeless. */
  ask(entry: Entry, lane: number): void {
    if (entry.renewal !== "queued" && !entry.renewable) return
    this.#queue(this.#job(entry), lane)
  }

  /** The operator wants it now, whatever stands against it but the endpoint's word against Pollux itself. */
  force(entry: Entry, now: Now): Promise<AdminResult> {
    const job = this.#job(entry)
    const reason = entry.renewal === "flying" ? job.unstored : this.deps.desk.pause(now)
    if (reason !== null) return Promise.resolve({ kind: "failed", reason })
    const { promise, resolve } = Promise.withResolvers<AdminResult>()
    job.ended.push((result) => {
      resolve(result.ok ? { kind: "ok", credential: null } : { kind: "failed", reason: result.reason })
    })
    if (entry.renewal !== "flying") {
      job.forced = true
      this.#queue(job, LANE.waiting)
    }
    return promise
  }

  /** The access token of `entry` was refused. */
  refuse(entry: Entry, now: Now): void {
    const { pool } = this.deps
    if (entry.refused) {
      this.ask(entry, LANE.waiting)
      return
    }
    entry.refused = true
    entry.alive = false
    entry.refusals++
    pool.heap.remove(entry.expiry)
    if (entry.refreshDead !== null) {
      this.#lose(entry, now)
      return
    }
    if (entry.refusals > 1 && (entry.renewal === "idle" || entry.renewal === "queued")) {
      // Fresh tokens are refused as well: no use in winning new ones in a tight loop.
      const job = this.#job(entry)
      this.deps.desk.lanes.remove(job)
      const delay = delayAfter(entry.refusals - 1, BACKOFF_FIRST, BACKOFF_MOST, this.deps.random)
      pool.heap.set(entry.renew, now.mono + delay)
      this.#rest(job, "backoff")
      return
    }
    pool.settle(entry)
    this.ask(entry, LANE.waiting)
  }

  /** The access token of `entry` ran out. */
  expire(entry: Entry, now: Now): void {
    entry.alive = false
    if (entry.refreshDead !== null && entry.active) this.#lose(entry, now)
    else this.deps.pool.settle(entry)
  }

  /** The `renew` moment of `entry` has come: ahead of the expiry, or after a failure. */
  due(entry: Entry, now: Now): void {
    const { pool } = this.deps
    const wasBackingOff = entry.renewal === "backoff"
    if (wasBackingOff) entry.renewal = "idle"
    if (entry.ambiguous && this.#reread(entry, now)) return
    if (entry.active && (entry.ambiguous || inUse(entry, now.mono))) this.ask(entry, LANE.proactive)
    else entry.dormant = entry.alive
    if (wasBackingOff) pool.settle(entry)
  }

  /** Tokens from elsewhere (start-up, a login, a seed): in force at once; they are stored already. */
  install(entry: Entry, row: Stored, issued: boolean, now: Now): void {
    const { pool, refresher, random } = this.deps
    const job = this.#jobs.get(entry)
    if (entry.renewal === "queued" && job !== undefined) this.deps.desk.lanes.remove(job)
    // A flight for the replaced token ends by itself: its answer no longer fits.
    if (entry.renewal !== "flying") {
      entry.renewal = "idle"
      this.awaited.delete(entry)
    }
    publish(pool, entry, row, issued, refresher.leadMs, now, random)
    if (entry.ambiguous && entry.refreshDead !== null) {
      // An operator's attempt with a token that was refused before, cut off by a kill: whatever came of it, the token is dead.
      entry.ambiguous = false
      this.deps.ledger.note(entry, [{ set: "intent_over" }])
    }
    if (entry.ambiguous && entry.renewal !== "flying") {
      entry.renewal = "backoff"
      pool.heap.set(entry.renew, now.mono + AMBIGUOUS_FIRST * (1 + random()))
    }
    if (!entry.alive && entry.refreshDead !== null && entry.active) this.#lose(entry, now)
    else pool.settle(entry)
    this.#finish(job, { ok: true })
  }

  /** `entry` left the pool. */
  drop(entry: Entry): void {
    const job = this.#jobs.get(entry)
    this.awaited.delete(entry)
    entry.renewal = "idle"
    if (job === undefined) return
    this.deps.desk.lanes.remove(job)
    this.#finish(job, { ok: false, reason: "the credential was removed" })
  }

  /** The stop: nobody is to wait for what will not come any more. */
  close(): void {
    for (const entry of this.deps.pool.entries.values()) {
      this.#finish(this.#jobs.get(entry), { ok: false, reason: "Pollux is stopping" })
    }
  }

  begin(job: Renewing, now: Now): string | null {
    const { entry } = job
    const { source, pool, ledger, log } = this.deps
    if (entry.gone || entry.renewal !== "queued") return null
    const wanted = job.forced || (entry.active && entry.refreshDead === null)
    if (!wanted) {
      this.#rest(job, "idle")
      return null
    }
    try {
      // The end of an earlier intent, if it is not written yet, must not come after this one.
      ledger.catchUp(entry.id)
      source.intend(entry.id, now.wall)
    } catch (error) {
      // Without a durable intent a rotated token could vanish unseen: better not to send it.
      const reason = error instanceof Error ? error.message : String(error)
      log.error("a refresh is put off, since the store cannot be written", { credential: entry.id, error: reason })
      this.#backoff(job, BACKOFF_FIRST, 0, now)
      this.#finish(job, { ok: false, reason: "the store cannot be written" })
      return null
    }
    job.witness = entry.refreshToken
    job.unstored = null
    entry.renewal = "flying"
    this.awaited.send(entry, now.mono)
    pool.settle(entry)
    return job.witness
  }

  answered(job: Renewing, outcome: Refreshed, now: Now): void {
    const { entry } = job
    const { log } = this.deps
    job.forced = false
    if (outcome.kind === "ok") {
      const fields = { credential: entry.id }
      this.deps.custody.store((later) => this.#commit(job, outcome.tokens, outcome.who, later), fields, now)
      if (entry.renewal !== "flying" || entry.gone) return
      job.unstored = UNSTORED
      this.#finish(job, { ok: false, reason: UNSTORED })
      return
    }
    if (entry.gone) return
    if (job.witness !== entry.refreshToken) {
      // It was added anew meanwhile: what happened to the old token is of no interest.
      this.#rest(job, "idle")
      this.#finish(job, { ok: true })
      return
    }
    log.warn("a refresh failed", {
      credential: entry.id,
      kind: outcome.kind,
      reason: outcome.reason,
      detail: outcome.kind === "ambiguous" ? undefined : outcome.detail,
    })
    switch (outcome.kind) {
      case "permanent":
        this.#die(job, outcome, now)
        break
      case "transient":
      case "ours": {
        // Not spent this time; whether it was before stays open.
        if (!entry.ambiguous) this.deps.ledger.note(entry, [{ set: "intent_over" }])
        const least = outcome.kind === "transient" ? (outcome.retryAfterMs ?? 0) : 0
        this.#backoff(job, BACKOFF_FIRST, Math.min(least, RETRY_AFTER_MOST), now)
        break
      }
      case "ambiguous":
        // The intent row stays: the token may be spent, and a restart must know. One refused before is dead either way.
        if (entry.refreshDead === null) entry.ambiguous = true
        else this.deps.ledger.note(entry, [{ set: "intent_over" }])
        this.#backoff(job, AMBIGUOUS_FIRST, 0, now)
        break
    }
    this.#finish(job, { ok: false, reason: outcome.reason })
  }

  /** Stores won tokens, then publishes them. Throws when the store does. */
  #commit(job: Renewing, tokens: TokenSet, who: Partial<Identity> | null, now: Now): void {
    const { entry } = job
    const { source, pool, ledger, log, refresher, random } = this.deps
    if (entry.gone) return
    if (source.rotate(entry.id, job.witness, tokens, who, now.wall) === "superseded") {
      log.info("new tokens were dropped, since the stored ones were replaced meanwhile", { credential: entry.id })
      entry.renewal = "idle"
      this.awaited.delete(entry)
      if (!this.#reread(entry, now)) pool.settle(entry)
      this.#finish(job, { ok: true })
      return
    }
    const { plan } = entry.identity
    if (who !== null) entry.identity = this.#identity(entry, who)
    planKnown({ pool, ledger }, entry, plan)
    entry.generation++
    entry.ambiguous = false
    entry.renewal = "idle"
    this.awaited.delete(entry)
    publish(pool, entry, tokens, true, refresher.leadMs, now, random)
    if (entry.refreshDead !== null) {
      entry.refreshDead = null
      ledger.note(entry, [{ set: "refresh_dead", reason: null }])
    }
    const { standing } = entry
    if (standing.kind === "parked" && standing.reason === "needs_login") {
      ledger.note(entry, stand(pool, entry, { kind: "active" }))
    } else pool.settle(entry)
    log.debug("tokens were renewed", { credential: entry.id, generation: entry.generation })
    this.#finish(job, { ok: true })
  }

  /** The store may keep a credential's own account and subject where the new ones are another credential's. */
  #identity(entry: Entry, who: Partial<Identity>): Identity {
    const merged = { ...entry.identity, ...who }
    if (merged.sub === entry.identity.sub && merged.account === entry.identity.account) return merged
    try {
      return this.deps.source.read(entry.id)?.identity ?? merged
    } catch {
      return { ...merged, sub: entry.identity.sub, account: entry.identity.account }
    }
  }

  #die(job: Renewing, outcome: Refreshed & { kind: "permanent" }, now: Now): void {
    const { entry } = job
    const { pool, ledger } = this.deps
    entry.ambiguous = false
    entry.refreshDead = outcome.reason
    const error: LastError = {
      at: now.wall,
      status: null,
      cause: outcome.reason,
      message: redact(outcome.detail).slice(0, 300),
    }
    entry.lastError = error
    ledger.note(entry, [
      { set: "refresh_dead", reason: outcome.reason },
      { set: "intent_over" },
      { set: "error", error },
    ])
    pool.heap.remove(entry.renew)
    this.#rest(job, "idle")
    if (outcome.ban) {
      const { reason, detail } = outcome
      ledger.note(entry, stand(pool, entry, { kind: "banned", reason, detail, since: now.wall }))
    } else if (!entry.alive) this.#lose(entry, now)
  }

  /** Neither token serves any more: somebody has to log in. */
  #lose(entry: Entry, now: Now): void {
    const { pool, ledger, log } = this.deps
    const detail = `The refresh token was refused (${entry.refreshDead ?? "unknown"}) and the access token no longer serves. Log in again.`
    const changes = park(pool, entry, pool.youngest, { do: "park", reason: "needs_login", detail, url: null }, now)
    if (changes.length === 0) pool.settle(entry)
    else log.warn("a credential needs a new login", { credential: entry.id, reason: entry.refreshDead })
    ledger.note(entry, changes)
  }

  /** Takes over the stored tokens if they are others than ours; true if they were, or if the row is gone. */
  #reread(entry: Entry, now: Now): boolean {
    const { source, log } = this.deps
    let row: Stored | null
    try {
      row = source.read(entry.id)
    } catch (error) {
      log.error("a credential could not be read", {
        credential: entry.id,
        error: error instanceof Error ? error.message : String(error),
      })
      return false
    }
    if (row === null || row.refreshToken === entry.refreshToken) return false
    entry.generation++
    entry.ambiguous = row.intentAt !== null
    this.install(entry, row, false, now)
    return true
  }

  #queue(job: Renewing, lane: number): void {
    const { entry } = job
    if (!this.deps.desk.lanes.add(job, lane)) return
    entry.renewal = "queued"
    this.deps.pool.heap.remove(entry.renew)
    if (lane === LANE.waiting) this.awaited.add(entry)
    this.deps.pool.settle(entry)
  }

  #backoff(job: Renewing, first: number, least: number, now: Now): void {
    const { entry } = job
    const { pool, random } = this.deps
    entry.renewalFailures++
    const delay = Math.max(least, delayAfter(entry.renewalFailures, first, BACKOFF_MOST, random))
    pool.heap.set(entry.renew, now.mono + delay)
    this.#rest(job, "backoff")
  }

  #rest(job: Renewing, renewal: "idle" | "backoff"): void {
    job.entry.renewal = renewal
    this.awaited.delete(job.entry)
    this.deps.pool.settle(job.entry)
  }

  #finish(job: Renewing | undefined, result: Parameters<Ended>[0]): void {
    if (job === undefined) return
    for (const ended of job.ended.splice(0)) ended(result)
  }

  #job(entry: Entry): Renewing {
    const known = this.#jobs.get(entry)
    if (known !== undefined) return known
    const job = new Renewing(this, entry)
    this.#jobs.set(entry, job)
    return job
  }
}
