import { Halt } from "../observe/halt.ts"
import type { Acquired, Ask, Lease, Refusal } from "../scheduler/ports.ts"
import type { LastError } from "../store/types.ts"
import { Attempt, type Attempted } from "./attempt.ts"
import { describe, LiveStream, type StreamEnd } from "./live-stream.ts"
import type {
  AnswerHeaders,
  CallBase,
  ClientError,
  Failure,
  Inbound,
  RelayRefusal,
  RelaySettings,
  RequestRecord,
  Verdict,
} from "./ports.ts"
import type { RelayDeps } from "./relay.ts"
import { CLIENT_GONE, Reply, reply, SPEECHLESS } from "./reply.ts"
import type { Enrolled } from "./roll.ts"
import type { Ticker } from "./ticker.ts"
import { NOBODY, type Retry, Tries } from "./tries.ts"

/** Longest wait for a lease, in milliseconds: a token refresh may be in flight (DESIGN section 3). */
export const LEASE_WAIT_MS = 30_000

const MESSAGE_LENGTH = 300

export interface JourneyDeps<C extends CallBase> extends RelayDeps<C> {
  readonly ticker: Ticker
  /** Called once, when nothing of the request is left. */
  readonly onEnd: (journey: Journey<C>) => void
}

/**
 * One client request from its first lease to its last byte (DESIGN section 4). Whatever happens, each lease is released once,
 * and the request is recorded once.
 */
export class Journey<C extends CallBase> implements EventListenerObject, Enrolled {
  place = -1
  private readonly settings: RelaySettings
  private readonly startedAt: number
  /** Ends the wait for a lease and the attempt; a new one after a time limit used it up. */
  private halt = new Halt()
  private lease: Lease | null = null
  private leasedAt = 0
  private attempt: Attempt<C> | null = null
  /** Whether `attempt` was made with `lease`, and not with one before. */
  private sent = false
  private tries: Tries<C> | null = null
  private stream: LiveStream | null = null
  private wake: (() => void) | null = null
  private stopped: "client_gone" | "draining" | null = null
  private finished = false

  private attempts = 0
  private credential: number | null = null
  private queueMs = 0
  private waitedMs = 0
  /** When a stream began; what comes then is not our time. */
  private committedAt: number | null = null

  constructor(
    private readonly deps: JourneyDeps<C>,
    private call: C,
    private readonly inbound: Inbound,
  ) {
    this.settings = deps.settings.current
    this.startedAt = deps.clock.mono()
  }

  async run(): Promise<Reply> {
    const { signal } = this.inbound
    // Never taken off again: the signal goes with its request.
    signal.addEventListener("abort", this)
    try {
      if (signal.aborted) this.stop("client_gone")
      while (true) {
        const asked = this.acquire()
        const refusal = asked instanceof Promise ? await asked : asked
        if (this.stopped !== null) return this.left()
        if (refusal !== null) return this.refused(refusal)
        const attempt = this.begin()
        let attempted: Attempted
        let now: number
        try {
          const taking = attempt.take(await attempt.send(this.call), this.call)
          attempted = taking instanceof Promise ? await taking : taking
        } catch (error) {
          attempted = attempt.caught(error)
        } finally {
          now = this.deps.clock.mono()
          attempt.close(now)
        }
        this.waitedMs += now - attempt.startedAt
        if (this.stopped !== null) return this.left(attempted)
        if (attempted.kind === "whole") return this.answer(attempted, now)
        if (attempted.kind === "stream") return this.commit(attempted)
        const retry = this.judge(attempted.failure)
        if (retry === null) return this.giveUp({ why: "exhausted" })
        if (retry.amend !== null) this.call = retry.amend
        if (retry.delayMs > 0) await this.pause(retry.delayMs)
        if (this.stopped !== null) return this.left()
      }
    } catch (error) {
      return this.broken(error)
    }
  }

  /** The client has left. */
  handleEvent(): void {
    this.stop("client_gone")
  }

  /** Ends the request wherever it stands. */
  stop(why: "client_gone" | "draining"): void {
    if (this.finished || this.stopped !== null) return
    this.stopped = why
    if (this.stream !== null) this.stream.stop(why === "draining" ? "cut" : why)
    else {
      this.halt.abort()
      this.wake?.()
    }
  }

  /** Gets a lease; null when there is one. In the same turn, if the pool need not wait. */
  private acquire(): Refusal | null | Promise<Refusal | null> {
    const { pool, clock } = this.deps
    const { tries } = this
    // A first lease is asked for in the turn in which the request came.
    const now = tries === null ? this.startedAt : clock.mono()
    if (this.stopped === null && this.halt.aborted) this.halt = new Halt()
    const ask: Ask = {
      model: this.call.model,
      sessions: this.call.sessions,
      exclude: tries?.exclude ?? NOBODY,
      avoid: tries?.avoid ?? NOBODY,
      only: tries?.only ?? null,
      deadline: tries === null ? now + LEASE_WAIT_MS : tries.patience(now, LEASE_WAIT_MS),
      signal: this.halt,
    }
    const acquired = pool.acquire(ask)
    if (!(acquired instanceof Promise)) return this.acquired(acquired, now)
    return acquired.then((late) => {
      const then = clock.mono()
      this.queueMs += then - now
      return this.acquired(late, then)
    })
  }

  private acquired({ lease, refusal }: Acquired, now: number): Refusal | null | Promise<Refusal | null> {
    if (lease !== null) {
      this.lease = lease
      this.leasedAt = now
      return null
    }
    const { tries } = this
    if (tries === null || tries.only === null || this.stopped !== null) return refusal
    tries.widen()
    return this.acquire()
  }

  private begin(): Attempt<C> {
    const { lease } = this
    if (lease === null) throw new Error("there is no lease to send with")
    this.attempts++
    this.credential = lease.credential
    this.attempt = new Attempt<C>(this.deps, this.settings, lease, this.halt, this.leasedAt)
    this.sent = true
    return this.attempt
  }

  private answer({ opened, body, status }: Attempted & { kind: "whole" }, now: number): Reply {
    this.confirmMarks()
    this.endAttempt("ok", null, true, now)
    this.record(status, "complete", typeof body === "string" ? Buffer.byteLength(body) : body.length, now)
    return this.told(new Reply(status, opened.headers, body))
  }

  /** From here on there is no retry. */
  private commit({ opened, reader, peeked }: Attempted & { kind: "stream" }): Reply {
    this.confirmMarks()
    const { provider, ticker, log, clock } = this.deps
    this.committedAt = clock.mono()
    if (provider.trim !== undefined) this.call = provider.trim(this.call)
    const { status, headers } = opened.response
    const { idleTimeoutMs } = this.settings
    const onEnd = (end: StreamEnd): void => this.streamEnded(end, headers, status)
    this.stream = new LiveStream({ reader, framer: opened.framer, ticker, log, idleTimeoutMs, onEnd }, peeked)
    return this.told(new Reply(status, opened.headers, this.stream))
  }

  /** The last of a committed stream: what went wrong late is judged for the credential's sake only. */
  private streamEnded({ end, fault, bytes }: StreamEnd, headers: AnswerHeaders, status: number): void {
    try {
      const error = this.attempt?.notes?.lateError ?? null
      const late: Failure | null = error === null ? fault : { kind: "event", body: error, headers }
      const verdict = late === null ? null : this.verdict(late)
      if (verdict !== null && this.lease !== null) this.report(this.lease, verdict)
      const served = verdict === null && (end === "complete" || end === "client_gone")
      this.endAttempt(verdict?.cause ?? (served ? "ok" : end), verdict?.message ?? null, served)
    } catch (error) {
      this.deps.log.error("stream_end_failed", { request_id: this.inbound.id, error: describe(error) })
      this.endAttempt("internal", null, false)
    }
    this.record(status, end, bytes)
  }

  /** What a failed attempt means for its credential and for the request; ends its lease. */
  private judge(failure: Failure): Retry<C> | null {
    const { lease } = this
    if (lease === null) throw new Error("there is no lease to judge")
    const verdict = this.verdict(failure)
    const { act } = verdict
    if (act.do === "lacks" && act.tentative) {
      this.history().hold({ lease, action: act, error: this.lastError(verdict) })
    } else this.report(lease, verdict)
    if (this.attempt !== null) this.attempt.notes ??= verdict.notes ?? null
    this.endAttempt(verdict.cause, verdict.message, false)
    return this.history().next(verdict, lease.credential, this.deps.clock.mono(), this.deps.random)
  }

  private verdict(failure: Failure): Verdict<C> {
    const { lease } = this
    if (lease === null) throw new Error("there is no lease to judge")
    const context = this.history().context(lease.credential, this.deps.clock.wall())
    return this.deps.provider.judge(failure, this.call, lease, context)
  }

  private report(lease: Lease, verdict: Verdict<C>): void {
    if (verdict.act.do !== "none") this.deps.pool.report(lease, verdict.act, this.lastError(verdict))
  }

  private history(): Tries<C> {
    const { retryMaxTimes: faults, retryWindowMs } = this.settings
    this.tries ??= new Tries<C>({ faults, windowEnd: this.startedAt + retryWindowMs })
    return this.tries
  }

  private lastError({ cause, message }: Verdict<C>): LastError {
    const at = this.deps.clock.wall()
    return { at, status: this.attempt?.status ?? null, cause, message: message.slice(0, MESSAGE_LENGTH) }
  }

  /** What other credentials were said to lack is believed now that this one serves. */
  private confirmMarks(): void {
    if (this.tries === null || this.lease === null) return
    for (const { lease, action, error } of this.tries.settle(this.lease.credential)) {
      this.deps.pool.report(lease, action, error)
    }
  }

  /** Releases the lease, if there is one, and records the attempt it was used for, if there was one. */
  private endAttempt(cause: string, message: string | null, served: boolean, now = this.deps.clock.mono()): void {
    const { lease, call } = this
    if (lease === null) return
    const attempt = this.sent ? this.attempt : null
    this.lease = null
    this.sent = false
    const notes = attempt?.notes ?? null
    const id = notes?.responseId ?? null
    this.deps.pool.release(lease, {
      served,
      quotas: notes?.quotas ?? [],
      plan: notes?.plan ?? null,
      // A committed stream binds however it ends: the client holds encrypted reasoning that only this account can read.
      bind: !served && this.stream === null ? [] : id === null ? call.sessions : [...call.sessions, id],
    })
    if (attempt === null) return
    const { recorder, provider } = this.deps
    recorder.attempt({
      requestId: this.inbound.id,
      provider: provider.name,
      model: call.model,
      credential: lease.credential,
      number: this.attempts,
      status: attempt.status,
      cause,
      message,
      durationMs: now - attempt.startedAt,
    })
  }

  /** The pool has no lease: its own word counts if nothing was tried, or if every usable credential is limited. */
  private refused(refusal: Refusal): Reply {
    const limited = refusal.why === "all_cooling" && refusal.quota
    return limited ? this.refuse(refusal) : this.giveUp(refusal)
  }

  /** The client hears of the most meaningful failure, or of the refusal if there was none. */
  private giveUp(refusal: Refusal): Reply {
    const best = this.tries?.best ?? null
    return best === null ? this.refuse(refusal) : this.finish(best.tell)
  }

  private refuse(why: RelayRefusal): Reply {
    return this.finish(this.deps.provider.refuse(why, this.call))
  }

  private finish(error: ClientError): Reply {
    this.record(error.status, "refused", Buffer.byteLength(error.body))
    return this.told(reply(error))
  }

  /** The request was stopped before anything was committed. */
  private left(attempted?: Attempted): Reply {
    if (attempted?.kind === "stream") void attempted.reader.cancel().catch(() => undefined)
    this.endAttempt(this.stopped ?? "client_gone", null, false)
    if (this.stopped === "draining") return this.refuse({ why: "draining" })
    this.record(CLIENT_GONE, "client_gone", 0)
    return new Reply(CLIENT_GONE, {}, "")
  }

  /** A fault of our own code: the client gets a 500 without details, the log gets them, and nothing leaks. */
  private broken(error: unknown): Reply {
    const { log, provider } = this.deps
    log.error("request_failed_inside", {
      request_id: this.inbound.id,
      provider: provider.name,
      error: describe(error),
      stack: error instanceof Error ? error.stack : undefined,
    })
    this.halt.abort()
    let tell = SPEECHLESS
    try {
      this.endAttempt("internal", null, false)
      tell = provider.refuse({ why: "internal" }, this.call)
    } catch (again) {
      log.error("request_failed_inside", { request_id: this.inbound.id, error: describe(again) })
    }
    return this.finish(tell)
  }

  /** The answer with what a client may know of its way here. */
  private told(answer: Reply): Reply {
    if (!this.deps.answerHeaders.current) return answer
    answer.set("x-pollux-attempts", String(this.attempts))
    if (this.credential !== null) answer.set("x-pollux-credential", String(this.credential))
    return answer
  }

  /** Waits before a retry; `stop` ends the wait. */
  private pause(ms: number): Promise<void> {
    const { clock, timers } = this.deps
    const from = clock.mono()
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.wake = null
        this.waitedMs += clock.mono() - from
        resolve()
      }
      const cancel = timers.after(ms, done)
      this.wake = done
    })
  }

  private record(status: number, end: RequestRecord["end"], bytes: number, now = this.deps.clock.mono()): void {
    if (this.finished) return
    this.finished = true
    const { inbound, call, attempt, attempts, credential, queueMs } = this
    const { provider, recorder } = this.deps
    const own = (this.committedAt ?? now) - inbound.startedAt - queueMs - this.waitedMs
    recorder.finish({
      inbound,
      provider: provider.name,
      model: call.model,
      stream: call.stream,
      status,
      attempts,
      credential,
      queueMs,
      firstByteMs: attempt?.firstByteMs ?? null,
      durationMs: now - inbound.startedAt,
      overheadMs: Math.max(0, own),
      bytes,
      usage: attempt?.notes?.usage ?? null,
      end,
    })
    this.deps.onEnd(this)
  }
}
