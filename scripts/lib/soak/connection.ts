/** A client that costs little: one TCP connection, requests one after the other, answers counted or handed on as they come. */
import { connect, type Socket } from "node:net"

export interface Exchange {
  readonly status: number
  /** Body bytes. */
  readonly bytes: number
  /** The body ended as its framing said. */
  readonly whole: boolean
  /** Milliseconds to the end. */
  readonly ms: number
}

export interface SendOptions {
  /** Told each piece of the body; what it returns may end the exchange early ("leave"). */
  readonly onBody?: (piece: Uint8Array) => "leave" | undefined
}

interface Pending extends SendOptions {
  readonly began: number
  readonly resolve: (exchange: Exchange) => void
  head: string
  status: number
  bytes: number
  /** Bytes of the body, or of the current chunk, still to come; null: the head, or a chunk's size, is still to come. */
  left: number | null
  isChunked: boolean
  line: string
  last: boolean
}

export class Connection {
  readonly #socket: Socket
  #pending: Pending | null = null
  #closed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on("data", (chunk: Buffer) => this.#take(chunk))
    socket.on("error", () => this.#end(false))
    socket.on("close", () => {
      this.#closed = true
      this.#end(false)
    })
  }

  static open(port: number): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(new Connection(socket)))
    socket.once("error", reject)
    return promise
  }

  get closed(): boolean {
    return this.#closed
  }

  /** One request; resolves when its answer has ended, never rejects. */
  send(bytes: string | Uint8Array, options: SendOptions = {}): Promise<Exchange> {
    const { promise, resolve } = Promise.withResolvers<Exchange>()
    const began = performance.now()
    this.#pending = {
      ...options,
      began,
      resolve,
      head: "",
      status: 0,
      bytes: 0,
      left: null,
      isChunked: false,
      line: "",
      last: false,
    }
    if (this.#closed) this.#end(false)
    else this.#socket.write(bytes)
    return promise
  }

  /** Reads no more until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
    this.#closed = true
    this.#end(false)
  }

  #end(whole: boolean): void {
    const pending = this.#pending
    this.#pending = null
    if (pending === null) return
    const { status, bytes, began, resolve } = pending
    resolve({ status, bytes, whole, ms: performance.now() - began })
  }

  #take(chunk: Buffer): void {
    const pending = this.#pending
    if (pending === null) return
    let at = 0
    if (pending.status === 0) {
      at = this.#head(pending, chunk)
      if (at < 0) return
    }
    if (pending.isChunked) this.#chunks(pending, chunk, at)
    else this.#body(pending, chunk.subarray(at))
    if (!pending.isChunked && (pending.left ?? 0) <= 0) this.#end(true)
  }

  /** Where the body begins in the chunk, or -1. */
  #head(pending: Pending, chunk: Buffer): number {
    const before = pending.head.length
    pending.head += chunk.toString("latin1")
    const end = pending.head.indexOf("\r\n\r\n")
    if (end < 0) return -1
    const head = pending.head.slice(0, end)
    pending.status = Number(head.slice(9, 12))
    pending.isChunked = /^transfer-encoding:\s*chunked/im.test(head)
    if (!pending.isChunked) pending.left = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0)
    return end + 4 - before
  }

  #body(pending: Pending, piece: Uint8Array): void {
    pending.bytes += piece.length
    pending.left = (pending.left ?? 0) - piece.length
    if (piece.length > 0 && pending.onBody?.(piece) === "leave") this.close()
  }

  #chunks(pending: Pending, chunk: Buffer, from: number): void {
    let at = from
    while (at < chunk.length && this.#pending === pending) {
      if (pending.left !== null && pending.left > 2) {
        const piece = chunk.subarray(at, at + pending.left - 2)
        this.#body(pending, piece)
        at += piece.length
      } else if (pending.left !== null && pending.left > 0) {
        // The line end behind a chunk.
        const skipped = Math.min(pending.left, chunk.length - at)
        pending.left -= skipped
        at += skipped
        if (pending.left === 0) {
          pending.left = null
          if (pending.last) this.#end(true)
        }
      } else {
        const end = chunk.indexOf(10, at)
        pending.line += chunk.toString("latin1", at, end < 0 ? chunk.length : end)
        if (end < 0) return
        at = end + 1
        const size = Number.parseInt(pending.line, 16)
        pending.line = ""
        pending.last = size === 0
        pending.left = size + 2
      }
    }
  }
}
