import { createServer, type Server, type Socket } from "node:net"

/** One request as it came in. */
export interface Asked {
  /** First line and fields, without the blank line. */
  readonly head: string
  readonly body: Buffer
  readonly wire: Wire
}

/** One connection that a client made. */
export interface Wire {
  /** The n-th of its server, from 0. */
  readonly number: number
  readonly socket: Socket
  /** The requests that came whole on it. */
  readonly asked: readonly Asked[]
  /** The bytes that came so far. */
  readonly received: number
  /** The other side ended it, in whatever way. */
  readonly closed: Promise<void>
}

export interface RawServer {
  readonly url: string
  readonly port: number
  readonly wires: readonly Wire[]
  /** The requests that came whole, of all connections. */
  readonly asked: readonly Asked[]
  /** Resolves when that many connections were made. */
  connected(count: number): Promise<void>
  /** Resolves when that many requests came whole. */
  served(count: number): Promise<void>
  stop(): void
}

export interface RawHooks {
  /** A request came whole. */
  readonly onRequest?: (asked: Asked) => void
  /** Bytes came; they are looked at for requests as well. */
  readonly onBytes?: (wire: Wire) => void
  readonly onConnection?: (wire: Wire) => void
  readonly host?: string
}

/** A TCP server that writes the very bytes a test wants, on a port of its own. */
export async function rawServer(hooks: RawHooks | ((asked: Asked) => void)): Promise<RawServer> {
  const {
    onRequest,
    onBytes,
    onConnection,
    host = "127.0.0.1",
  }: RawHooks = typeof hooks === "function" ? { onRequest: hooks } : hooks
  const wires: Wire[] = []
  const all: Asked[] = []
  const connections = new Counter()
  const requests = new Counter()

  const server = createServer((socket) => {
    const asked: Asked[] = []
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    const wire = { number: wires.length, socket, asked, received: 0, closed }
    const reader = new RequestReader()
    wires.push(wire)
    socket.setNoDelay(true)
    socket.on("error", () => resolve())
    socket.on("end", () => resolve())
    socket.on("close", () => resolve())
    socket.on("data", (bytes: Buffer) => {
      wire.received += bytes.length
      onBytes?.(wire)
      for (const request of reader.push(bytes)) {
        const made = { ...request, wire }
        asked.push(made)
        all.push(made)
        requests.add()
        onRequest?.(made)
      }
    })
    connections.add()
    onConnection?.(wire)
  })
  const port = await listen(server, host)
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/`,
    port,
    wires,
    asked: all,
    connected: (count) => connections.reached(count),
    served: (count) => requests.reached(count),
    stop() {
      server.close()
      for (const { socket } of wires) socket.destroy()
    },
  }
}

/** Listens on a free port. */
export async function listen(server: Server, host = "127.0.0.1"): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve))
  const address = server.address()
  if (typeof address !== "object" || address === null) throw new Error("the server has no port")
  return address.port
}

/** A whole answer with its length. */
export function answer(body: string, ...fields: readonly string[]): string {
  return ["HTTP/1.1 200 OK", `content-length: ${Buffer.byteLength(body)}`, ...fields, "", body].join("\r\n")
}

/** A count that can be waited for. */
class Counter {
  private count = 0
  private waiting: { readonly count: number; readonly resolve: () => void }[] = []

  add(): void {
    const count = ++this.count
    const { waiting } = this
    this.waiting = waiting.filter((waiter) => waiter.count > count)
    for (const waiter of waiting) if (waiter.count <= count) waiter.resolve()
  }

  reached(count: number): Promise<void> {
    if (this.count >= count) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.waiting.push({ count, resolve })
    return promise
  }
}

/** Takes requests out of a connection's bytes; their bodies have a length. */
export class RequestReader {
  private parts: Buffer[] = []
  private size = 0
  /** Bytes of the next request, as far as that is known. */
  private wanted = 0

  push(bytes: Buffer): readonly { readonly head: string; readonly body: Buffer }[] {
    this.parts.push(bytes)
    this.size += bytes.length
    const found: { head: string; body: Buffer }[] = []
    while (this.size > 0 && this.size >= this.wanted) {
      const joined = Buffer.concat(this.parts)
      this.parts = [joined]
      const split = joined.indexOf("\r\n\r\n")
      if (split === -1) break
      const head = joined.toString("latin1", 0, split)
      const from = split + 4
      this.wanted = from + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
      if (this.size < this.wanted) break
      found.push({ head, body: joined.subarray(from, this.wanted) })
      this.parts = [joined.subarray(this.wanted)]
      this.size -= this.wanted
      this.wanted = 0
    }
    return found
  }
}
