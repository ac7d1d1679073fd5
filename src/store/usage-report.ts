import type { UsageGrouping, UsageLedger, UsageRow } from "./usage.ts"

/** What a person may ask of the ledger: unchecked words and open bounds. */
export interface UsageAsked {
  readonly by: string
  /** Wall time in milliseconds, or null for no bound. */
  readonly since: number | null
  readonly until: number | null
}

export interface UsageReport {
  readonly by: string
  readonly since: number
  readonly until: number
  readonly rows: readonly UsageRow[]
}

/** The words of the API for the ledger's groupings. */
const GROUPINGS: ReadonlyMap<string, UsageGrouping> = new Map([
  ["model", "model"],
  ["credential", "credential"],
  ["day", "day"],
  ["hour", "hour"],
  ["provider", "provider"],
  ["key", "principal"],
])

/** Sums of the ledger as the API shows them; an unknown grouping counts as "model" (the edge has refused it before). */
export function usageReport(ledger: UsageLedger, asked: UsageAsked, now: number): UsageReport {
  const since = asked.since ?? 0
  const until = asked.until ?? now + 1
  return { by: asked.by, since, until, rows: ledger.query({ by: GROUPINGS.get(asked.by) ?? "model", since, until }) }
}
