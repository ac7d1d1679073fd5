/** Further away than any quota window, with all of a wrong clock's error: such a time is a mistake, not a time. */
const FURTHEST_MS = 100 * 365.25 * 86_400_000

/**
 * A stated reset time, or null where it cannot be meant: not a number, or more than a hundred years from `now`. Both are wall
 * milliseconds; what is given back can be held by a date (ECMA-262 section 21.4.1.1) as long as `now` is a real time.
 */
export function believableReset(at: number, now: number): number | null {
  return Math.abs(at - now) <= FURTHEST_MS ? at : null
}
