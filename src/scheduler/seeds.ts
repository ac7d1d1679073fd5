import type { Clock, Random, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { Identity, Seed, SeedHint, SeedOutcome, TokenSet } from "../store/types.ts"
import type { Custody } from "./custody.ts"
import type { RefreshDesk } from "./desk.ts"
import { Chore } from "./due.ts"
import type { Now } from "./entry.ts"
import type { Events } from "./events.ts"
import type { IdentifyTask, Onboarding } from "./onboarding.ts"
import type { CredentialPool } from "./pool.ts"
import type { CredentialSource, Identified, Refreshed } from "./ports.ts"
import { delayAfter, LANE, RefreshJob } from "./refresh.ts"
import type { Roster } from "./roster.ts"
import { MOST_PENDING, SeedsFull } from "./seeds-full.ts"

const RETRY_FIRST = 2_000
const RETRY_MOST = 300_000
/** Held access tokens with less life than this, in milliseconds, are renewed before the account is identified with them. */
const FRESH_FOR = 60_000

export interface SeedDeps {
  readonly pool: CredentialPool
  readonly source: CredentialSource
  readonly desk: RefreshDesk
  readonly onboarding: Onboarding
  readonly custody: Custody
  readonly roster: Roster
  readonly events: Events
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
}

/** One seed on its way: refresh, hold, identify, adopt. */
class SeedJob extends RefreshJob implements IdentifyTask {
  tokens: TokenSet
  won: boolean
  failures: number
  readonly retry: Chore

  constructor(
    readonly owner: Seeds,
    /** Null for a login whose tokens could not be recorded as a seed. */
    readonly id: string | null,
    readonly account: string | null,
    readonly refreshToken: string,
    held: TokenSet | null,
    readonly urgent: boolean,
  ) {
    super()
    this.won = held !== null
    this.tokens = held ?? { accessToken: "", refreshToken, expiresAt: 0, idToken: null }
    this.failures = 0
    this.retry = new Chore((now) => owner.advance(this, now))
  }

  begin(now: Now): string | null {
    return this.owner.begin(this, now)
  }

  answered(outcome: Refreshed, now: Now): void {
    this.owner.answered(this, outcome, now)
  }

  identified(outcome: Identified, now: Now): void {
    this.owner.identified(this, outcome, now)
  }
}

/**
 * The way of untrusted refresh tokens, and of logins, into the pool. Every step is stored before the next is taken, so a kill at any
 * instant loses nothing: a seed is stored before it is answered, its intent before its token is sent, its new tokens before the
 * account is identified, the credential before it is leased.
 */
export class Seeds {
  readonly #jobs = new Map<string, SeedJob>()
  readonly #watchers = new Map<string, Set<(outcome: SeedOutcome) => void>>()
  readonly #names = new WeakMap<SeedJob, string>()
  #logins = 0
  #loginNumber = 0

  constructor(readonly deps: SeedDeps) {}

  get pending(): number {
    return this.#jobs.size + this.#logins
  }

  /** Takes up what an earlier process left. */
  load(seeds: readonly Seed[], now: Now): void {
    for (const seed of seeds) {
      const job = new SeedJob(this, seed.id, seed.account, seed.refreshToken, seed.tokens, false)
      this.#jobs.set(seed.id, job)
      if (seed.intentAt !== null && seed.tokens === null) {
        // Sent before the stop, and never answered: the ambiguous rule.
        job.failures = 1
        this.#later(job, 0, now)
      } else this.advance(job, now)
    }
  }

  /** Stores `hints` and sends what is new. Throws when they are too many or the store cannot be written: nothing was taken then. */
  add(hints: readonly SeedHint[], now: Now): readonly SeedOutcome[] {
    if (this.pending + hints.length > MOST_PENDING) throw new SeedsFull(this.pending, hints.length)
    const outcomes = this.deps.source.addSeeds(hints, now.wall)
    for (const outcome of outcomes) {
      if (outcome.kind !== "pending" || this.#jobs.has(outcome.id)) continue
      const seed = this.deps.source.pendingSeed(outcome.id)
      if (seed === null) continue
      const job = new SeedJob(this, seed.id, seed.account, seed.refreshToken, seed.tokens, false)
      this.#jobs.set(seed.id, job)
      this.advance(job, now)
    }
    const handedIn = new Set(hints.map((hint) => hint.refreshToken))
    for (const outcome of outcomes) {
      if (outcome.kind === "known" && outcome.credential !== null) this.#known(outcome.credential, handedIn, now)
      const job = outcome.kind === "pending" ? this.#jobs.get(outcome.id) : undefined
      if (job?.retry.pending) {
        // Handed in again while it waits for another try: a person wants it now.
        this.deps.pool.heap.remove(job.retry)
        this.advance(job, now)
      }
    }
    const accounts = new Map<string, string | null>()
    for (const { refreshToken, account } of hints) {
      if (!accounts.has(refreshToken)) accounts.set(refreshToken, account)
    }
    const wanted = [...accounts.values()]
    return outcomes.map((outcome, index) => this.#withDetail(outcome, wanted[index] ?? null))
  }

  /** A known token is never sent, so nothing can be asked about another account with it: who wants that is told. */
  #withDetail(outcome: SeedOutcome, account: string | null): SeedOutcome {
    if (outcome.kind !== "known" || outcome.credential === null || account === null) return outcome
    const { entries } = this.deps.pool
    const held = entries.get(outcome.credential)?.identity
    if (held === undefined) return outcome
    for (const { identity } of entries.values()) {
      if (identity.sub === held.sub && identity.account === account) return outcome
    }
    const detail = `This token is that of credential ${outcome.credential}, which is for ${held.account}; ${account} was not added. Log in anew with --project to add another project.`
    this.deps.log.warn("a known seed asks for another account, which is not added", {
      seed: outcome.id,
      credential: outcome.credential,
      detail,
    })
    return { ...outcome, detail }
  }

  /** Tokens of a login: kept durably from here on, identified next. Resolves when their fate is final. */
  login(tokens: TokenSet, account: string | null, now: Now): Promise<SeedOutcome> {
    const { promise, resolve } = Promise.withResolvers<SeedOutcome>()
    const { source, log } = this.deps
    let id: string | null = null
    try {
      const outcome = source.addSeeds([{ refreshToken: tokens.refreshToken, account }], now.wall)[0]
      if (outcome?.kind === "pending") {
        id = outcome.id
        source.holdSeed(id, tokens, now.wall)
      }
    } catch (error) {
      log.error("a login could not be recorded yet; its tokens are kept in memory", {
        error: error instanceof Error ? error.message : String(error),
      })
    }
    const before = id === null ? undefined : this.#jobs.get(id)
    if (before !== undefined) {
      this.deps.desk.lanes.remove(before)
      this.deps.pool.heap.remove(before.retry)
    }
    const job = new SeedJob(this, id, account, tokens.refreshToken, tokens, true)
    if (id === null) {
      this.#logins++
      this.#watchers.set(this.#nameOf(job), new Set([resolve]))
    } else {
      this.#jobs.set(id, job)
      this.#watch(id, resolve)
    }
    this.deps.onboarding.add(job)
    return promise
  }

  /** The outcome of `id` once it is final, or as it stands at the monotonic `deadline`; null for an unknown one. */
  outcome(id: string, deadline: number): Promise<SeedOutcome | null> {
    const { source, timers, clock } = this.deps
    const known = source.seedOutcome(id)
    if (known === null || known.kind !== "pending" || !this.#jobs.has(id)) return Promise.resolve(known)
    const { promise, resolve } = Promise.withResolvers<SeedOutcome>()
    const unwatch = this.#watch(id, (outcome) => {
      cancel()
      resolve(outcome)
    })
    const cancel = timers.after(Math.max(0, deadline - clock.mono()), () => {
      unwatch()
      resolve(known)
    })
    return promise
  }

  /** The next step of `job`. */
  advance(job: SeedJob, now: Now): void {
    if (!this.#current(job)) return
    const { desk, onboarding } = this.deps
    if (!job.won || job.tokens.expiresAt - now.wall < FRESH_FOR) desk.lanes.add(job, LANE.seeds)
    else onboarding.add(job)
  }

  begin(job: SeedJob, now: Now): string | null {
    if (!this.#current(job)) return null
    try {
      if (job.id !== null) this.deps.source.intendSeed(job.id, now.wall)
    } catch (error) {
      this.deps.log.error("a seed is put off, since the store cannot be written", {
        seed: job.id,
        error: error instanceof Error ? error.message : String(error),
      })
      job.failures++
      this.#later(job, 0, now)
      return null
    }
    return job.tokens.refreshToken
  }

  answered(job: SeedJob, outcome: Refreshed, now: Now): void {
    const { custody, source, log } = this.deps
    switch (outcome.kind) {
      case "ok": {
        const { tokens } = outcome
        const hold = (later: Now) => {
          if (job.id !== null) source.holdSeed(job.id, tokens, later.wall)
          job.tokens = tokens
          job.won = true
          job.failures = 0
          // Straight on, however short their life: tokens that live for less than a minute must not be renewed for ever.
          if (this.#current(job)) this.deps.onboarding.add(job)
        }
        custody.store(hold, { seed: job.id }, now)
        return
      }
      case "permanent":
        this.#fail(job, outcome.reason, outcome.detail, null, now)
        return
      case "transient":
      case "ambiguous":
      case "ours": {
        job.failures++
        log.warn("a seed's refresh failed and is tried again", {
          seed: job.id,
          kind: outcome.kind,
          reason: outcome.reason,
        })
        this.#later(job, outcome.kind === "transient" ? (outcome.retryAfterMs ?? 0) : 0, now)
      }
    }
  }

  identified(job: SeedJob, outcome: Identified, now: Now): void {
    if (!this.#current(job)) return
    switch (outcome.kind) {
      case "ok":
        this.deps.custody.store((later) => this.#adopt(job, outcome.who, later), { seed: job.id }, now)
        return
      case "refused":
        this.#fail(job, outcome.reason, outcome.detail, outcome.url, now)
        return
      case "transient":
        job.failures++
        this.deps.log.warn("a seed's account could not be identified yet", {
          seed: job.id,
          reason: outcome.reason,
          detail: outcome.detail,
        })
        this.#later(job, outcome.retryAfterMs ?? 0, now)
    }
  }

  #known(id: number, handedIn: ReadonlySet<string>, now: Now): void {
    const row = this.deps.source.read(id)
    if (row !== null && handedIn.has(row.refreshToken)) this.deps.roster.readmit(row, now)
  }

  #adopt(job: SeedJob, who: Identity, now: Now): void {
    const row = this.deps.source.adopt(job.id, job.tokens, who, now.wall)
    this.deps.roster.adopt(row, now)
    const id = job.id ?? ""
    this.#end(job, { kind: "adopted", id, credential: row.id, email: row.identity.email }, now)
  }

  #fail(job: SeedJob, reason: string, detail: string, url: string | null, now: Now): void {
    const { custody, source, log } = this.deps
    log.warn("a seed failed", { seed: job.id, reason, detail })
    const write = (later: Now) => {
      if (job.id !== null) source.failSeed(job.id, reason, detail, url, later.wall)
      this.#end(job, { kind: "failed", id: job.id ?? "", reason, detail, url }, later)
    }
    custody.store(write, { seed: job.id }, now)
  }

  #end(job: SeedJob, outcome: SeedOutcome, now: Now): void {
    if (job.id === null) this.#logins--
    else if (this.#jobs.get(job.id) === job) this.#jobs.delete(job.id)
    const name = this.#nameOf(job)
    const watchers = this.#watchers.get(name)
    this.#watchers.delete(name)
    if (watchers !== undefined) for (const listener of watchers) listener(outcome)
    this.deps.events.seed(outcome, now)
  }

  #later(job: SeedJob, least: number, now: Now): void {
    const delay = delayAfter(job.failures, RETRY_FIRST, RETRY_MOST, this.deps.random)
    this.deps.pool.heap.set(job.retry, now.mono + Math.max(delay, Math.min(least, 3_600_000)))
  }

  /** The login of the same seed may have taken over. */
  #current(job: SeedJob): boolean {
    return job.id === null || this.#jobs.get(job.id) === job
  }

  #nameOf(job: SeedJob): string {
    if (job.id !== null) return job.id
    let name = this.#names.get(job)
    if (name === undefined) {
      name = `login ${++this.#loginNumber}`
      this.#names.set(job, name)
    }
    return name
  }

  /** The stop: those who wait are told where their seeds stand; a login's tokens are kept with its seed. */
  close(): void {
    for (const [id, listeners] of [...this.#watchers]) {
      this.#watchers.delete(id)
      const outcome: SeedOutcome = this.#jobs.has(id)
        ? { kind: "pending", id }
        : { kind: "failed", id, reason: "stopping", detail: "Pollux stopped before the login was stored.", url: null }
      for (const listener of listeners) listener(outcome)
    }
  }

  /** Calls `listener` once with the final outcome of `id`; returns what takes it back. */
  #watch(id: string, listener: (outcome: SeedOutcome) => void): () => void {
    const listeners = this.#watchers.get(id) ?? new Set()
    listeners.add(listener)
    this.#watchers.set(id, listeners)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#watchers.get(id) === listeners) this.#watchers.delete(id)
    }
  }
}
