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

/** Tokens counted by an upstream for one answer; null where it did not say. `cached` is part of `input`. */
export interface TokenUsage {
  readonly input: number | null
  readonly output: number | null
  readonly cached: number | null
  readonly reasoning: number | null
}
