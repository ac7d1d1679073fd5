/** Points in time as people type them. Pure. */

const UNITS: Readonly<Record<string, number>> = {
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** A day, or a time with its offset from UTC (RFC 3339; seconds may be left out). */
const DATE = /^\d{4}-\d{2}-\d{2}$/
const TIME = /^(\d{4}-\d{2}-\d{2})[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:\d{2})$/

/** Farther than this from now is a slip of the finger. */
const LONGEST_MS = 100 * 366 * 86_400_000

export type ReadMoment = { readonly ok: true; readonly at: number } | { readonly ok: false; readonly problem: string }

/**
 * Reads `24h`, `7d` (counted from now, `past` or `future`), `2026-11-01` (its first moment in UTC, as the ledger's days begin),
 * or `2026-11-01T13:00Z`.
 * @param now wall time in milliseconds
 */
export function readMoment(text: string, now: number, direction: "past" | "future"): ReadMoment {
  const trimmed = text.trim()
  const [, digits, unit] = /^(\d{1,9})\s*([a-z]+)$/i.exec(trimmed) ?? []
  if (digits !== undefined && unit !== undefined) {
    const size = UNITS[unit.toLowerCase()]
    if (size === undefined) return problem(text)
    const length = Number(digits) * size
    if (length > LONGEST_MS) return { ok: false, problem: `"${text}" is more than a hundred years` }
    return { ok: true, at: direction === "past" ? now - length : now + length }
  }
  const day = DATE.test(trimmed) ? trimmed : TIME.exec(trimmed)?.[1]
  if (day === undefined) return problem(text)
  const at = Date.parse(trimmed.replace(" ", "T").toUpperCase())
  // Date.parse takes 2026-02-31 for the 3rd of March.
  if (!Number.isFinite(at) || !isDay(day)) return { ok: false, problem: `"${text}" is no day of the calendar` }
  return { ok: true, at }
}

function isDay(day: string): boolean {
  const at = Date.parse(`${day}T00:00:00Z`)
  return Number.isFinite(at) && new Date(at).toISOString().startsWith(day)
}

function problem(text: string): ReadMoment {
  return {
    ok: false,
    problem: `expected a length of time such as 24h or 7d, or a date such as 2026-11-01, got "${text}"`,
  }
}
