import type { Log, LogFields } from "../../src/observe/ports.ts"

export interface Line {
  readonly level: string
  readonly event: string
  readonly fields: LogFields
}

export function listeningLog(lines: Line[]): Log {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}) => {
      lines.push({ level, event, fields })
    }
  const log: Log = {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => log,
  }
  return log
}
