import type { Cleaner } from "./cleaner.ts"
import type { LogFields, LogLevel } from "./ports.ts"

/** Writes one line. `own` are the fields of the log itself, clean already; event and `fields` are cleaned on the way. */
export type Format = (level: LogLevel, event: string, own: LogFields, fields: LogFields | undefined) => void

/** The log's own fields where it has none. */
export const NO_FIELDS: LogFields = Object.freeze({})

const LABEL: Readonly<Record<LogLevel, string>> = {
  error: "ERROR",
  warn: "WARN ",
  info: "INFO ",
  debug: "DEBUG",
  trace: "TRACE",
}
/** SGR parameters (ECMA-48 8.3.117). */
const COLOR: Readonly<Record<LogLevel, string>> = { error: "31", warn: "33", info: "32", debug: "36", trace: "90" }
const EVENT_WIDTH = 18
const PLAIN = /^[^\s"=[\],]+$/

/** What is shown of a time in milliseconds up to its second, worked out once a second. */
export function perSecond<T>(show: (ms: number) => T): (ms: number) => T {
  let current = Number.NaN
  let shown: T
  return (ms) => {
    const second = Math.floor(ms / 1000)
    if (second === current) return shown
    current = second
    shown = show(ms)
    return shown
  }
}

/** A time's milliseconds since its second began, without fraction. */
export function sinceSecond(ms: number): number {
  return Math.floor(ms - Math.floor(ms / 1000) * 1000)
}

function createStamp(show: (ms: number) => string): (ms: number) => string {
  const second = perSecond(show)
  return (ms) => {
    const rest = sinceSecond(ms)
    return `${second(ms)}.${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}`
  }
}

/** `2026-11-22T12:00:00`, in UTC (ISO 8601). */
export function utcSecond(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19)
}

/** One JSON object a line: `time` (ISO 8601, UTC), `level`, `event`, then the fields. */
export function createJsonFormat(write: (line: string) => void, now: () => number, cleaner: Cleaner): Format {
  const stamp = createStamp(utcSecond)
  return (level, event, own, fields) => {
    // Nearly every line is clean as it stands and of a log without fields of its own: then nothing is copied.
    const asGiven = own === NO_FIELDS && fields !== undefined && cleaner.spares(fields)
    const rest = JSON.stringify(asGiven ? fields : cleaner.fields(own, fields))
    const end = rest === "{}" ? "}\n" : `,${rest.slice(1)}\n`
    write(`{"time":"${stamp(now())}Z","level":"${level}","event":${JSON.stringify(cleaner.text(event))}${end}`)
  }
}

function show(value: LogFields[string]): string {
  if (typeof value === "string") return PLAIN.test(value) ? value : `"${value.replaceAll('"', '\\"')}"`
  if (Array.isArray(value)) return `[${value.map(show).join(",")}]`
  return String(value)
}

/** `HH:MM:SS.mmm LEVEL event key=value ...` in local time, for people. */
export function createTextFormat(
  write: (line: string) => void,
  now: () => number,
  cleaner: Cleaner,
  color: boolean,
): Format {
  const stamp = createStamp((ms) => new Date(ms).toTimeString().slice(0, 8))
  return (level, given, own, added) => {
    const event = cleaner.text(given)
    const fields = cleaner.fields(own, added)
    let line = ""
    for (const name in fields) {
      if (fields[name] === null || fields[name] === undefined) continue
      line += color ? ` \x1b[2m${name}=\x1b[22m${show(fields[name])}` : ` ${name}=${show(fields[name])}`
    }
    const label = color ? `\x1b[${COLOR[level]}m${LABEL[level]}\x1b[39m` : LABEL[level]
    write(`${stamp(now())} ${label} ${line === "" ? event : event.padEnd(EVENT_WIDTH)}${line}\n`)
  }
}
