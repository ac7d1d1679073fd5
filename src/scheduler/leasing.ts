import type { Clock } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { Affinity } from "./affinity.ts"
import { type Entry, IssuedLease } from "./entry.ts"
import type { Ledger } from "./ledger.ts"
import { soonBack } from "./outlook.ts"
import { absolve } from "./penalties.ts"
import type { CredentialPool } from "./pool.ts"
import type { Lease, LeaseEnd } from "./ports.ts"
import type { QuotaDesk } from "./quota-desk.ts"
import { learnQuotas } from "./quotas.ts"

/** A credential's last use is handed to the store at most this often, in milliseconds. */
const NOTE_EVERY = 60_000

export interface LeasingDeps {
  readonly pool: CredentialPool
  readonly affinity: Affinity
  readonly ledger: Ledger
  readonly readings: QuotaDesk
  readonly clock: Clock
  readonly log: Log
}

/** The bookkeeping around leases: who a session is bound to, what the end of a lease teaches. */
export class Leasing {
  constructor(readonly deps: LeasingDeps) {}

  /** The credential that one of `sessions` is bound to, or null. */
  boundOf(sessions: readonly string[]): Entry | null {
    if (sessions.length === 0) return null
    const id = this.deps.affinity.find(sessions)
    return id === null ? null : (this.deps.pool.entries.get(id) ?? null)
  }

  /** `entry` was leased. */
  begin(entry: Entry, mono: number): void {
    if (mono - entry.leasedNoted <= NOTE_EVERY) return
    entry.leasedNoted = mono
    this.deps.ledger.leased(entry.id, this.deps.clock.wall())
    this.deps.readings.used(entry, mono)
  }

  /** Ends a lease; a second end of the same one changes nothing and is logged. */
  end(lease: Lease, end: LeaseEnd): void {
    const { pool, ledger, log } = this.deps
    if (!(lease instanceof IssuedLease) || lease.ended) {
      log.error("a lease was released that is not ours, or was released before", { lease: lease.id })
      return
    }
    const { entry } = lease
    pool.release(lease)
    if (entry.gone) return
    if (end.quotas.length > 0 || end.plan !== null) learnQuotas(this.deps, entry, end)
    for (const session of end.bind) this.#bind(session, entry, lease.model)
    if (!end.served) return
    entry.refusals = 0
    if (entry.strikes.any || entry.onParole) {
      const changes = absolve(entry, lease.model, lease.id)
      ledger.note(entry, changes)
      if (changes.length > 0) pool.changed?.add(entry)
    }
  }

  #bind(session: string, entry: Entry, model: string): void {
    this.deps.affinity.bind(session, entry.id, (bound) => {
      const other = this.deps.pool.entries.get(bound)
      return other !== undefined && soonBack(other, model, this.deps.pool.renewalsFrom, this.deps.clock.mono())
    })
  }
}
