import { fstatSync } from "node:fs"
import { createCleaner } from "./cleaner.ts"
import { systemTimers } from "./clock.ts"
import { createJsonFormat, createTextFormat, type Format, NO_FIELDS } from "./format.ts"
import { createJsonLine, type LineFormat } from "./line.ts"
import type { LineField, LineLog, Log, LogFields, LogLevel } from "./ports.ts"
import { createSink, descriptorWriter, lineSink, type Sink } from "./sink.ts"

export interface RootLog extends LineLog {
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
const RANK: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3, trace: 4 }

/** NO_COLOR set to anything but the empty string means no colour (no-color.org). */
function ownTerminal(): { tty: boolean; color: boolean } {
  // The stream is made for a device only: that takes milliseconds of a start whose log goes to a file or a pipe.
  const tty = isDevice(STDOUT) && process.stdout.isTTY === true
  return { tty, color: tty && !process.env.NO_COLOR && process.env.TERM !== "dumb" }
}

function isDevice(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isCharacterDevice()
  } catch {
    return false // closed
  }
}

/** Standard output in bursts; the last one leaves with the process, however it exits. */
function standardOutput(lost: (lines: number) => void): Sink {
  const sink = createSink({ write: descriptorWriter(STDOUT), timers: systemTimers, lost })
  process.on("exit", sink.flush)
  return sink
}

const FIELD = /^[a-z][a-z_]*$/

/** A line written field by field, as any other. */
function plainLine(format: Format, event: string, names: readonly string[]): LineFormat {
  return (level, values) => {
    const fields = Object.fromEntries(names.map((name, index) => [name, values[index] ?? null]))
    format(level, event, NO_FIELDS, fields)
  }
}

/**
 * The log of one app. Control characters in events and values are escaped (no line or terminal sequence can be smuggled in), every
 * string passes through `redact`, and fields whose name says that they hold a secret are masked whatever they hold.
 */
export function createLog(options: LogOptions): RootLog {
  const sink: Sink =
    options.write === undefined
      ? standardOutput((lines) => format("warn", "log lines lost", NO_FIELDS, { lines }))
      : lineSink(options.write)
  const terminal = options.terminal ?? ownTerminal()
  const now = options.now ?? Date.now
  const text = options.format === "text" || (options.format === "auto" && terminal.tty)
  const cleaner = createCleaner()
  const format = text
    ? createTextFormat(sink.write, now, cleaner, terminal.tty && terminal.color)
    : createJsonFormat(sink.write, now, cleaner)
  let threshold = RANK[options.level]

  function derive(own: LogFields): Log {
    const at = (level: LogLevel) => {
      const rank = RANK[level]
      return (event: string, fields?: LogFields) => {
        if (rank <= threshold) format(level, event, own, fields)
      }
    }
    return {
      error: at("error"),
      warn: at("warn"),
      info: at("info"),
      debug: at("debug"),
      trace: at("trace"),
      child: (fields) => derive(cleaner.fields(own, fields)),
    }
  }

  return {
    ...derive(NO_FIELDS),
    line(event: string, fields: readonly LineField[]) {
      const names = fields.flat()
      const wrong = names.find((name) => !FIELD.test(name) || !cleaner.spares({ [name]: null }))
      if (wrong !== undefined) throw new Error(`a line cannot have the field "${wrong}"`)
      const write = text ? plainLine(format, event, names) : createJsonLine(event, fields, { sink, now, cleaner })
      return {
        shows: (level) => RANK[level] <= threshold,
        write(level, values) {
          if (RANK[level] <= threshold) write(level, values)
        },
      }
    },
    setLevel(level) {
      threshold = RANK[level]
    },
    flush: sink.flush,
  }
}
