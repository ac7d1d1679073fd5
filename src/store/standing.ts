/** How a standing lies in the columns of a state row and in the `status` of a credential row. */
import { parseTime } from "./rfc3339.ts"
import type { ParkReason, Standing } from "./types.ts"

export interface StandingColumns {
  readonly standing: Standing["kind"]
  readonly reason: string | null
  readonly detail: string | null
  readonly url: string | null
  readonly since: number | null
  readonly until: number | null
  readonly strikes: number
}

export const ACTIVE: Standing = { kind: "active" }

const PARK_REASONS: readonly ParkReason[] = ["needs_login", "needs_verification", "ineligible", "service_disabled"]

/** A reason that this version does not know can only be cured by the operator, which a login always may do. */
const parkReason = (text: string | null): ParkReason => PARK_REASONS.find((known) => known === text) ?? "needs_login"

const NOTHING = { reason: null, detail: null, url: null, since: null, until: null, strikes: 0 }

export function columnsOf(standing: Standing): StandingColumns {
  switch (standing.kind) {
    case "active":
      return { ...NOTHING, standing: "active" }
    case "disabled":
      return { ...NOTHING, standing: "disabled", since: standing.since }
    case "banned":
      return {
        ...NOTHING,
        standing: "banned",
        reason: standing.reason,
        detail: standing.detail,
        since: standing.since,
      }
    case "parked": {
      const { reason, detail, url, since, until, strikes } = standing
      return { standing: "parked", reason, detail, url, since, until, strikes }
    }
  }
}

/** 1 in rotation (a parked one may come back by itself), 0 out of it by a word that stands. */
export const statusOf = (standing: Standing): 0 | 1 =>
  standing.kind === "disabled" || standing.kind === "banned" ? 0 : 1

/**
 * What a row means. The `status` column has the last word, since it is all that the Rust program, or a person with a
 * database shell, sets: 0 without a reason of ours is disabled, 1 is in rotation whatever we wrote before.
 * `updatedAt` is the credential row's.
 */
export function standingOf(status: number, columns: StandingColumns | null, updatedAt: string): Standing {
  if (status !== 0 && columns?.standing !== "parked") return ACTIVE
  const since = columns?.since ?? parseTime(updatedAt) ?? 0
  if (columns === null) return { kind: "disabled", since }
  if (status === 0) {
    if (columns.standing !== "banned") return { kind: "disabled", since }
    return { kind: "banned", reason: columns.reason ?? "unknown", detail: columns.detail ?? "", since }
  }
  return {
    kind: "parked",
    reason: parkReason(columns.reason),
    detail: columns.detail ?? "",
    url: columns.url,
    since,
    until: columns.until,
    strikes: columns.strikes,
  }
}
