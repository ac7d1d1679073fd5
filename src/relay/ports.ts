/** What the relay needs from a provider, and what it offers to a provider's routes. `C` is the provider's parsed call. */
import type { HaltSignal } from "../observe/halt.ts"
import type { TokenUsage } from "../observe/ports.ts"
import type { Action, Lease, Refusal } from "../scheduler/ports.ts"
import type { QuotaWindow } from "../store/types.ts"
import type { HeaderFields, ReplyFields } from "./headers.ts"
import type { Reply } from "./reply.ts"
import type { Span } from "./span.ts"

/** Header fields as they are asked for, in any case; `Headers` are such. */
export interface HeaderReader {
  get(name: string): string | null
  has(name: string): boolean
}

/** Header fields of an answer, as far as anybody asks for them; `Headers` are such. */
export interface AnswerHeaders extends HeaderReader {
  /** All of them by name, in lower case; lists only for `set-cookie`. Not to be written to. */
  toJSON(): HeaderFields
}

export type Chunk =
  | { readonly done: false; readonly value: Uint8Array }
  | { readonly done: true; readonly value?: Uint8Array | undefined }

/** Whom chunks are given to as they come. Must not throw. */
export interface Receiver {
  /** @returns whether the next one may follow; after false none does until it is asked for again */
  take(value: Uint8Array): boolean
  /** That was all. */
  ended(): void
  /** @param error what broke the body */
  broke(error: unknown): void
}

/** Whom a client's bytes are written to. Never throws. */
export interface Sink {
  /** @returns a promise while the client is behind: it comes when he has caught up, or has left; else any number */
  write(bytes: Uint8Array): number | Promise<number>
  /** That was all. */
  close(): void
}

/** A body that comes bit by bit. */
export interface Outflow {
  /** Begins to write, and goes on until it closes the sink. Called once. */
  start(sink: Sink): void
}

/** Reads a body piece by piece; a `ReadableStreamDefaultReader` is one. */
export interface ChunkReader {
  /** One at a time. Rejects with what broke the body. */
  read(): Promise<Chunk>
  /** Gives what comes to a receiver, without a promise for each chunk; never while a `read` is pending. */
  flow?(receiver: Receiver): void
  /** Nobody looks at a chunk of this body any more: the memory of a large one may be freed at once. */
  giveBack?(chunk: Uint8Array): void
  /** Nobody wants the rest. */
  cancel(): Promise<void>
}

export interface AnswerBody {
  getReader(): ChunkReader
}

/** The answer to a provider's call, as the relay reads it; a `Response` is one. */
export interface Answer {
  readonly status: number
  /** 200 to 299. */
  readonly ok: boolean
  readonly headers: AnswerHeaders
  readonly body: AnswerBody | null
  /** All of the body. Rejects with what broke it. */
  bytes(): Promise<Uint8Array>
  /**
   * All of the body where that is here already, so that nobody need wait for it; else null, and `bytes` gives it.
   */
  whole?(): Span | null
}

/** What the relay itself must know of a call. */
export interface CallBase {
  readonly model: string
  readonly stream: boolean
  /** Names of the session for affinity, best first: only what the client sent. At most 4, each at most 256 characters. */
  readonly sessions: readonly string[]
}

export type Failure =
  /** No answer: DNS, refused, TLS, proxy, reset. `sent` false: surely before the request was written. */
  | {
      readonly kind: "network"
      readonly stage: "dns" | "connect" | "tls" | "proxy" | "reset" | "unknown"
      readonly detail: string
    }
  | { readonly kind: "timeout"; readonly stage: "first_byte" | "idle" }
  /** A non-2xx answer; `body` is at most 256 KiB of text. */
  | { readonly kind: "status"; readonly status: number; readonly headers: AnswerHeaders; readonly body: string }
  /** An error event inside a 200, before anything was committed; `body` is the event's JSON text. */
  | { readonly kind: "event"; readonly body: string; readonly headers: AnswerHeaders }
  /** A 200 whose stream ended with nothing in it. */
  | { readonly kind: "empty" }
  /** A 200 whose body broke or ended early, or could not be understood, before anything was committed. */
  | { readonly kind: "cut"; readonly detail: string }

/** Facts of the request so far, for a verdict. */
export interface JudgeContext {
  /** Wall time in milliseconds. */
  readonly now: number
  /** Attempts made, this one included. */
  readonly attempts: number
  /** Failures of this credential in this request before this one, by cause. */
  readonly before: (cause: string) => number
  /** Distinct credentials that failed with this cause in this request, this one included. */
  readonly seen: (cause: string) => number
}

/** An answer for the client in its API's own shape. */
export interface ClientError {
  readonly status: number
  /** Complete body text. */
  readonly body: string
  /** Default application/json. */
  readonly contentType?: string
  /** Seconds, rounded up; becomes Retry-After. */
  readonly retryAfter?: number
}

export interface Verdict<C> {
  /** Short stable name, for metrics and counting: "quota", "capacity", "unauthorized", "server_error", ... */
  readonly cause: string
  readonly act: Action
  readonly retry: "same" | "other" | "no"
  /**
   * Which budget a retry draws on. `fault`: retry_max_times; `credential`: each credential once, within retry_window;
   * `amend`: once per amended call.
   */
  readonly budget: "fault" | "credential" | "amend"
  /** The call to send instead (unsupported parameter removed, signatures replaced). */
  readonly amend?: C
  /** Pause before the retry, in milliseconds; jittered 50 to 100 %. */
  readonly delayMs?: number
  readonly tell: ClientError
  /** Among several failures the client is told the one with the highest rank; the later one on a tie. */
  readonly rank: number
  /** Redacted sentence for the credential's last error and the log. */
  readonly message: string
  /** What the failed answer told about its credential (limits in its headers), where no framer or assembler read it. */
  readonly notes?: Notes
}

/** Why the relay itself refuses, beside the pool's refusals. */
export type RelayRefusal = Refusal | { readonly why: "draining" } | { readonly why: "internal" }

export interface Provider<C extends CallBase> {
  readonly name: string
  /** Sends one attempt. Rejects only with what `fetch` rejects with. Must pass `signal` on. */
  send(lease: Lease, call: C, signal: HaltSignal): Promise<Answer>
  /** Takes a 2xx answer. */
  open(response: Answer, call: C, lease: Lease): Opened
  judge(failure: Failure, call: C, lease: Lease, context: JudgeContext): Verdict<C>
  /**
   * The call without what only a further attempt needs (its body): the relay keeps it for as long as a committed stream runs.
   * Absent: the call is kept as it is.
   */
  trim?(call: C): C
  refuse(why: RelayRefusal, call: C): ClientError
}

/** How the body of a 2xx answer reaches the client. */
export type Opened =
  | {
      readonly mode: "stream"
      readonly response: Answer
      readonly framer: Framer
      /** Headers for the client, already filtered by allow-list, content-type included; the same object may serve many answers. */
      readonly headers: ReplyFields
    }
  | {
      readonly mode: "unary"
      readonly response: Answer
      /** Fed with every chunk; nothing reaches the client before `finish`. */
      readonly assembler: Assembler
      readonly headers: ReplyFields
    }

/** What an answer told about itself. Filled in as it passes; read at the end. */
export interface Notes {
  readonly usage: TokenUsage | null
  readonly quotas: readonly QuotaWindow[]
  readonly plan: string | null
  /** This answer's name as a session, exactly as `sessions` of a later call that refers to it would say it; or null. */
  readonly responseId: string | null
  /** An error the upstream put into a committed stream (JSON text), to be judged for the credential's sake only. */
  readonly lateError: string | null
}

/**
 * Turns upstream chunks into client chunks. Own code of the hot path: no promise, no closure, no text decoding per chunk
 * where bytes will do. Never throws.
 */
export interface Framer extends Notes {
  /**
   * Returns what to write to the client, or null for nothing yet. May return the chunk itself, and may have written over it. Once
   * that is written the chunk's memory may be freed: what is needed of it later is a copy.
   */
  push(chunk: Uint8Array): Uint8Array | null
  /**
   * No more upstream bytes. `fault` null is a clean EOF. Returns the last bytes: an open frame closed by a blank line, then
   * the synthetic event where the protocol's terminal one is missing; the closing bracket of an array.
   */
  end(fault: Failure | null): Uint8Array | null
  /**
   * `opening`: only handshake events so far, the relay may still fail over; `flowing`: something meaningful came;
   * `done`: the protocol's terminal event came, the rest of the upstream does not matter.
   */
  readonly phase: "opening" | "flowing" | "done"
  /** Upstream events seen so far. */
  readonly events: number
  /** While opening: the failure found in the stream, or null. */
  readonly failure: Failure | null
  /**
   * While flowing, where a protocol has no event that ends it: whether the client has a whole answer, though more may follow.
   * A fault is then no cut any more. Absent: never.
   */
  readonly whole?: boolean
  /** At a clean EOF: whether it ended without the protocol's terminal event (a cut). */
  readonly incomplete: boolean
  /** What to send after 15 s of silence. Must be valid between frames only; the relay asks only when `betweenFrames`. */
  readonly keepAlive: Uint8Array | null
  readonly betweenFrames: boolean
  /** `keepAlive` was sent. Absent: that changes nothing. */
  kept?(): void
}

export interface Assembler extends Notes {
  push(piece: Span): void
  /** The failure found so far (error event), which ends the reading early; or null. */
  readonly failure: Failure | null
  /** True once a terminal event came: the rest does not matter. */
  readonly done: boolean
  /** After EOF: the client's body, or why there is none. */
  finish(): { readonly body: Uint8Array | string; readonly status: number } | Failure
}

/** One client request as the edge hands it over. */
export interface Inbound {
  readonly id: string
  /** Aborted when the client leaves. */
  readonly signal: HaltSignal
  /** Monotonic milliseconds. */
  readonly startedAt: number
  /** Name of the key used; "default" for pollux_key. */
  readonly principal: string
  readonly method: string
  /** Path without query. */
  readonly path: string
  readonly userAgent: string
  /** The client's, a trusted proxy's word for it considered. */
  readonly address: string
}

export interface AttemptRecord {
  readonly requestId: string
  readonly provider: string
  readonly model: string
  readonly credential: number
  /** 1 for the first. */
  readonly number: number
  readonly status: number | null
  /** "ok" or the verdict's cause. */
  readonly cause: string
  readonly message: string | null
  readonly durationMs: number
}

export interface RequestRecord {
  readonly inbound: Inbound
  readonly provider: string
  readonly model: string
  readonly stream: boolean
  /** Status sent to the client; 499 when the client left before one was. */
  readonly status: number
  readonly attempts: number
  /** The credential that served, or that was tried last. */
  readonly credential: number | null
  /** Milliseconds spent waiting for leases. */
  readonly queueMs: number
  /** To the response's first byte from upstream on the last attempt; null if none came. */
  readonly firstByteMs: number | null
  readonly durationMs: number
  /** Milliseconds of the request not spent waiting for the upstream or for a lease, up to the commit. */
  readonly overheadMs: number
  readonly bytes: number
  readonly usage: TokenUsage | null
  readonly end: "complete" | "client_gone" | "cut" | "idle" | "refused"
}

export interface Recorder {
  attempt(record: AttemptRecord): void
  finish(record: RequestRecord): void
}

export interface RelaySettings {
  readonly retryMaxTimes: number
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly retryWindowMs: number
  readonly maxWaitMs: number
}

export interface Relay<C extends CallBase> {
  /** One request's journey. Never rejects. */
  serve(call: C, inbound: Inbound): Promise<Reply>
  /** Requests not yet answered in full. */
  readonly active: number
  /** At the drain deadline: every open stream gets its protocol's error event and ends. */
  abortAll(): void
}

/** Options of one upstream call, beside what `fetch` takes. */
export interface UpstreamInit {
  readonly method: "GET" | "POST"
  readonly headers: Readonly<Record<string, string>>
  /**
   * More headers, none of which is in `headers`: those that many calls have in common. What is made of them is kept for as long as
   * this very object is, so they must never change, and nothing secret belongs here.
   */
  readonly shared?: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer> | string | Pieces
  readonly signal: HaltSignal
}

/** A body that is put together of what lies apart: sent one after the other, so that a large one need not be copied. */
export type Pieces = readonly Uint8Array[]

/**
 * `fetch` as the calls that a provider makes for itself use it: its proxy, HTTP version with one logged fall-back, no redirects followed,
 * no time limit of the runtime's own. Rejects with what `fetch` rejects with; `networkFailure` names the stage.
 */
export type Fetcher = (url: string, init: UpstreamInit) => Promise<Response>

/** As `Fetcher`, for the calls that clients wait for: no content coding is asked for, and one that comes all the same is taken off. */
export type Sender = (url: string, init: UpstreamInit) => Promise<Answer>
