import type { Clock, Timers } from "../observe/clock.ts"
import type { Halt } from "../observe/halt.ts"
import type { Lease } from "../scheduler/ports.ts"
import { letEnd, readErrorBody, readUnary } from "./bodies.ts"
import { decoded } from "./decoded.ts"
import { GRACE_MS, type Peeked } from "./live-stream.ts"
import { brokenAnswer, networkFailure } from "./network.ts"
import { peek } from "./peek.ts"
import type {
  Answer,
  AnswerHeaders,
  CallBase,
  ChunkReader,
  Failure,
  Notes,
  Opened,
  Provider,
  RelaySettings,
} from "./ports.ts"
import { type Span, spanOf } from "./span.ts"
import type { Ticker, Ticking } from "./ticker.ts"

/** Longest reading of a failed answer's body, in milliseconds. */
export const ERROR_BODY_MS = 10_000
/** Largest answer that is taken in one piece where its head declares its size: half as dear as a reader over its body. */
export const ONE_PIECE_BYTES = 64 * 1024

type StreamOpened = Opened & { readonly mode: "stream" }
type UnaryOpened = Opened & { readonly mode: "unary" }

export type Attempted =
  | { readonly kind: "failed"; readonly failure: Failure }
  | {
      readonly kind: "whole"
      readonly opened: UnaryOpened
      readonly body: Uint8Array | string
      readonly status: number
    }
  | { readonly kind: "stream"; readonly opened: StreamOpened; readonly reader: ChunkReader; readonly peeked: Peeked }

export interface AttemptDeps<C extends CallBase> {
  readonly provider: Provider<C>
  readonly clock: Clock
  readonly timers: Timers
  readonly ticker: Ticker
}

/**
 * One call of the upstream: sent once, then read until it is a failure, a whole answer, or a stream worth committing.
 *
 * The first-byte limit runs from the sending to the first byte of a 2xx body, the connection's making included; from then on
 * the idle limit runs between chunks. `halt` ends it at any time.
 */
export class Attempt<C extends CallBase> implements Ticking {
  place = -1
  /** The upstream's status, once its head came. */
  status: number | null = null
  /** From the sending to the first byte that counted; null if none came. */
  firstByteMs: number | null = null
  notes: Notes | null = null

  /** When the current limit strikes, in the ticker's time. */
  private due: number
  private stage: "first_byte" | "idle" = "first_byte"
  private expired = false
  /** The answer came whole: its first byte is taken to have come when it was read. */
  private inOnePiece = false
  private opened: Opened | null = null
  private reader: ChunkReader | null = null

  constructor(
    private readonly deps: AttemptDeps<C>,
    private readonly settings: RelaySettings,
    readonly lease: Lease,
    private readonly halt: Halt,
    /** Monotonic milliseconds. */
    readonly startedAt: number,
  ) {
    this.due = deps.ticker.due(settings.firstByteTimeoutMs)
  }

  tick(now: number): void {
    if (now < this.due) return
    this.due = Number.POSITIVE_INFINITY
    this.expired = true
    this.halt.abort()
  }

  /** Sends it; `close` must follow, whatever comes of it. Rejects with what the provider's `send` rejects with. */
  send(call: C): Promise<Answer> {
    const { provider, ticker } = this.deps
    ticker.add(this)
    return provider.send(this.lease, call, this.halt)
  }

  /** Takes the answer: at once where all of a whole one is here, else until it is a failure, whole, or a stream worth committing. */
  take(response: Answer, call: C): Attempted | Promise<Attempted> {
    const { headers } = response
    this.status = response.status
    if (!response.ok) return this.read(response)
    const opened = this.deps.provider.open(decoded(response), call, this.lease)
    this.opened = opened
    // A coded one may unfold to anything.
    if (opened.mode !== "unary" || headers.has("content-encoding")) return this.read(response)
    this.notes = opened.assembler
    const whole = response.whole?.() ?? null
    if (whole !== null) return this.taken(opened, whole)
    return isSmall(headers) ? response.bytes().then((bytes) => this.taken(opened, spanOf(bytes))) : this.read(response)
  }

  private taken(opened: UnaryOpened, whole: Span): Attempted {
    const { assembler } = opened
    if (whole.from === whole.to) return failed({ kind: "empty" })
    this.inOnePiece = true
    assembler.push(whole)
    return assembler.failure === null ? finished(opened) : failed(assembler.failure)
  }

  private async read(response: Answer): Promise<Attempted> {
    const { opened } = this
    if (opened === null) return failed(await this.readFailure(response))
    if (opened.response.body === null) return failed({ kind: "empty" })
    const reader = opened.response.body.getReader()
    this.reader = reader
    const attempted = opened.mode === "unary" ? await this.readWhole(opened, reader) : await this.peek(opened, reader)
    if (attempted.kind === "failed") void reader.cancel().catch(ignore)
    // The attempt is kept for as long as a stream runs.
    this.opened = null
    this.reader = null
    return attempted
  }

  /** What `send`, the body's reading or `read` rejected with, as a failure. @throws `error` where the provider's code is at fault */
  caught(error: unknown): Attempted {
    if (this.expired) return failed({ kind: "timeout", stage: this.stage })
    if (this.status === null) return failed(networkFailure(error))
    if (this.opened === null) throw error
    void this.reader?.cancel().catch(ignore)
    return failed(brokenAnswer(error))
  }

  /** No limit runs any more. @param now monotonic milliseconds */
  close(now: number): void {
    this.deps.ticker.remove(this)
    if (this.inOnePiece) this.firstByteMs = now - this.startedAt
  }

  /** A chunk of a 2xx body came. */
  onChunk(): void {
    if (this.firstByteMs === null) {
      this.firstByteMs = this.deps.clock.mono() - this.startedAt
      this.stage = "idle"
    }
    this.due = this.deps.ticker.due(this.settings.idleTimeoutMs)
  }

  private async readFailure(response: Answer): Promise<Failure> {
    const { clock, ticker } = this.deps
    this.firstByteMs = clock.mono() - this.startedAt
    this.due = ticker.due(Math.min(ERROR_BODY_MS, this.settings.firstByteTimeoutMs))
    const body = await readErrorBody(decoded(response))
    return { kind: "status", status: response.status, headers: response.headers, body }
  }

  private async readWhole(opened: UnaryOpened, reader: ChunkReader): Promise<Attempted> {
    const { assembler } = opened
    this.notes = assembler
    const read = await readUnary(reader, assembler, this)
    if (typeof read !== "string") return failed(read)
    if (read === "done") letEnd(reader, this.deps.ticker, GRACE_MS)
    return finished(opened)
  }

  private async peek(opened: StreamOpened, reader: ChunkReader): Promise<Attempted> {
    this.notes = opened.framer
    let cancelTimer = ignore
    const after = (ms: number): Promise<null> =>
      new Promise((resolve) => {
        cancelTimer = this.deps.timers.after(ms, () => resolve(null))
      })
    try {
      const peeked = await peek(reader, opened.framer, { onChunk: () => this.onChunk(), after })
      return "kind" in peeked ? failed(peeked) : { kind: "stream", opened, reader, peeked }
    } finally {
      cancelTimer()
    }
  }
}

function finished(opened: UnaryOpened): Attempted {
  const built = opened.assembler.finish()
  return "kind" in built ? failed(built) : { kind: "whole", opened, body: built.body, status: built.status }
}

/** Whether the answer's size is known and small. */
function isSmall(headers: AnswerHeaders): boolean {
  const length = headers.get("content-length")
  return length !== null && Number(length) <= ONE_PIECE_BYTES
}

function failed(failure: Failure): Attempted {
  return { kind: "failed", failure }
}

function ignore(): void {}
