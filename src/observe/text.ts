import type { LogFields, LogLevel } from "./ports.ts"

/** Writes one line; everything in it is already free of secrets and control characters. */
export type Format = (level: LogLevel, event: string, fields: LogFields) => void

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

function show(value: LogFields[string]): string {
  if (typeof value === "string") return PLAIN.test(value) ? value : `"${value.replaceAll('"', '\\"')}"`
  if (Array.isArray(value)) return `[${value.map(show).join(",")}]`
  return String(value)
}

/** `HH:MM:SS.mmm LEVEL event key=value ...` in local time, for people. */
export function createTextFormat(write: (line: string) => void, now: () => number, color: boolean): Format {
  let second = Number.NaN
  let clock = ""

  function time(): string {
    const ms = now()
    const whole = Math.floor(ms / 1000)
    if (whole !== second) {
      second = whole
      clock = new Date(ms).toTimeString().slice(0, 8)
    }
    return `${clock}.${String((ms - whole * 1000) | 0).padStart(3, "0")}`
  }

  return (level, event, fields) => {
    let line = ""
    for (const name in fields) {
      line += color ? ` \x1b[2m${name}=\x1b[22m${show(fields[name])}` : ` ${name}=${show(fields[name])}`
    }
    const label = color ? `\x1b[${COLOR[level]}m${LABEL[level]}\x1b[39m` : LABEL[level]
    const head = line === "" ? event : event.padEnd(EVENT_WIDTH)
    write(`${time()} ${label} ${head}${line}\n`)
  }
}
