/** Times for people. Pure. */

const STEPS: readonly (readonly [unit: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
]

/** From this many of one unit on, the next smaller one tells nothing more. */
const ENOUGH = 10

/** A length of time in its two largest units, or in one where that is exact enough: `2 h 10 min`, `30 min`, `45 s`. */
export function duration(ms: number): string {
  const span = Math.max(0, ms)
  const first = STEPS.findIndex(([, size]) => span >= size)
  const [unit, size] = STEPS[first] ?? ["s", 1_000]
  const [smaller, part] = STEPS[first + 1] ?? [null, 0]
  if (smaller === null || span >= ENOUGH * size) return `${Math.round(span / size)} ${unit}`
  const parts = Math.round(span / part)
  const per = size / part
  const rest = parts % per
  return `${Math.floor(parts / per)} ${unit}${rest === 0 ? "" : ` ${rest} ${smaller}`}`
}

/** Relative and absolute: `in 2 h 10 min (14:05)`, `3 min ago (11:52)`; with the date when it is another day. */
export function when(at: number, now: number, offsetMinutes: (at: number) => number = zoneOffset): string {
  return `${relative(at, now)} (${absolute(at, now, offsetMinutes)})`
}

export function relative(at: number, now: number): string {
  if (Math.abs(at - now) < 1_000) return "now"
  return at > now ? `in ${duration(at - now)}` : `${duration(now - at)} ago`
}

/** Time of day where the reader is, with the date in front when it is not today's. */
export function absolute(at: number, now: number, offsetMinutes: (at: number) => number = zoneOffset): string {
  const local = iso(at, offsetMinutes(at))
  const today = iso(now, offsetMinutes(now))
  return local.date === today.date ? local.time : `${local.date} ${local.time}`
}

function iso(at: number, offset: number): { readonly date: string; readonly time: string } {
  const shifted = at - offset * 60_000
  if (!(Math.abs(shifted) <= 8.64e15)) return { date: "?", time: "?" }
  const [date = "", time = ""] = new Date(shifted).toISOString().split("T")
  return { date, time: time.slice(0, 5) }
}

/** Minutes west of UTC, as the system's zone has it at that time. */
function zoneOffset(at: number): number {
  return new Date(at).getTimezoneOffset()
}
