/** RFC 3339 times in UTC as the Rust program's `chrono` reads and writes them. */

/** Date, `T` or blank, time with any number of fraction digits, `Z` or an offset; a leap second is allowed (RFC 3339 5.6). */
const FORM = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:)(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/

/** The last millisecond of the year 9999, beyond which four digits do not suffice. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** Milliseconds since the epoch, digits below a millisecond cut off; null when the text is no RFC 3339 time. */
export function parseTime(text: string): number | null {
  const match = FORM.exec(text)
  if (match === null) return null
  const [, date, hourMinute, second = "", fraction = "", sign, hours = "0", minutes = "0"] = match
  const leap = second === "60"
  const base = Date.parse(`${date}T${hourMinute}${leap ? "59" : second}Z`)
  if (Number.isNaN(base) || Number(minutes) > 59 || Number(hours) > 23) return null
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === "-" ? -1 : 1)
  return base + (leap ? 1000 : 0) + Number(fraction.padEnd(3, "0").slice(0, 3)) - offset
}

/**
 * `2026-02-05T03:04:05.123+00:00`; no fraction when it is zero, as `chrono` writes it. Times that cannot be written so are
 * brought into range instead of refused, since a token set must never be lost for an absurd expiry.
 */
export function formatTime(ms: number): string {
  const sane = Number.isNaN(ms) ? 0 : Math.min(Math.max(Math.trunc(ms), 0), LATEST)
  return new Date(sane).toISOString().replace(/(?:\.000)?Z$/, "+00:00")
}
