import type { Log } from "../observe/ports.ts"
import type { Stored } from "../store/types.ts"
import { AFFINITY_LIMITS, type Affinity } from "./affinity.ts"
import type { Now } from "./entry.ts"
import type { Ledger } from "./ledger.ts"
import type { CredentialPool } from "./pool.ts"
import type { CredentialSource } from "./ports.ts"
import type { QuotaDesk } from "./quota-desk.ts"
import type { Renewals } from "./renewals.ts"

export interface RosterDeps {
  readonly pool: CredentialPool
  readonly source: CredentialSource
  readonly renewals: Renewals
  readonly readings: QuotaDesk
  readonly affinity: Affinity
  readonly ledger: Ledger
  readonly log: Log
}

/** How stored rows become credentials in rotation. */
export class Roster {
  constructor(readonly deps: RosterDeps) {}

  /** At the start: everything that the store has. */
  load(now: Now): void {
    const { pool, source, renewals, affinity } = this.deps
    for (const row of source.load()) {
      const entry = pool.place(row)
      pool.restore(entry, row, now)
      renewals.install(entry, row, false, now)
    }
    affinity.load(source.bindings(AFFINITY_LIMITS.settled), (id) => pool.entries.has(id))
  }

  /** A credential was added, or added again: in rotation from now on, all that stood against it forgotten. */
  adopt(row: Stored, now: Now): void {
    const { pool, renewals, readings, ledger, log } = this.deps
    const entry = pool.place(row)
    pool.restore(entry, row, now)
    ledger.forget(row.id)
    if (entry.counted) entry.generation++
    entry.identifying = false
    renewals.install(entry, row, true, now)
    readings.welcome(entry, now)
    log.info("a credential is in rotation", { credential: row.id })
  }

  /** The store put a credential back into rotation, since its own refresh token was handed in once more. */
  readmit(row: Stored, now: Now): void {
    const { pool, readings, ledger, log } = this.deps
    const entry = pool.entries.get(row.id)
    if (entry === undefined || entry.refreshToken !== row.refreshToken) {
      this.adopt(row, now)
      return
    }
    ledger.forget(row.id)
    pool.restore(entry, row, now)
    if (entry.renewal === "backoff") entry.renewal = "idle"
    pool.settle(entry)
    readings.welcome(entry, now)
    log.info("a credential is back in rotation", { credential: row.id })
  }
}
