import type { Log } from "../observe/ports.ts"
import type { Standing } from "../store/types.ts"
import type { Affinity } from "./affinity.ts"
import type { Entry, Now } from "./entry.ts"
import type { Events } from "./events.ts"
import type { Ledger } from "./ledger.ts"
import { stand } from "./penalties.ts"
import type { CredentialPool } from "./pool.ts"
import type { AdminResult, CredentialSource, CredentialView, Explanation } from "./ports.ts"
import type { QuotaDesk } from "./quota-desk.ts"
import type { Renewals } from "./renewals.ts"
import { explainOf, viewOf } from "./view.ts"

export interface AdminDeps {
  readonly pool: CredentialPool
  readonly source: CredentialSource
  readonly ledger: Ledger
  readonly renewals: Renewals
  readonly readings: QuotaDesk
  readonly affinity: Affinity
  readonly events: Events
  readonly log: Log
}

/** The operator's verbs. */
export class Admin {
  constructor(readonly deps: AdminDeps) {}

  list(now: Now): readonly CredentialView[] {
    const { pool } = this.deps
    const entries = [...pool.entries.values()].sort((a, b) => a.id - b.id)
    return entries.map((entry) => viewOf(entry, pool, now))
  }

  show(id: number, now: Now): AdminResult {
    return this.#on(id, now, () => {})
  }

  explain(model: string, session: string | null, now: Now): readonly Explanation[] {
    const { pool, affinity } = this.deps
    const bound = session === null ? null : affinity.peek(session)
    const entries = [...pool.entries.values()].sort((a, b) => a.id - b.id)
    return entries.map((entry) => explainOf(entry, model, bound, pool, now))
  }

  disable(id: number, now: Now): AdminResult {
    return this.#on(id, now, (entry) => {
      if (entry.standing.kind !== "disabled") this.#stand(entry, { kind: "disabled", since: now.wall })
    })
  }

  /** Back into rotation from any standing; cooldowns stay as they are, and who has to log in is parked until he does. */
  enable(id: number, now: Now): AdminResult {
    return this.#on(id, now, (entry) => {
      if (entry.standing.kind === "active") return
      // Faults of requests that began before the operator's word no longer count.
      entry.amnesty = this.deps.pool.youngest
      this.#stand(entry, { kind: "active" })
      if (!entry.alive) this.deps.renewals.expire(entry, now)
      this.deps.readings.welcome(entry, now)
    })
  }

  /** "Try again": cooldowns, marks, parking, dead refresh and last error are forgotten. Disabled and banned ones stay so. */
  clear(id: number, now: Now): AdminResult {
    return this.#on(id, now, (entry) => {
      const { pool, ledger } = this.deps
      pool.pardon(entry)
      entry.refreshDead = null
      if (entry.renewal === "backoff") {
        entry.renewal = "idle"
        entry.renewalFailures = 0
      }
      if (entry.standing.kind === "parked") entry.standing = { kind: "active" }
      pool.settle(entry)
      ledger.note(entry, [{ set: "clear" }])
    })
  }

  remove(id: number, now: Now): AdminResult {
    const { pool, source, ledger, renewals, events, log } = this.deps
    const entry = pool.entries.get(id)
    if (entry === undefined) return { kind: "not_found" }
    try {
      source.remove(id)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.error("a credential could not be removed", { credential: id, error: reason })
      return { kind: "failed", reason: "The database cannot be written; nothing was removed. See the log." }
    }
    pool.remove(entry)
    renewals.drop(entry)
    ledger.forget(id)
    events.removed(id, now)
    log.info("a credential was removed", { credential: id })
    return { kind: "ok", credential: null }
  }

  #on(id: number, now: Now, change: (entry: Entry) => void): AdminResult {
    const { pool } = this.deps
    const entry = pool.entries.get(id)
    if (entry === undefined) return { kind: "not_found" }
    change(entry)
    return { kind: "ok", credential: viewOf(entry, pool, now) }
  }

  #stand(entry: Entry, standing: Standing): void {
    const { pool, ledger, log } = this.deps
    ledger.note(entry, stand(pool, entry, standing))
    log.info("a credential's standing was set by the operator", { credential: entry.id, standing: standing.kind })
  }
}
