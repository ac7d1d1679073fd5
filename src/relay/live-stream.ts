import type { Log } from "../observe/ports.ts"
import { flow } from "./flow.ts"
import { brokenAnswer } from "./network.ts"
import type { ChunkReader, Failure, Framer, Outflow, Receiver, RequestRecord, Sink } from "./ports.ts"
import type { Ticker, Ticking } from "./ticker.ts"

/** Silence towards the client after which a keep-alive frame is sent, in milliseconds. */
export const KEEP_ALIVE_MS = 15_000
/** How long the upstream may linger after the protocol's terminal event, in milliseconds. */
export const GRACE_MS = 1_000

const ENDED_EARLY: Failure = { kind: "cut", detail: "the upstream ended the stream without its last event" }

/** What was read before the commit. */
export interface Peeked {
  /** Client bytes, in order. */
  readonly held: readonly Uint8Array[]
  /** The last chunk that was read: `held` may be views of it. */
  readonly chunk: Uint8Array | null
  /** A read that was begun and has not come back, or null. */
  readonly pending: ReturnType<ChunkReader["read"]> | null
  /** The upstream's body was read to its end and the framer told so; its last bytes are in `held`. */
  readonly ended: boolean
}

export interface StreamEnd {
  readonly end: RequestRecord["end"]
  /** Why the upstream's part ended early, to be judged for the credential's sake; null if it did not. */
  readonly fault: Failure | null
  readonly bytes: number
}

export interface StreamParts {
  readonly reader: ChunkReader
  readonly framer: Framer
  readonly ticker: Ticker
  readonly idleTimeoutMs: number
  readonly log: Log
  /** Called exactly once. */
  readonly onEnd: (end: StreamEnd) => void
}

/**
 * A committed answer on its way: upstream chunks go through the framer to the client, one write each, and the next is read only
 * when the client has taken the last.
 *
 * However the upstream ends, the client gets a protocol-true end from the framer and a clean close. It ends exactly once: by
 * the upstream's end, its fault, its silence, the client's leaving, or the relay's stop.
 */
export class LiveStream implements Ticking, Receiver, Outflow {
  place = -1
  private sink: Sink | null = null
  private over = false
  /** When the pending read began or the last chunk came; the idle limit does not run while the client is behind. */
  private upstreamAt: number
  private clientBehind = false
  private writtenAt: number
  private doneAt = 0
  private bytes = 0
  /** The framer's last bytes, when the stream ended before it was started. */
  private unsent: Uint8Array | null = null
  /** What was read before the commit and is not written yet. */
  private readonly held: Uint8Array[]
  private peeked: Peeked["chunk"]
  private pending: Peeked["pending"]
  private readonly endedInPeek: boolean

  constructor(
    private readonly parts: StreamParts,
    { held, chunk, pending, ended }: Peeked,
  ) {
    this.upstreamAt = this.writtenAt = parts.ticker.now
    this.held = [...held]
    this.peeked = chunk
    this.pending = pending
    this.endedInPeek = ended
    this.noteDone()
    parts.ticker.add(this)
  }

  start(sink: Sink): void {
    this.sink = sink
    if (!this.over) {
      this.goOn()
      return
    }
    this.writeHeld()
    if (this.unsent !== null) this.write(this.unsent)
    sink.close()
  }

  /** The client is gone, or the relay gives up the stream (`cut`): then the client gets the framer's last bytes. */
  stop(why: "client_gone" | "cut"): void {
    if (this.over) return
    const done = this.parts.framer.phase === "done"
    if (why === "cut" && !done) this.finish("cut", { kind: "cut", detail: "the proxy is shutting down" }, null)
    else this.finish(done ? "complete" : why, null, null)
    this.cancelUpstream()
  }

  tick(now: number): void {
    if (this.over) return
    const { framer, idleTimeoutMs, ticker } = this.parts
    if (this.doneAt !== 0) {
      if (now >= this.doneAt + GRACE_MS) this.finish("complete", null, null)
      else return
    } else if (!this.clientBehind && now >= this.upstreamAt + idleTimeoutMs) {
      const fault: Failure = { kind: "timeout", stage: "idle" }
      if (framer.whole === true) this.finish("complete", fault, null)
      else this.finish("idle", fault, fault)
    } else {
      const { keepAlive } = framer
      if (this.clientBehind || now < this.writtenAt + KEEP_ALIVE_MS || keepAlive === null || !framer.betweenFrames)
        return
      this.writtenAt = ticker.now
      if (this.sink === null) return
      this.sink.write(keepAlive)
      framer.kept?.()
      return
    }
    this.cancelUpstream()
  }

  /** What was held back first, then what comes, for as long as the client takes it. */
  private goOn(): void {
    if (this.over) return
    try {
      for (let bytes = this.held.shift(); bytes !== undefined; bytes = this.held.shift()) {
        if (!this.given(bytes)) return
      }
    } catch (error) {
      this.broke(error)
    }
    if (this.over) return
    const { peeked, pending } = this
    this.peeked = null
    if (peeked !== null) this.parts.reader.giveBack?.(peeked)
    this.pending = null
    if (this.endedInPeek) this.finish("complete", null, null)
    else void flow(this.parts.reader, this, pending)
  }

  take(value: Uint8Array): boolean {
    if (this.over) return false
    const { framer, reader, ticker } = this.parts
    this.upstreamAt = ticker.now
    try {
      const out = framer.push(value)
      const goesOn = out === null || this.given(out)
      // What the framer and the sink keep of it are copies.
      reader.giveBack?.(value)
      if (goesOn) this.noteDone()
      return goesOn
    } catch (error) {
      this.broke(error)
      return false
    }
  }

  ended(): void {
    if (!this.over) this.finish("complete", null, null)
  }

  broke(error: unknown): void {
    if (this.over) return
    const { framer } = this.parts
    const fault = brokenAnswer(error)
    if (framer.phase === "done") this.finish("complete", null, null)
    else if (framer.whole === true) this.finish("complete", fault, null)
    else this.finish("cut", fault, fault)
    this.cancelUpstream()
  }

  /** The terminal event came: the upstream has a little time left to end by itself, so that its connection can be used again. */
  private noteDone(): void {
    if (this.doneAt === 0 && this.parts.framer.phase === "done") this.doneAt = this.parts.ticker.due(0)
  }

  private write(bytes: Uint8Array): number | Promise<number> {
    const { sink } = this
    if (sink === null) return 0
    this.bytes += bytes.length
    this.writtenAt = this.parts.ticker.now
    return sink.write(bytes)
  }

  /** All at once: the framer's last bytes follow what it has given before, however far the client is behind. */
  private writeHeld(): void {
    for (const bytes of this.held.splice(0)) this.write(bytes)
  }

  /** Writes it. False: the client is behind, and what follows must wait until it has caught up. */
  private given(bytes: Uint8Array): boolean {
    const taken = this.write(bytes)
    if (typeof taken === "number") return true
    this.clientBehind = true
    void taken.then(this.caughtUp, this.broken)
    return false
  }

  private readonly caughtUp = (): void => {
    this.clientBehind = false
    this.upstreamAt = this.parts.ticker.now
    this.noteDone()
    this.goOn()
  }

  private readonly broken = (error: unknown): void => this.broke(error)

  /**
   * Ends the client's stream. `tell` goes to the framer: why the upstream's part ended, null for a clean EOF, which may still
   * have come too early. `fault` is what is judged.
   */
  private finish(end: RequestRecord["end"], tell: Failure | null, fault: Failure | null): void {
    this.over = true
    const { framer, ticker, log, onEnd } = this.parts
    ticker.remove(this)
    try {
      const last = this.endedInPeek ? null : framer.end(tell)
      if (this.sink === null) this.unsent = last
      else if (end !== "client_gone") {
        this.writeHeld()
        if (last !== null) this.write(last)
        this.sink.close()
      }
    } catch (error) {
      log.error("stream_end_failed", { error: describe(error) })
      this.sink?.close()
    }
    const short = end === "complete" && framer.incomplete
    onEnd(short ? { end: "cut", fault: ENDED_EARLY, bytes: this.bytes } : { end, fault, bytes: this.bytes })
  }

  private cancelUpstream(): void {
    void this.parts.reader.cancel().catch(() => undefined)
  }
}

export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
