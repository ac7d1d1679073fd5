import type { Clock } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { UsageEntry } from "../store/usage.ts"
import type { AttemptRecord, Recorder, RequestRecord } from "./ports.ts"

export interface RecorderDeps {
  readonly log: Log
  readonly metrics: { attempt(record: AttemptRecord): void; finish(record: RequestRecord): void }
  readonly usage: { add(entry: UsageEntry): void }
  readonly clock: Clock
}

/** Fans one request's facts out to the access log, the metrics and the usage kept over restarts. */
export function createRecorder({ log, metrics, usage, clock }: RecorderDeps): Recorder {
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
      const { inbound, usage: tokens } = record
      log[levelOf(record)]("request", {
        request_id: inbound.id,
        status: record.status,
        method: inbound.method,
        path: inbound.path,
        provider: record.provider,
        model: record.model,
        stream: record.stream,
        end: record.end,
        attempts: record.attempts,
        credential: record.credential,
        key: inbound.principal,
        ms: Math.round(record.durationMs),
        first_byte_ms: record.firstByteMs === null ? null : Math.round(record.firstByteMs),
        queue_ms: Math.round(record.queueMs),
        bytes: record.bytes,
        input: tokens?.input ?? null,
        output: tokens?.output ?? null,
        cached: tokens?.cached ?? null,
        address: inbound.address,
        agent: inbound.userAgent,
      })
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
