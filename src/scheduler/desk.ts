import type { Clock, Live, Random, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { Chore } from "./due.ts"
import type { Now } from "./entry.ts"
import type { Send } from "./messages.ts"
import type { CredentialPool } from "./pool.ts"
import type { Refreshed, Refresher } from "./ports.ts"
import { delayAfter, type RefreshJob, RefreshLanes, TokenBucket } from "./refresh.ts"

/** A refresh that has no answer after this long is given up as ambiguous, in milliseconds. */
const ANSWER_WITHIN = 60_000
const PAUSE_FIRST = 30_000
const PAUSE_MOST = 300_000

export interface DeskDeps {
  readonly pool: CredentialPool
  readonly refresher: Refresher
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly settings: Live<{ readonly oauthTps: number }>
  readonly send: Send
}

/**
 * Sends token refreshes: in the order of the lanes, `oauth_tps` per second (twice that at once), at most twice that many side by
 * side. No client's abort signal reaches them. When the endpoint says that the fault is ours (client id refused), everything
 * pauses: no credential is to blame, and asking on would only make it worse.
 */
export class RefreshDesk {
  readonly lanes = new RefreshLanes<RefreshJob>()
  readonly #flights = new Set<AbortController>()
  readonly #bucket: TokenBucket
  readonly #pump: Chore
  #faults = 0
  #closed = false
  #idle: (() => void) | null = null

  constructor(readonly deps: DeskDeps) {
    this.#bucket = new TokenBucket(deps.clock, this.#rate)
    this.#pump = new Chore((now) => this.pump(now))
  }

  get #rate(): number {
    return Math.max(1, this.deps.settings.current.oauthTps)
  }

  get inFlight(): number {
    return this.#flights.size
  }

  /** Why nothing is sent just now, for people; null when it is. */
  pause(now: Now): string | null {
    const seconds = Math.ceil((this.deps.pool.renewalsFrom - now.mono) / 1_000)
    if (seconds <= 0) return null
    return `the token endpoint refused Pollux itself, so no refresh is sent for ${seconds} s; see the log`
  }

  /** Sends what may be sent now; arms a deadline for the rest. */
  pump(now: Now): void {
    const rate = this.#rate
    while (!this.#closed && this.lanes.size > 0 && this.#flights.size < 2 * rate) {
      const wait = Math.max(Math.ceil(this.deps.pool.renewalsFrom - now.mono), this.#bucket.wait(rate))
      if (wait > 0) {
        this.deps.pool.heap.set(this.#pump, now.mono + wait)
        return
      }
      const job = this.lanes.take()
      const token = job?.begin(now)
      if (job === undefined || token === null || token === undefined) continue
      this.#bucket.spend()
      this.#fly(job, token)
    }
    this.deps.pool.heap.remove(this.#pump)
  }

  /** Bookkeeping for an answer, before its job sees it. */
  landed(outcome: Refreshed, now: Now): void {
    if (outcome.kind !== "ours") {
      if (outcome.kind !== "ambiguous") this.#faults = 0
      return
    }
    const { pool } = this.deps
    // Refreshes sent side by side fail side by side: one fault, not many.
    if (pool.renewalsFrom > now.mono) return
    this.#faults++
    const pause = delayAfter(this.#faults, PAUSE_FIRST, PAUSE_MOST, this.deps.random)
    pool.renewalsFrom = Math.max(pool.renewalsFrom, now.mono + pause)
    pool.version++
    this.deps.log.error("the token endpoint refused Pollux itself, not a credential; refreshes pause", {
      reason: outcome.reason,
      detail: outcome.detail,
      pause_ms: Math.round(pause),
    })
  }

  /** Sends nothing more; resolves when every flight has landed, or was aborted after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true
    if (this.#flights.size === 0) return
    const landed = new Promise<void>((resolve) => {
      this.#idle = resolve
    })
    const cancel = this.deps.timers.after(graceMs, () => {
      this.deps.log.warn("refreshes were cut off by the stop; they are taken up as ambiguous at the next start", {
        flights: this.#flights.size,
      })
      for (const flight of this.#flights) flight.abort(new Error("stopped"))
      // A refresher that does not heed its signal must not hold up the stop.
      this.deps.timers.after(100, () => this.#idle?.())
    })
    await landed
    cancel()
  }

  #fly(job: RefreshJob, token: string): void {
    const controller = new AbortController()
    this.#flights.add(controller)
    const cancel = this.deps.timers.after(ANSWER_WITHIN, () => controller.abort(new Error("no answer in time")))
    const land = (outcome: Refreshed) => {
      cancel()
      this.#flights.delete(controller)
      this.deps.send({ type: "refreshed", job, outcome })
      if (this.#flights.size === 0) this.#idle?.()
    }
    // A refresher that throws says nothing about whether the token was spent: ambiguous.
    const lost = (error: unknown) =>
      land({ kind: "ambiguous", reason: error instanceof Error ? error.message : String(error) })
    try {
      this.deps.refresher.refresh(token, controller.signal).then(land, lost)
    } catch (error) {
      queueMicrotask(() => lost(error))
    }
  }
}
