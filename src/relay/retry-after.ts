const SECONDS = /^\d{1,10}$/
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
const IMF = /^[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const RFC850 = /^[A-Z][a-z]{5,8}, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const ASCTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/

/**
 * Milliseconds to wait by a Retry-After value: whole seconds or an HTTP date (RFC 9110 section 10.2.3); a date gone by is 0.
 * Null when absent or malformed. `now` is wall time in milliseconds.
 */
export function retryAfterMs(value: string | null, now: number): number | null {
  const text = value?.trim() ?? ""
  if (SECONDS.test(text)) return Number(text) * 1000
  const date = httpDate(text, now)
  return date === null ? null : Math.max(0, date - now)
}

/** Wall time of an HTTP date in any of the three forms a recipient must take (RFC 9110 section 5.6.7); null if it is none. */
export function httpDate(text: string, now: number): number | null {
  const imf = IMF.exec(text)
  if (imf !== null) return utc(imf[3], imf[2], imf[1], imf[4], imf[5], imf[6])
  const asctime = ASCTIME.exec(text)
  if (asctime !== null) return utc(asctime[6], asctime[1], asctime[2], asctime[3], asctime[4], asctime[5])
  const rfc850 = RFC850.exec(text)
  if (rfc850 === null) return null
  // A two-digit year that seems more than 50 years ahead means the past (RFC 9110 section 5.6.7).
  const thisYear = new Date(now).getUTCFullYear()
  let year = thisYear - (thisYear % 100) + Number(rfc850[3])
  if (year > thisYear + 50) year -= 100
  return utc(String(year), rfc850[2], rfc850[1], rfc850[4], rfc850[5], rfc850[6])
}

type Part = string | undefined

function utc(year: Part, month: Part, day: Part, hour: Part, minute: Part, second: Part): number | null {
  const monthIndex = MONTHS.indexOf(month ?? "")
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)]
  if (monthIndex < 0 || h > 23 || m > 59 || s > 60) return null
  const at = Date.UTC(Number(year), monthIndex, d, h, m, s)
  return new Date(Date.UTC(Number(year), monthIndex, d)).getUTCDate() === d ? at : null
}

const UNIT_MS: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ns: 1e-6,
}
const DURATION = /^(?:\d+(?:\.\d*)?(?:d|h|ms|m|s|us|µs|μs|ns))+$/
const TERM = /(\d+(?:\.\d*)?)(d|h|ms|m|s|us|µs|μs|ns)/g
const DURATION_LENGTH = 64

/**
 * Milliseconds of a duration as Go and protobuf's JSON write it: "1h2m3.5s", "373.8ms", "40574.149781566s"; days are taken too.
 * Null for anything else, a sign included: what is not ahead is not a time to wait for.
 */
export function durationMs(text: string): number | null {
  if (text.length > DURATION_LENGTH || !DURATION.test(text)) return null
  let ms = 0
  for (const [, count, unit] of text.matchAll(TERM)) ms += Number(count) * (UNIT_MS[unit ?? ""] ?? Number.NaN)
  return Number.isFinite(ms) ? ms : null
}
