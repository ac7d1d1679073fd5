import type { Clock, Live, Random, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { Acquired, Ask, Lease, Pool, Refusal } from "../scheduler/ports.ts"
import type { LastError } from "../store/types.ts"
import { readErrorBody, readUnary } from "./bodies.ts"
import { describe, LiveStream, type Peeked, type StreamEnd } from "./live-stream.ts"
import { networkFailure } from "./network.ts"
import { peek } from "./peek.ts"
import type {
  CallBase,
  Failure,
  Inbound,
  Notes,
  Opened,
  Provider,
  Recorder,
  RelayRefusal,
  RelaySettings,
  RequestRecord,
  Verdict,
} from "./ports.ts"
import { bodyOf, CLIENT_GONE, reply } from "./reply.ts"
import type { Ticker, Ticking } from "./ticker.ts"
import { Tries } from "./tries.ts"

/** Longest wait for a lease, in milliseconds: a token refresh may be in flight (DESIGN section 3). */
export const LEASE_WAIT_MS = 30_000
/** Longest reading of a failed answer's body, in milliseconds. */
export const ERROR_BODY_MS = 10_000

const MESSAGE_LENGTH = 300
const NOBODY: ReadonlySet<number> = new Set()

export interface JourneyDeps<C extends CallBase> {
  readonly provider: Provider<C>
  readonly pool: Pool
  readonly settings: Live<RelaySettings>
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly recorder: Recorder
  readonly log: Log
  readonly answerHeaders: Live<boolean>
  readonly ticker: Ticker
  /** Called once, when nothing of the request is left. */
  readonly onEnd: (journey: Journey<C>) => void
}

/**
 * One client request from its first lease to its last byte (DESIGN section 4). Whatever happens, each lease is released once,
 * and the request is recorded once.
 */
export class Journey<C extends CallBase> implements Ticking, EventListenerObject {
  private readonly settings: RelaySettings
  private readonly startedAt: number
  private controller = new AbortController()
  private lease: Lease | null = null
  private tries: Tries<C> | null = null
  private notes: Notes | null = null
  private stream: LiveStream | null = null
  private stopped: "client_gone" | "draining" | null = null
  private finished = false

  private attempts = 0
  private credential: number | null = null
  private status: number | null = null
  private attemptAt = 0
  private queueMs = 0
  private waitedMs = 0
  private firstByteMs: number | null = null

  /** When the attempt's time limit strikes, in the ticker's time. */
  private due = Number.POSITIVE_INFINITY
  private stage: "first_byte" | "idle" = "first_byte"
  private expired = false
  private wake: (() => void) | null = null

  constructor(
    private readonly deps: JourneyDeps<C>,
    private call: C,
    private readonly inbound: Inbound,
  ) {
    this.settings = deps.settings.current
    this.startedAt = deps.clock.mono()
  }

  async run(): Promise<Response> {
    try {
      const { signal } = this.inbound
      if (signal.aborted) this.stop("client_gone")
      else signal.addEventListener("abort", this)
      while (true) {
        const refusal = await this.acquire()
        if (this.stopped !== null) return this.left()
        if (refusal !== null) return this.refused(refusal)
        const answer = await this.attempt()
        if (answer instanceof Response) return answer
        if (this.stopped !== null) return this.left()
        const retry = this.judge(answer)
        if (retry === null) return this.giveUp()
        if (retry.amend !== null) this.call = retry.amend
        if (retry.delayMs > 0) await this.pause(retry.delayMs)
        if (this.stopped !== null) return this.left()
      }
    } catch (error) {
      this.deps.log.error("request_failed_inside", {
        requestId: this.inbound.id,
        provider: this.deps.provider.name,
        error: describe(error),
        stack: error instanceof Error ? error.stack : undefined,
      })
      this.controller.abort()
      this.endAttempt("internal", null, false)
      return this.finish(this.deps.provider.refuse({ why: "internal" }, this.call))
    }
  }

  /** The client's abort signal, as an EventListener without a closure. */
  handleEvent(): void {
    this.stop("client_gone")
  }

  /** Ends the request wherever it stands. */
  stop(why: "client_gone" | "draining"): void {
    if (this.finished || this.stopped !== null) return
    this.stopped = why
    if (this.stream !== null) {
      void this.stream.stop(why === "draining" ? "cut" : why)
      return
    }
    this.controller.abort()
    this.wake?.()
  }

  tick(now: number): void {
    if (now < this.due) return
    this.due = Number.POSITIVE_INFINITY
    this.expired = true
    this.controller.abort()
  }

  /** Gets a lease; null when there is one. */
  private async acquire(): Promise<Refusal | null> {
    const { pool, clock } = this.deps
    while (true) {
      const { tries } = this
      const from = clock.mono()
      const ask: Ask = {
        model: this.call.model,
        sessions: this.call.sessions,
        exclude: tries?.exclude ?? NOBODY,
        avoid: tries?.avoid ?? NOBODY,
        only: tries?.only ?? null,
        deadline: tries === null ? from + LEASE_WAIT_MS : Math.min(from + LEASE_WAIT_MS, this.windowEnd),
        signal: this.controller.signal,
      }
      const answer = pool.acquire(ask)
      let acquired: Acquired
      if (answer instanceof Promise) {
        acquired = await answer
        this.queueMs += clock.mono() - from
      } else acquired = answer
      if (acquired.lease !== null) {
        this.lease = acquired.lease
        this.credential = acquired.lease.credential
        if (this.stopped !== null) this.endAttempt(this.stopped, null, false)
        return null
      }
      if (tries === null || tries.only === null || this.stopped !== null) return acquired.refusal
      tries.widen()
    }
  }

  private get windowEnd(): number {
    return this.startedAt + this.settings.retryWindowMs
  }

  /** Sends once. An answer for the client, or why there is none. */
  private async attempt(): Promise<Response | Failure> {
    const { provider, clock, ticker, log } = this.deps
    const { lease } = this
    if (lease === null) throw new Error("attempt without a lease")
    if (this.controller.signal.aborted) this.controller = new AbortController()
    this.attempts++
    this.status = null
    this.firstByteMs = null
    this.notes = null
    this.expired = false
    this.stage = "first_byte"
    this.attemptAt = clock.mono()
    ticker.add(this)
    this.due = ticker.due(this.settings.firstByteTimeoutMs)
    let reader: ReadableStreamDefaultReader<Uint8Array> | null = null
    try {
      const response = await provider.send(lease, this.call, this.controller.signal)
      this.status = response.status
      if (!response.ok) {
        this.due = ticker.due(Math.min(ERROR_BODY_MS, this.settings.firstByteTimeoutMs))
        const body = await readErrorBody(response)
        return { kind: "status", status: response.status, headers: response.headers, body }
      }
      const opened = provider.open(response, this.call, lease)
      if (opened.response.body === null) return { kind: "empty" }
      reader = opened.response.body.getReader()
      return await this.receive(opened, reader)
    } catch (error) {
      if (this.expired) return { kind: "timeout", stage: this.stage }
      if (this.stopped !== null) return { kind: "cut", detail: this.stopped }
      if (this.status === null) return networkFailure(error)
      if (reader === null) throw error
      log.debug("answer_cut", { requestId: this.inbound.id, error: describe(error) })
      return { kind: "cut", detail: describe(error) }
    } finally {
      this.due = Number.POSITIVE_INFINITY
      ticker.remove(this)
      this.waitedMs += clock.mono() - this.attemptAt
      if (reader !== null && this.stream === null) void reader.cancel().catch(() => undefined)
    }
  }

  private readonly onChunk = (): void => {
    if (this.firstByteMs === null) {
      this.firstByteMs = this.deps.clock.mono() - this.attemptAt
      this.stage = "idle"
    }
    this.due = this.deps.ticker.due(this.settings.idleTimeoutMs)
  }

  private async receive(opened: Opened, reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Response | Failure> {
    const { onChunk } = this
    if (opened.mode === "unary") {
      const { assembler } = opened
      this.notes = assembler
      const failure = await readUnary(reader, assembler, { onChunk })
      if (failure !== null) return failure
      const built = assembler.finish()
      if ("kind" in built) return built
      return this.answerWhole(opened, built)
    }
    this.notes = opened.framer
    let cancelTimer = (): void => undefined
    const after = (ms: number): Promise<null> =>
      new Promise((resolve) => {
        cancelTimer = this.deps.timers.after(ms, () => resolve(null))
      })
    try {
      const peeked = await peek(reader, opened.framer, { onChunk, after })
      return "kind" in peeked ? peeked : this.commit(opened, reader, peeked)
    } finally {
      cancelTimer()
    }
  }

  private answerWhole(
    opened: Opened & { mode: "unary" },
    built: { readonly body: Uint8Array | string; readonly status: number },
  ): Response | Failure {
    if (this.stopped !== null) return { kind: "cut", detail: this.stopped }
    this.confirmMarks()
    this.endAttempt("ok", null, true)
    this.tellAttempts(opened.headers)
    const size = typeof built.body === "string" ? Buffer.byteLength(built.body) : built.body.length
    this.record(built.status, "complete", size)
    return new Response(bodyOf(built.body), { status: built.status, headers: opened.headers })
  }

  private commit(
    opened: Opened & { mode: "stream" },
    reader: ReadableStreamDefaultReader<Uint8Array>,
    peeked: Peeked,
  ): Response | Failure {
    if (this.stopped !== null) return { kind: "cut", detail: this.stopped }
    this.confirmMarks()
    const { ticker, log, clock } = this.deps
    const committedAt = clock.mono()
    const status = opened.response.status
    const stream = new LiveStream({
      reader,
      framer: opened.framer,
      peeked,
      ticker,
      log,
      idleTimeoutMs: this.settings.idleTimeoutMs,
      onEnd: (end) => this.streamEnded(end, opened, status, committedAt),
    })
    this.stream = stream
    this.tellAttempts(opened.headers)
    return new Response(stream.body(), { status, headers: opened.headers })
  }

  /** The last of a committed stream: what went wrong late is judged for the credential's sake only. */
  private streamEnded(end: StreamEnd, opened: Opened, status: number, committedAt: number): void {
    try {
      const late = this.notes === null || this.notes.lateError === null ? end.fault : this.lateFailure(opened)
      const verdict = late === null ? null : this.reportLate(late)
      const served = verdict === null && (end.end === "complete" || end.end === "client_gone")
      this.endAttempt(verdict?.cause ?? (served ? "ok" : end.end), verdict?.message ?? null, served)
    } catch (error) {
      this.deps.log.error("stream_end_failed", { requestId: this.inbound.id, error: describe(error) })
      this.endAttempt("internal", null, false)
    }
    this.record(status, end.end, end.bytes, committedAt)
  }

  private lateFailure(opened: Opened): Failure {
    return { kind: "event", body: this.notes?.lateError ?? "", headers: opened.response.headers }
  }

  private reportLate(failure: Failure): Verdict<C> | null {
    if (this.lease === null) return null
    const { provider, pool, clock } = this.deps
    const tries = this.tries ?? this.begin()
    const verdict = provider.judge(failure, this.call, this.lease, tries.context(this.lease.credential, clock.wall()))
    if (verdict.act.do !== "none") pool.report(this.lease, verdict.act, this.lastError(verdict))
    return verdict
  }

  private begin(): Tries<C> {
    this.tries = new Tries<C>({ faults: this.settings.retryMaxTimes, windowEnd: this.windowEnd })
    return this.tries
  }

  /** What a failed attempt means; ends its lease. */
  private judge(failure: Failure): ReturnType<Tries<C>["next"]> {
    const { lease } = this
    if (lease === null) throw new Error("verdict without a lease")
    const { provider, pool, clock, random } = this.deps
    const tries = this.tries ?? this.begin()
    const verdict = provider.judge(failure, this.call, lease, tries.context(lease.credential, clock.wall()))
    const { act } = verdict
    if (act.do === "lacks" && act.tentative) tries.hold({ lease, action: act, error: this.lastError(verdict) })
    else if (act.do !== "none") pool.report(lease, act, this.lastError(verdict))
    this.endAttempt(verdict.cause, verdict.message, false)
    return tries.next(verdict, lease.credential, clock.mono(), random)
  }

  private lastError(verdict: Verdict<C>): LastError {
    return {
      at: this.deps.clock.wall(),
      status: this.status,
      cause: verdict.cause,
      message: verdict.message.slice(0, MESSAGE_LENGTH),
    }
  }

  private confirmMarks(): void {
    if (this.tries === null || this.lease === null) return
    for (const { lease, action, error } of this.tries.confirmed(this.lease.credential)) {
      this.deps.pool.report(lease, action, error)
    }
  }

  /** Releases the lease, if there is one, and records the attempt. */
  private endAttempt(cause: string, message: string | null, served: boolean): void {
    const { lease, notes } = this
    if (lease === null) return
    this.lease = null
    const { sessions } = this.call
    const id = notes?.responseId ?? null
    this.deps.pool.release(lease, {
      served,
      quotas: notes?.quotas ?? [],
      plan: notes?.plan ?? null,
      bind: !served ? [] : id === null ? sessions : [...sessions, id],
    })
    this.guarded(() =>
      this.deps.recorder.attempt({
        requestId: this.inbound.id,
        provider: this.deps.provider.name,
        model: this.call.model,
        credential: lease.credential,
        number: this.attempts,
        status: this.status,
        cause,
        message,
        durationMs: this.deps.clock.mono() - this.attemptAt,
      }),
    )
  }

  /** The pool has no lease. */
  private refused(refusal: Refusal): Response {
    const limited = refusal.why === "all_cooling" && refusal.quota
    return this.tries === null || limited ? this.refuse(refusal) : this.giveUp(refusal)
  }

  private refuse(why: RelayRefusal): Response {
    return this.finish(this.deps.provider.refuse(why, this.call))
  }

  /** No further attempt: the client hears of the most meaningful failure. */
  private giveUp(refusal: Refusal = { why: "exhausted" }): Response {
    const best = this.tries?.best ?? null
    return best === null ? this.refuse(refusal) : this.finish(best.tell)
  }

  /** The request was stopped before anything was committed. */
  private left(): Response {
    this.endAttempt(this.stopped ?? "client_gone", null, false)
    if (this.stopped === "draining") return this.refuse({ why: "draining" })
    this.record(CLIENT_GONE, "client_gone", 0)
    return new Response(null, { status: CLIENT_GONE })
  }

  private finish(error: Parameters<typeof reply>[0]): Response {
    const response = reply(error)
    this.tellAttempts(response.headers)
    this.record(error.status, "refused", Buffer.byteLength(error.body))
    return response
  }

  private tellAttempts(headers: Headers): void {
    if (!this.deps.answerHeaders.current) return
    headers.set("x-pollux-attempts", String(this.attempts))
    if (this.credential !== null) headers.set("x-pollux-credential", String(this.credential))
  }

  private pause(ms: number): Promise<void> {
    const from = this.deps.clock.mono()
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.wake = null
        this.waitedMs += this.deps.clock.mono() - from
        resolve()
      }
      const cancel = this.deps.timers.after(ms, done)
      this.wake = done
    })
  }

  private record(status: number, end: RequestRecord["end"], bytes: number, committedAt?: number): void {
    if (this.finished) return
    this.finished = true
    this.inbound.signal.removeEventListener("abort", this)
    const now = this.deps.clock.mono()
    const durationMs = now - this.inbound.startedAt
    const own = (committedAt ?? now) - this.inbound.startedAt - this.queueMs - this.waitedMs
    this.guarded(() =>
      this.deps.recorder.finish({
        inbound: this.inbound,
        provider: this.deps.provider.name,
        model: this.call.model,
        stream: this.call.stream,
        status,
        attempts: this.attempts,
        credential: this.credential,
        queueMs: this.queueMs,
        firstByteMs: this.firstByteMs,
        durationMs,
        overheadMs: Math.max(0, own),
        bytes,
        usage: this.notes?.usage ?? null,
        end,
      }),
    )
    this.deps.onEnd(this)
  }

  /** A recorder that throws must not cost the client his answer. */
  private guarded(record: () => void): void {
    try {
      record()
    } catch (error) {
      this.deps.log.error("recorder_failed", { requestId: this.inbound.id, error: describe(error) })
    }
  }
}
