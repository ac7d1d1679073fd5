/** Single changes to what is known of a credential. All run inside the caller's transaction. */
import { tokenHash } from "./cipher.ts"
import type { Durability } from "./connection.ts"
import { formatTime } from "./rfc3339.ts"
import { ACTIVE, statusOf } from "./standing.ts"
import type { Tables } from "./tables.ts"
import type { LateChange, Standing, StateChange } from "./types.ts"

/** What a change must outlive: a word that an operator relies on, a power cut; what the upstream would say again, less. */
export const DURABILITY: Readonly<Record<StateChange["set"], Durability>> = {
  standing: "synced",
  refresh_dead: "synced",
  clear: "synced",
  intent_over: "relaxed",
  cooldown: "relaxed",
  cooldown_over: "relaxed",
  mark: "relaxed",
  mark_over: "relaxed",
  error: "relaxed",
}

export function apply(tables: Tables, id: number, change: StateChange, now: number): void {
  const { states, conditions } = tables
  switch (change.set) {
    case "standing":
      setStanding(tables, id, change.standing, now)
      break
    case "refresh_dead":
      states.setRefreshDead(id, change.reason, now)
      break
    case "cooldown":
      conditions.setCooldown(id, change.cooldown)
      break
    case "cooldown_over":
      conditions.endCooldown(id, change.scope)
      break
    case "mark":
      conditions.setMark(id, change.mark)
      break
    case "mark_over":
      conditions.endMark(id, change.model)
      break
    case "error":
      states.setError(id, change.error, now)
      break
    case "intent_over":
      conditions.endIntent(id)
      break
    case "clear":
      if (states.get(id)?.standing === "parked") states.setStanding(id, ACTIVE, now)
      forgive(tables, id, now)
      break
  }
}

export function applyLate(tables: Tables, change: Exclude<LateChange, { late: "unbind" }>): void {
  switch (change.late) {
    case "leased":
      tables.states.setLeased(change.id, change.at)
      break
    case "quota":
      for (const window of change.windows) tables.conditions.setQuota(change.id, window)
      break
    case "plan":
      setPlan(tables, change.id, change.plan)
      break
    case "bind":
      tables.bindings.bind(change.session, change.id, change.at)
      break
  }
}

/** Keeps `status` of the credential table in step, which is what the Rust program reads. */
export function setStanding(tables: Tables, id: number, standing: Standing, now: number): void {
  const { credentials, states } = tables
  const row = credentials.get(id)
  if (row === null) return
  states.setStanding(id, standing, now)
  const status = statusOf(standing)
  if (row.status === status) return
  credentials.setStatus(id, status, now)
  states.witness(id, tokenHash(row.refreshToken), formatTime(now), now)
}

/** Where the plan lives is the credential table's affair; the state row is for the table that has no place for it. */
export function setPlan(tables: Tables, id: number, plan: string): void {
  if (!tables.credentials.setPlan(id, plan)) tables.states.setPlan(id, plan)
}

/** Back in rotation, with all its troubles forgotten. */
export function reactivate(tables: Tables, id: number, now: number): void {
  setStanding(tables, id, ACTIVE, now)
  forgive(tables, id, now)
}

/** Cooldowns, marks, dead refresh, last error: gone. Observations (quotas, plan) and the open intent stay. */
export function forgive(tables: Tables, id: number, now: number): void {
  tables.conditions.forgive(id)
  tables.states.setRefreshDead(id, null, now)
  tables.states.setError(id, null, now)
}

/** Removes all that is known of a credential but its row. */
export function forget(tables: Tables, id: number): void {
  tables.states.remove(id)
  tables.conditions.remove(id)
  tables.spent.remove(id)
  tables.bindings.remove(id)
}
