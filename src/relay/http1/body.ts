import type { AnswerBody, Chunk, ChunkReader } from "../ports.ts"

/** Bytes that may lie here unread before the upstream is held back. */
export const HIGH_WATER_BYTES = 256 * 1024

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
 * An answer's body: chunks go from the connection to whoever waits for them, and lie in a queue otherwise. When that is full the
 * connection is not read any more, so that a slow client holds the upstream back.
 */
export class Body implements AnswerBody, ChunkReader {
  private readonly queue: Uint8Array[] = []
  private queued = 0
  private paused = false
  private state: "open" | "ended" | "failed" = "open"
  private error: unknown = null
  private waiter: PromiseWithResolvers<Chunk> | null = null

  constructor(private readonly source: Source) {}

  getReader(): ChunkReader {
    return this
  }

  /** Whether all of it came, and was read. */
  get spent(): boolean {
    return this.state === "ended" && this.queue.length === 0
  }

  read(): Promise<Chunk> {
    const value = this.queue.shift()
    if (value !== undefined) {
      this.queued -= value.length
      if (this.paused && this.queued === 0 && this.state === "open") {
        this.paused = false
        this.source.resume()
      }
      return Promise.resolve({ done: false, value })
    }
    if (this.state === "ended") return Promise.resolve(END)
    if (this.state === "failed") return Promise.reject(this.error)
    this.waiter ??= Promise.withResolvers()
    return this.waiter.promise
  }

  /** The rest is dropped; a connection that has not brought it yet ends. */
  cancel(): Promise<void> {
    this.queue.length = 0
    this.queued = 0
    if (this.state === "open") {
      this.end()
      this.source.abandon()
    }
    return Promise.resolve()
  }

  /** All of it. Rejects with what broke it. */
  bytes(): Promise<Uint8Array> {
    const [only] = this.queue
    if (this.state !== "ended" || this.queue.length !== 1 || only === undefined) return this.collected()
    this.queue.length = 0
    return Promise.resolve(only)
  }

  private async collected(): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for (let chunk = await this.read(); !chunk.done; chunk = await this.read()) parts.push(chunk.value)
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  }

  push(value: Uint8Array): void {
    if (this.state !== "open") return
    const { waiter } = this
    if (waiter !== null) {
      this.waiter = null
      waiter.resolve({ done: false, value })
      return
    }
    this.queue.push(value)
    this.queued += value.length
    if (this.queued < HIGH_WATER_BYTES || this.paused) return
    this.paused = true
    this.source.pause()
  }

  end(): void {
    if (this.state !== "open") return
    this.state = "ended"
    this.waiter?.resolve(END)
    this.waiter = null
  }

  fail(error: unknown): void {
    if (this.state !== "open") return
    this.state = "failed"
    this.error = error
    this.waiter?.reject(error)
    this.waiter = null
  }
}
