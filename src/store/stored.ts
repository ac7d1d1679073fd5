/** A credential put together from what the tables hold. */
import type { Condition } from "./conditions.ts"
import type { Row } from "./credentials.ts"
import { parseTime } from "./rfc3339.ts"
import { standingOf } from "./standing.ts"
import type { KnownState } from "./states.ts"
import type { LastError, Stored } from "./types.ts"

function lastError(state: KnownState | null): LastError | null {
  if (state === null || state.errorAt === null) return null
  return {
    at: state.errorAt,
    status: state.errorStatus,
    cause: state.errorCause ?? "unknown",
    message: state.errorMessage ?? "",
  }
}

/** An expiry that is no time counts as long past, so that the token is refreshed before it is used. */
export const storedOf = (row: Row, state: KnownState | null, condition: Condition): Stored => ({
  id: row.id,
  identity: { sub: row.sub, account: row.account, email: row.email, plan: row.plan ?? state?.plan ?? null },
  accessToken: row.accessToken,
  refreshToken: row.refreshToken,
  expiresAt: parseTime(row.expiry) ?? 0,
  standing: standingOf(row.status, state, row.updatedAt),
  refreshDead: state?.refreshDead ?? null,
  ...condition,
  lastError: lastError(state),
  lastLeasedAt: state?.leasedAt ?? null,
})
