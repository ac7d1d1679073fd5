import pino from "pino"
import { cleanFields, cleanText } from "./escape.ts"
import type { Log, LogFields, LogLevel } from "./ports.ts"
import { descriptorSink, type Sink } from "./sink.ts"
import { createTextFormat, type Format } from "./text.ts"

export interface RootLog extends Log {
  /** Applies to this log and all its children at once. */
  setLevel(level: LogLevel): void
  /** Writes out what is buffered before it returns; safe in a crash handler. */
  flush(): void
}

export interface LogOptions {
  readonly level: LogLevel
  /** `auto`: text on a terminal, JSON otherwise. */
  readonly format: "auto" | "text" | "json"
  /** Takes each finished line, newline included; default: standard output, in bursts. */
  readonly write?: (line: string) => void
  /** Wall clock in milliseconds since the Unix epoch. */
  readonly now?: () => number
  /** What is known of the output; default: what standard output is. */
  readonly terminal?: { readonly tty: boolean; readonly color: boolean }
}

const STDOUT = 1
/** Order of severity; a level shows itself and all before it. */
export const LOG_LEVELS = ["error", "warn", "info", "debug", "trace"] as const satisfies readonly LogLevel[]

/** https://no-color.org: set to anything but the empty string means no colour. */
function ownTerminal(): { tty: boolean; color: boolean } {
  const tty = process.stdout.isTTY === true
  return { tty, color: tty && !process.env.NO_COLOR && process.env.TERM !== "dumb" }
}

/** Lines as JSON objects: `time` (ISO 8601), `level`, `event`, then the fields. */
function createJsonFormat(write: (line: string) => void, now: () => number): Format {
  const logger = pino(
    {
      level: "trace",
      base: null,
      messageKey: "event",
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  return (level, event, fields) => logger[level](fields, event)
}

/**
 * The log of one app. Control characters in events and values are escaped (no line or terminal sequence can be smuggled in), every
 * string passes through `redact`, and fields whose name says that they hold a secret are masked whatever they hold.
 */
export function createLog(options: LogOptions): RootLog {
  const sink: Sink = options.write === undefined ? descriptorSink(STDOUT) : { write: options.write, flush() {} }
  const terminal = options.terminal ?? ownTerminal()
  const now = options.now ?? Date.now
  const text = options.format === "text" || (options.format === "auto" && terminal.tty)
  const format = text
    ? createTextFormat(sink.write, now, terminal.tty && terminal.color)
    : createJsonFormat(sink.write, now)
  let threshold = LOG_LEVELS.indexOf(options.level)

  function derive(own: LogFields): Log {
    const emit = (rank: number, level: LogLevel, event: string, fields: LogFields | undefined) => {
      if (rank > threshold) return
      format(level, cleanText(event), cleanFields(own, fields))
    }
    return {
      error: (event, fields) => emit(0, "error", event, fields),
      warn: (event, fields) => emit(1, "warn", event, fields),
      info: (event, fields) => emit(2, "info", event, fields),
      debug: (event, fields) => emit(3, "debug", event, fields),
      trace: (event, fields) => emit(4, "trace", event, fields),
      child: (fields) => derive({ ...own, ...cleanFields({}, fields) }),
    }
  }

  return {
    ...derive({}),
    setLevel(level) {
      threshold = LOG_LEVELS.indexOf(level)
    },
    flush: () => sink.flush(),
  }
}
