import type { Live } from "../observe/clock.ts"
import type { Awaited } from "./awaited.ts"
import type { Entry, IssuedLease, Now } from "./entry.ts"
import type { Send } from "./messages.ts"
import { Outlooks, REFRESH_WAIT, stickyWait } from "./outlook.ts"
import type { CredentialPool } from "./pool.ts"
import type { Acquired, Ask, Refusal } from "./ports.ts"
import { LANE } from "./refresh.ts"
import { NONE } from "./ring.ts"
import { Waiter, Waiters } from "./waiters.ts"

/** Most requests that wait at once. */
const MOST_WAITING = 10_000
/** A refresh that takes longer is not counted on, in milliseconds: another one is begun for those who wait. */
const REFRESH_PATIENCE = 5_000

/** What the queue needs of the renewals. */
export interface Renewer {
  readonly awaited: Pick<Awaited, "size" | "has" | "slow">
  ask(entry: Entry, lane: number): void
}

export interface QueueDeps {
  readonly pool: CredentialPool
  readonly renewer: Renewer
  /** Hears of every lease. */
  readonly leasing: { begin(entry: Entry, mono: number): void }
  readonly settings: Live<{
    /** Longest wait for a cooldown, in milliseconds. */
    readonly maxWaitMs: number
  }>
  readonly send: Send
}

export function refused(refusal: Refusal): Acquired {
  return { lease: null, refusal }
}

/** Requests that found nothing ready: whether they wait, for how long, and who is served when something becomes usable. */
export class Queue {
  readonly waiters = new Waiters(MOST_WAITING)
  readonly #outlooks: Outlooks
  #served = -1

  constructor(readonly deps: QueueDeps) {
    this.#outlooks = new Outlooks(deps.pool)
  }

  /** A lease that can be given at once, or null. The credential that the session prefers may be worth a short wait. */
  take(ask: Ask, bound: Entry | null, since: number, mono: number): IssuedLease | null {
    if (bound !== null && !this.deps.pool.isReady(bound, ask.model)) {
      if (this.#stickyWait(bound, ask, since, mono) > 0) return null
    }
    const lease = this.deps.pool.take(ask, bound, mono)
    if (lease !== null) this.deps.leasing.begin(lease.entry, mono)
    return lease
  }

  /** A lease if there is one by now; else waits if that is worth it; else says why not. */
  enter(ask: Ask, bound: Entry | null, now: Now, answer: (acquired: Acquired) => void): void {
    const lease = this.take(ask, bound, now.mono, now.mono)
    if (lease !== null) {
      answer({ lease, refusal: null })
      return
    }
    const sticky = bound === null ? 0 : this.#stickyWait(bound, ask, now.mono, now.mono)
    if (sticky === 0) {
      const refusal = this.#outlooks.judge(ask, now.mono, this.deps.settings.current.maxWaitMs, now)
      if (refusal !== null) {
        answer(refused(refusal))
        return
      }
    }
    if (this.waiters.full) {
      answer(refused({ why: "overloaded" }))
      return
    }
    const waiter = new Waiter(ask, now.mono, sticky === 0 ? null : bound, answer)
    waiter.onAbort = () => this.deps.send({ type: "abort", waiter })
    ask.signal.addEventListener("abort", waiter.onAbort, { once: true })
    this.waiters.add(waiter)
    this.#stay(waiter, sticky, now.mono)
  }

  /** Serves whoever can be served since the pool last changed, in order of arrival. */
  serve(now: Now): void {
    if (this.#served === this.deps.pool.version) return
    this.#served = this.deps.pool.version
    if (this.waiters.size > 0) this.waiters.each((waiter) => this.#offer(waiter, now))
  }

  /** The time of `waiter` is up, or the wait for the credential that its session prefers is. */
  expired(waiter: Waiter, now: Now): void {
    if (!waiter.queued) return
    waiter.bound = null
    this.#offer(waiter, now)
  }

  abort(waiter: Waiter): void {
    this.#answer(waiter, refused({ why: "aborted" }))
  }

  close(): void {
    this.waiters.each((waiter) => this.#answer(waiter, refused({ why: "closed" })))
  }

  #stickyWait(bound: Entry, ask: Ask, since: number, mono: number): number {
    return stickyWait(bound, ask, since, this.deps.settings.current.maxWaitMs, this.deps.pool.renewalsFrom, mono)
  }

  #offer(waiter: Waiter, now: Now): void {
    const { ask, since } = waiter
    const lease = this.take(ask, waiter.bound, since, now.mono)
    if (lease !== null) {
      this.#answer(waiter, { lease, refusal: null })
      return
    }
    const { maxWaitMs } = this.deps.settings.current
    const sticky = waiter.bound === null ? 0 : this.#stickyWait(waiter.bound, ask, since, now.mono)
    if (sticky === 0) {
      waiter.bound = null
      const refusal = this.#outlooks.judge(ask, since, maxWaitMs, now)
      if (refusal !== null) {
        this.#answer(waiter, refused(refusal))
        return
      }
    }
    this.#stay(waiter, sticky, now.mono)
  }

  #stay(waiter: Waiter, sticky: number, mono: number): void {
    const { ask, since } = waiter
    // Looked at again before its end, should what it waits for hang.
    const until = Math.min(ask.deadline, since + REFRESH_WAIT, mono + REFRESH_PATIENCE)
    this.deps.pool.heap.set(waiter, sticky > 0 ? sticky : until)
    this.#wantRefresh(waiter, mono)
  }

  /** Asks for the refresh that would serve `waiter`: of the one credential it insists on, else of as many as there are waiters. */
  #wantRefresh(waiter: Waiter, mono: number): void {
    const { pool, renewer } = this.deps
    const { ask, bound } = waiter
    if (ask.only !== null || bound !== null) {
      const entry = ask.only === null ? bound : pool.entries.get(ask.only)
      if (entry?.active && !entry.alive) renewer.ask(entry, LANE.waiting)
      return
    }
    let underWay = renewer.awaited.size
    for (const id of ask.exclude) {
      const entry = pool.entries.get(id)
      if (entry !== undefined && renewer.awaited.has(entry)) underWay--
    }
    if (underWay >= this.waiters.size) {
      for (const entry of renewer.awaited.slow(mono - REFRESH_PATIENCE)) if (!ask.exclude.has(entry.id)) underWay--
      if (underWay >= this.waiters.size) return
    }
    let slot = pool.stale.head
    for (let left = pool.stale.size; left > 0 && slot !== NONE; left--) {
      const entry = pool.at(slot)
      slot = pool.stale.after(slot)
      if (entry === undefined || ask.exclude.has(entry.id) || entry.blocks(ask.model)) continue
      renewer.ask(entry, LANE.waiting)
      return
    }
  }

  #answer(waiter: Waiter, acquired: Acquired): void {
    if (!waiter.queued) return
    this.waiters.remove(waiter)
    this.deps.pool.heap.remove(waiter)
    if (waiter.onAbort !== null) waiter.ask.signal.removeEventListener("abort", waiter.onAbort)
    waiter.onAbort = null
    waiter.answer(acquired)
  }
}
