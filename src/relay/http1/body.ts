import type { AnswerBody, Chunk, ChunkReader, Receiver } from "../ports.ts"
import { type Span, viewOf } from "../span.ts"
import type { Batch, Due } from "./batch.ts"

/** Bytes that may lie here unread before the upstream is held back. */
export const HIGH_WATER_BYTES = 256 * 1024

/** A chunk of this size, in bytes, is worth waking its reader at once: by the end of the turn others would have displaced it in the cache. */
const LARGE_BYTES = 16 * 1024

/** What a body asks of its connection. */
export interface Source {
  /** Sends no more until `resume`. */
  pause(): void
  resume(): void
  /** Nobody wants the rest. */
  abandon(): void
}

const END: Chunk = { done: true, value: undefined }

/**
 * An answer's body: chunks lie in a queue until somebody asks for them; who waits gets them at the end of the turn. When that is full the
 * connection is not read any more, so that a slow client holds the upstream back.
 */
export class Body implements AnswerBody, ChunkReader, Due {
  private readonly queue: Uint8Array[] = []
  /** Where in the queue's first chunk the body begins. */
  private lead = 0
  private queued = 0
  private paused = false
  private state: "open" | "ended" | "failed" = "open"
  private error: unknown = null
  private waiter: PromiseWithResolvers<Chunk> | null = null
  private receiver: Receiver | null = null
  /** The batch has been asked for `due`. */
  private told = false
  /** All of it, as far as it has come, for whoever asked for that. */
  private gathering: Gathering | null = null

  /** @param length in bytes, where that is known */
  constructor(
    private readonly source: Source,
    private readonly batch: Pick<Batch, "tell">,
    private readonly length: number | null = null,
  ) {}

  getReader(): ChunkReader {
    return this
  }

  read(): Promise<Chunk> {
    if (this.waiter !== null) return this.waiter.promise
    const value = this.take()
    if (value !== null) return Promise.resolve({ done: false, value })
    if (this.state === "ended") return Promise.resolve(END)
    if (this.state === "failed") return Promise.reject(this.error)
    this.waiter = Promise.withResolvers()
    return this.waiter.promise
  }

  flow(receiver: Receiver): void {
    this.receiver = receiver
    this.due()
  }

  /** The turn that brought something for whoever waits ends. */
  due(): void {
    const { waiter } = this
    this.told = false
    if (this.receiver !== null) this.deliver()
    if (waiter === null) return
    const value = this.take()
    if (value === null && this.state === "open") return
    this.waiter = null
    if (value !== null) waiter.resolve({ done: false, value })
    else if (this.state === "failed") waiter.reject(this.error)
    else waiter.resolve(END)
  }

  /**
   * Each chunk has a buffer of its own. Where that is freed at once, the next one comes to lie in the same place; left to the
   * collector, a burst takes a new place for each, and each page of that costs a page fault.
   */
  giveBack({ length, buffer }: Uint8Array): void {
    if (length >= LARGE_BYTES && buffer instanceof ArrayBuffer) buffer.transfer(0)
  }

  /** The rest is dropped; a connection that has not brought it yet ends. */
  cancel(): Promise<void> {
    this.receiver = null
    this.empty()
    if (this.state === "open") {
      this.end()
      this.source.abandon()
    }
    return Promise.resolve()
  }

  /** All of it. Rejects with what broke it. */
  bytes(): Promise<Uint8Array> {
    const whole = this.whole()
    if (whole !== null) return Promise.resolve(viewOf(whole))
    const { length } = this
    return this.state === "open" && length !== null && length >= LARGE_BYTES ? this.gathered(length) : this.collected()
  }

  /** All of it where it is here in one piece, else null. */
  whole(): Span | null {
    const { queue, lead } = this
    const [only] = queue
    if (this.state !== "ended" || queue.length !== 1 || only === undefined) return null
    this.empty()
    return { bytes: only, from: lead, to: only.length }
  }

  /** Put together as it comes: each chunk's memory serves for the next one, and none of it is copied twice. */
  private gathered(length: number): Promise<Uint8Array> {
    const gathering = new Gathering(length)
    this.gathering = gathering
    for (let [chunk] = this.queue; chunk !== undefined; [chunk] = this.queue) {
      this.gather(gathering, this.take() ?? chunk, chunk)
    }
    return gathering.done
  }

  /** @param value of the chunk, what is the body's */
  private gather(gathering: Gathering, value: Uint8Array, chunk: Uint8Array): void {
    gathering.add(value)
    // What is a part of something larger may have neighbours in it: the next request, or the body of the one before.
    if (chunk.length === chunk.buffer.byteLength) this.giveBack(chunk)
  }

  private async collected(): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for (let chunk = await this.read(); !chunk.done; chunk = await this.read()) parts.push(chunk.value)
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  }

  /** @param from where it begins in the chunk: that of the first one may hold something else before */
  push(value: Uint8Array, from = 0): void {
    if (this.state !== "open") return
    if (this.gathering !== null) {
      this.gather(this.gathering, from === 0 ? value : value.subarray(from), value)
      return
    }
    if (from > 0) this.lead = from
    this.queue.push(value)
    this.queued += value.length - from
    if (this.isAwaited) {
      if (value.length < LARGE_BYTES) this.tell()
      else this.due()
    }
    if (this.queued < HIGH_WATER_BYTES || this.paused) return
    this.paused = true
    this.source.pause()
  }

  end(): void {
    if (this.state !== "open") return
    this.state = "ended"
    this.gathering?.end()
    // A request's own is there for as long as its answer runs: what was given must not be kept by it.
    this.gathering = null
    if (this.isAwaited) this.tell()
  }

  fail(error: unknown): void {
    if (this.state !== "open") return
    this.state = "failed"
    this.error = error
    this.gathering?.fail(error)
    this.gathering = null
    if (this.isAwaited) this.tell()
  }

  private get isAwaited(): boolean {
    return this.waiter !== null || this.receiver !== null
  }

  /** Until the queue is empty, or the receiver has enough. */
  private deliver(): void {
    for (let { receiver } = this; receiver !== null; receiver = this.receiver) {
      const value = this.take()
      if (value !== null) {
        if (!receiver.take(value)) this.receiver = null
      } else {
        if (this.state === "open") return
        this.receiver = null
        if (this.state === "failed") receiver.broke(this.error)
        else receiver.ended()
      }
    }
  }

  private empty(): void {
    this.queue.length = 0
    this.queued = 0
    this.lead = 0
  }

  private tell(): void {
    if (this.told) return
    this.told = true
    this.batch.tell(this)
  }

  private take(): Uint8Array | null {
    const chunk = this.queue.shift()
    if (chunk === undefined) return null
    const value = this.lead === 0 ? chunk : chunk.subarray(this.lead)
    this.lead = 0
    this.queued -= value.length
    if (this.paused && this.queued === 0 && this.state === "open") {
      this.paused = false
      this.source.resume()
    }
    return value
  }
}

/** A body of a known length on its way into one buffer. */
class Gathering {
  readonly done: Promise<Uint8Array>
  private readonly bytes: Uint8Array
  private at = 0
  private readonly resolve: (bytes: Uint8Array) => void
  private readonly reject: (error: unknown) => void

  constructor(length: number) {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.done = promise
    this.resolve = resolve
    this.reject = reject
    // Not filled with zeros: memory that nothing has come for yet is not the process's.
    this.bytes = Buffer.allocUnsafeSlow(length)
  }

  add(value: Uint8Array): void {
    this.bytes.set(value, this.at)
    this.at += value.length
  }

  /** What never came was never promised: bytes that nobody has written are nobody's to read. */
  end(): void {
    this.resolve(this.at === this.bytes.length ? this.bytes : this.bytes.subarray(0, this.at))
  }

  fail(error: unknown): void {
    this.reject(error)
  }
}
