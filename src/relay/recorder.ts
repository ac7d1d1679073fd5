import type { Clock } from "../observe/clock.ts"
import type { LineField, LineLog, Log } from "../observe/ports.ts"
import type { UsageEntry } from "../store/usage.ts"
import { describe } from "./live-stream.ts"
import type { AttemptRecord, Recorder, RequestRecord } from "./ports.ts"

export interface RecorderDeps {
  readonly log: LineLog
  readonly metrics: { attempt(record: AttemptRecord): void; finish(record: RequestRecord): void }
  readonly usage: { add(entry: UsageEntry): void }
  readonly clock: Clock
}

/** The line of a finished request; groups are what clients of a kind have in common. */
const FIELDS: readonly LineField[] = [
  "request_id",
  ["status", "method", "path", "provider", "model", "stream", "end", "attempts"],
  "credential",
  ["key"],
  "ms",
  "first_byte_ms",
  "queue_ms",
  "bytes",
  "input",
  "output",
  "cached",
  ["address", "agent"],
]

/** Fans one request's facts out to the access log, the metrics and the usage kept over restarts. */
export function createRecorder({ log, metrics, usage, clock }: RecorderDeps): Recorder {
  const line = log.line("request", FIELDS)
  return {
    attempt(record) {
      metrics.attempt(record)
      if (record.cause === "ok") return
      log.info("attempt_failed", {
        request_id: record.requestId,
        provider: record.provider,
        model: record.model,
        credential: record.credential,
        attempt: record.number,
        status: record.status,
        cause: record.cause,
        message: record.message,
        ms: Math.round(record.durationMs),
      })
    },
    finish(record) {
      metrics.finish(record)
      usage.add(usageOf(record, clock.wall()))
      const level = levelOf(record)
      if (!line.shows(level)) return
      const { inbound, usage: tokens } = record
      line.write(level, [
        inbound.id,
        record.status,
        inbound.method,
        inbound.path,
        record.provider,
        record.model,
        record.stream,
        record.end,
        record.attempts,
        record.credential,
        inbound.principal,
        Math.round(record.durationMs),
        record.firstByteMs === null ? null : Math.round(record.firstByteMs),
        Math.round(record.queueMs),
        record.bytes,
        tokens?.input ?? null,
        tokens?.output ?? null,
        tokens?.cached ?? null,
        inbound.address,
        inbound.userAgent,
      ])
    },
  }
}

/** The same recorder, but what it throws goes to the log: it must not cost a client his answer. */
export function unfailing(recorder: Recorder, log: Log): Recorder {
  const failed = (id: string, error: unknown): void =>
    log.error("recorder_failed", { request_id: id, error: describe(error) })
  return {
    attempt(record) {
      try {
        recorder.attempt(record)
      } catch (error) {
        failed(record.requestId, error)
      }
    },
    finish(record) {
      try {
        recorder.finish(record)
      } catch (error) {
        failed(record.inbound.id, error)
      }
    },
  }
}

/** A client that left is nobody's fault; a stream that broke after its 200 is. Pure. */
export function levelOf(record: Pick<RequestRecord, "status" | "end">): "error" | "warn" | "info" {
  if (record.end === "client_gone") return "info"
  if (record.status >= 500 || record.end === "cut" || record.end === "idle") return "error"
  return record.status >= 400 ? "warn" : "info"
}

/** What one request adds to the usage ledger. Pure. */
export function usageOf(record: RequestRecord, at: number): UsageEntry {
  const tokens = record.usage
  return {
    at,
    provider: record.provider,
    model: record.model,
    credential: record.credential,
    principal: record.inbound.principal,
    requests: 1,
    errors: record.end === "complete" && record.status < 400 ? 0 : 1,
    attempts: record.attempts,
    input: tokens?.input ?? 0,
    output: tokens?.output ?? 0,
    cached: tokens?.cached ?? 0,
    reasoning: tokens?.reasoning ?? 0,
  }
}
