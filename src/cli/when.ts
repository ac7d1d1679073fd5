/** Times for people. Pure. */

const STEPS: readonly (readonly [unit: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
]

/** A length of time in its two largest units: `2 h 10 min`, `45 s`; less than a second is `0 s`. */
export function duration(ms: number): string {
  let rest = Math.max(0, ms)
  const first = STEPS.findIndex(([, size]) => rest >= size)
  if (first < 0) return "0 s"
  const parts: string[] = []
  for (const [unit, size] of STEPS.slice(first, first + 2)) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push(`${count} ${unit}`)
  }
  return parts.join(" ")
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
