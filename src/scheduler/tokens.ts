import type { Random } from "../observe/clock.ts"
import type { Entry, Now } from "./entry.ts"
import type { CredentialPool } from "./pool.ts"

/** A token is not leased in its last minute (or last tenth of its life, if that is shorter): the request must still reach the upstream. */
const MARGIN = 60_000
/** Shortest life believed of a token that was just issued, in milliseconds: an expiry in the past means that our clock is wrong. */
const SHORTEST_LIFE = 5_000
/** A credential that was not leased for so long is not renewed ahead of its expiry. */
export const IDLE_AFTER = 24 * 3_600_000
/** Start-up spreads the renewals that are due already over so many milliseconds. */
const SPREAD = 2_000

export interface LiveTokens {
  readonly accessToken: string | null
  readonly refreshToken: string
  /** Wall milliseconds. */
  readonly expiresAt: number
}

/**
 * Puts a token set into `entry`, in force from now on, and sets its moments of expiry and renewal. The set must be stored
 * already. The caller settles.
 *
 * Both moments are monotonic: a clock jump neither expires a token nor keeps a dead one (a wrong guess ends in a 401, which
 * refreshes). The lead is the smaller of `leadMs` and 20 % of the life, shortened by up to a quarter at random, so that
 * credentials added together are not renewed together.
 */
export function publish(
  pool: CredentialPool,
  entry: Entry,
  tokens: LiveTokens,
  issued: boolean,
  leadMs: number,
  now: Now,
  random: Random,
): void {
  const stated = Number.isFinite(tokens.expiresAt) ? tokens.expiresAt - now.wall : 0
  const life = issued ? Math.max(stated, SHORTEST_LIFE) : stated
  const lead = Math.min(leadMs, life / 5)
  const margin = Math.min(MARGIN, life / 10, lead / 2)
  entry.accessToken = tokens.accessToken
  entry.refreshToken = tokens.refreshToken
  entry.expiresAt = tokens.expiresAt
  entry.refused = false
  entry.dormant = false
  entry.alive = tokens.accessToken !== null && tokens.accessToken !== "" && life > 0
  entry.renewalFailures = 0
  if (entry.alive) {
    pool.heap.set(entry.expiry, now.mono + life - margin)
    pool.heap.set(entry.renew, now.mono + life - lead * (1 - random() / 4))
  } else {
    pool.heap.remove(entry.expiry)
    pool.heap.set(entry.renew, now.mono + random() * SPREAD)
  }
}

/** Leased so lately that its tokens are worth renewing before anybody asks. */
export function inUse(entry: Entry, now: number): boolean {
  return entry.inFlight > 0 || now - entry.leasedAt <= IDLE_AFTER
}
