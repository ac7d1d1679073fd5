import { connect, type Socket } from "node:net"

export interface RawAnswer {
  /** Everything received, as Latin-1, so that one character is one byte. */
  readonly text: string
  /** Whether the server closed the connection before the time was up. */
  readonly closed: boolean
  /** Milliseconds until it was closed, or until the time was up. */
  readonly ms: number
}

export interface RawOptions {
  readonly port: number
  readonly hostname?: string
  /** How long to listen for, in milliseconds. */
  readonly ms?: number
  /** Stop listening as soon as this has been received. */
  readonly until?: RegExp
  /** Further bytes, each `after` milliseconds from the start. */
  readonly later?: readonly { readonly after: number; readonly bytes: string | Uint8Array }[]
}

/** Sends bytes as they are over a TCP connection of their own: what no HTTP client would send. */
export function sendRaw(bytes: string | Uint8Array, options: RawOptions): Promise<RawAnswer> {
  const { port, hostname = "127.0.0.1", ms = 1_000, until, later = [] } = options
  return new Promise((resolve) => {
    const started = performance.now()
    let text = ""
    const timers: Timer[] = []
    const socket: Socket = connect(port, hostname, () => {
      write(bytes)
      for (const more of later) timers.push(setTimeout(() => write(more.bytes), more.after))
    })
    const write = (part: string | Uint8Array) => {
      if (socket.destroyed) return
      socket.write(typeof part === "string" ? Buffer.from(part, "latin1") : part)
    }
    const end = (closed: boolean) => {
      for (const timer of timers) clearTimeout(timer)
      socket.destroy()
      resolve({ text, closed, ms: performance.now() - started })
    }
    timers.push(setTimeout(() => end(false), ms))
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (until?.test(text)) end(false)
    })
    socket.on("error", () => end(true))
    socket.on("close", () => end(true))
  })
}

/** Status codes of every response in a raw answer, in order. */
export function statuses(answer: RawAnswer): readonly number[] {
  return [...answer.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]))
}
