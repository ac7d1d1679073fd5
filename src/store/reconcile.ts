import { forget, forgive } from "./changes.ts"
import { tokenHash } from "./cipher.ts"
import type { Row } from "./credentials.ts"
import { ACTIVE, standingOf } from "./standing.ts"
import type { StateRow } from "./states.ts"
import type { Tables } from "./tables.ts"

export interface Reconciled {
  /** Credentials that had no state row: new to this program. */
  readonly found: number
  /** Credentials that another program has written since; what we knew about them was dropped. */
  readonly changed: number
  /** State rows whose credential is gone. */
  readonly orphaned: number
}

/**
 * Brings the state rows in line with the credential tables, which the Rust program may have written meanwhile. A row is
 * foreign when its `updated_at` is not the text that we wrote: neither two clocks nor a clock set back can hide that. Runs
 * inside the caller's transaction.
 */
export function reconcile(tables: Tables, now: number): Reconciled {
  let found = 0
  let changed = 0
  for (const id of tables.credentials.unwitnessed()) {
    const row = tables.credentials.get(id)
    if (row === null) continue
    const state = tables.states.get(id)
    if (state === null) {
      tables.states.create(
        row.id,
        standingOf(row.status, null, row.updatedAt),
        tokenHash(row.refreshToken),
        row.updatedAt,
        now,
      )
      found++
    } else {
      startOver(tables, row, state, now)
      changed++
    }
  }
  const orphans = tables.credentials.missing()
  for (const id of orphans) forget(tables, id)
  return { found, changed, orphaned: orphans.length }
}

function startOver(tables: Tables, row: Row, state: StateRow, now: number): void {
  const hash = tokenHash(row.refreshToken)
  forgive(tables, row.id, now)
  tables.conditions.endIntent(row.id)
  tables.states.setStanding(row.id, row.status === 0 ? standingOf(0, null, row.updatedAt) : ACTIVE, now)
  if (hash !== state.tokenHash) tables.spent.add(row.id, state.tokenHash, now)
  tables.spent.forget(hash)
  tables.states.witness(row.id, hash, row.updatedAt, now)
}
