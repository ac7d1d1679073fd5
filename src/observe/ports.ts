/** What every room may log: one event per call, fields beside it. The implementation redacts; callers still pass no secrets. */
export interface Log {
  trace(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A log that adds `fields` to each line. */
  child(fields: LogFields): Log
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace"

export type LineValue = string | number | boolean | null

/**
 * A field of a line that is always the same: the name of one whose value is another in each line, or the names of some, side by
 * side, whose values mostly come together again. Names are of lower case letters and `_`.
 */
export type LineField = string | readonly string[]

/** One event with the same fields each time, made ready once: for what is logged for each request. */
export interface Line {
  /** Whether a line of this level is written at all; if not, its values need not be worked out. */
  shows(level: LogLevel): boolean
  /** The same line as the log's method of that level would write; `values` are those of all fields, in order. */
  write(level: LogLevel, values: readonly LineValue[]): void
}

export interface LineLog extends Log {
  /** @throws when a field's name is none, is the line's own, or says that it holds a secret */
  line(event: string, fields: readonly LineField[]): Line
}

/** Tokens counted by an upstream for one answer; null where it did not say. `cached` is part of `input`. */
export interface TokenUsage {
  readonly input: number | null
  readonly output: number | null
  readonly cached: number | null
  readonly reasoning: number | null
}
