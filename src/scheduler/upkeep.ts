import type { Log } from "../observe/ports.ts"
import { Chore, type Due } from "./due.ts"
import { type Entry, type Now, wallOf } from "./entry.ts"
import type { Ledger } from "./ledger.ts"
import { describe } from "./penalties.ts"
import type { CredentialPool } from "./pool.ts"
import type { Queue } from "./queue.ts"
import type { QuotaDesk } from "./quota-desk.ts"
import { LANE } from "./refresh.ts"
import type { Renewals } from "./renewals.ts"

/** How often the two faces of the clock are compared, in milliseconds. */
const LOOK_AT_CLOCK_EVERY = 30_000
/** Wall clock against monotonic clock: a smaller change, in milliseconds, is drift and not a jump. */
const JUMP = 5_000

export interface UpkeepDeps {
  readonly pool: CredentialPool
  readonly queue: Queue
  readonly renewals: Renewals
  readonly readings: QuotaDesk
  readonly ledger: Ledger
  readonly log: Log
}

/** What time brings about: cooldowns end, tokens expire, waits are over, the system clock is set. */
export class Upkeep {
  readonly #clock = new Chore((now) => this.#watchClock(now))
  /** Wall minus monotonic time. */
  #offset = 0
  #revived: Entry | null = null

  constructor(readonly deps: UpkeepDeps) {}

  start(now: Now): void {
    this.#offset = now.wall - now.mono
    this.deps.pool.heap.set(this.#clock, now.mono + LOOK_AT_CLOCK_EVERY)
  }

  /** Handles every deadline up to `now`. */
  drain(now: Now): void {
    const { heap } = this.deps.pool
    for (let due = heap.pop(now.mono); due !== undefined; due = heap.pop(now.mono)) {
      try {
        this.#handle(due, now)
      } catch (error) {
        this.deps.log.error("the scheduler failed at a deadline", {
          kind: due.kind,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        })
      }
    }
  }

  #handle(due: Due, now: Now): void {
    const { pool, queue, renewals, readings } = this.deps
    switch (due.kind) {
      case "rest":
        if (!readings.hold(due, now)) pool.over(due)
        break
      case "mark":
        pool.over(due)
        this.deps.ledger.note(due.entry, [{ set: "mark_over", model: due.model }])
        break
      case "expiry":
        renewals.expire(due.entry, now)
        break
      case "renew":
        renewals.due(due.entry, now)
        break
      case "parole":
        if (due.entry.standing.kind !== "parked") break
        // Not written: what is stored, parked until now, reads the same after a restart.
        due.entry.standing = { kind: "active" }
        due.entry.onParole = true
        if (due.entry.alive) pool.settle(due.entry)
        else renewals.expire(due.entry, now)
        break
      case "waiter":
        queue.expired(due, now)
        break
      case "chore":
        due.run(now)
    }
  }

  /**
   * Credentials that lie expired come back one after another while others are in use: each is met by a request in its turn, but no
   * request has to wait for it. A dormant one that is used again gets its renewal ahead of the expiry after all.
   */
  heedNudge(now: Now): void {
    const { pool, renewals } = this.deps
    const { nudge } = pool
    if (this.#revived !== null && this.#revived.renewal !== "queued" && this.#revived.renewal !== "flying") {
      this.#revived = null
      pool.reviving = false
    }
    if (nudge === null) return
    pool.nudge = null
    if (nudge !== true) {
      nudge.dormant = false
      renewals.due(nudge, now)
      return
    }
    const entry = pool.at(pool.stale.head)
    if (this.#revived !== null || entry === undefined) return
    renewals.ask(entry, LANE.proactive)
    this.#revived = entry
    pool.reviving = true
  }

  /**
   * The wall clock was set while we ran. Deadlines do not care; the wall times that were stored do, so they are written anew, and
   * tokens that are expired by the new clock are renewed ahead of time (they serve on: the new clock may be the wrong one).
   */
  #watchClock(now: Now): void {
    const { pool, ledger, renewals, log } = this.deps
    pool.heap.set(this.#clock, now.mono + LOOK_AT_CLOCK_EVERY)
    const offset = now.wall - now.mono
    const jump = offset - this.#offset
    if (Math.abs(jump) < JUMP) return
    this.#offset = offset
    log.warn("the system clock jumped", { jump_ms: Math.round(jump) })
    for (const entry of pool.entries.values()) {
      for (const rest of entry.rests.values()) {
        // Short ones are not stored, and would outlive their end there.
        if (!entry.storedRests.has(rest.scope)) continue
        ledger.note(entry, [{ set: "cooldown", cooldown: describe(rest, now) }])
      }
      if (jump < 0) this.#forgetEnded(entry)
      for (const { model, at } of entry.marks.values()) {
        ledger.note(entry, [{ set: "mark", mark: { model, until: wallOf(at, now) } }])
      }
      if (entry.standing.kind === "parked" && entry.parole.pending) {
        entry.standing = { ...entry.standing, until: wallOf(entry.parole.at, now) }
        ledger.note(entry, [{ set: "standing", standing: entry.standing }])
      }
      if (jump > 0 && entry.alive && entry.expiresAt <= now.wall && entry.renewal === "idle") renewals.due(entry, now)
    }
  }

  /** What has ended is stored for its strikes alone: by a clock that was set back it would be to come yet, and begin anew at a start. */
  #forgetEnded(entry: Entry): void {
    const { ledger } = this.deps
    for (const scope of [...entry.storedRests].filter((stored) => !entry.rests.has(stored))) {
      entry.storedRests.delete(scope)
      ledger.note(entry, [{ set: "cooldown_over", scope }])
    }
    if (entry.onParole) ledger.note(entry, [{ set: "standing", standing: entry.standing }])
  }
}
