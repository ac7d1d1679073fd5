import type { Socket } from "bun"

/** One request as it reached the upstream, with what a script needs to answer it badly. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** Writes raw bytes; resolves when the socket has taken them all. */
  write(bytes: string | Uint8Array): Promise<void>
  /** Status line and headers of a chunked answer. */
  head(status: number, headers?: Readonly<Record<string, string>>): Promise<void>
  /** One chunk of the chunked body. */
  chunk(bytes: string | Uint8Array): Promise<void>
  /** The last chunk. */
  end(): Promise<void>
  /** A whole answer with a content-length. */
  answer(status: number, body: string, headers?: Readonly<Record<string, string>>): Promise<void>
  /** Closes with a TCP RST. */
  reset(): void
  /** Closes with a FIN. */
  close(): void
  /** Resolves with the time (performance.now) the other side closed the connection. */
  readonly closed: Promise<number>
  readonly isClosed: boolean
  /** Bytes the socket has taken so far. */
  readonly taken: number
}

export type Script = (exchange: Exchange) => void | Promise<void>

export interface Upstream {
  readonly url: string
  readonly exchanges: readonly Exchange[]
  stop(): void
}

const encoder = new TextEncoder()

class Connection {
  private received = ""
  private queue: { bytes: Uint8Array; resolve: () => void }[] = []
  taken = 0
  isClosed = false
  readonly closed: Promise<number>
  private readonly resolveClosed: (at: number) => void

  constructor(
    private readonly socket: Socket<unknown>,
    private readonly onRequest: (exchange: Exchange) => void,
  ) {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.closed = promise
    this.resolveClosed = resolve
  }

  data(bytes: Uint8Array): void {
    this.received += Buffer.from(bytes).toString("latin1")
    while (true) {
      const split = this.received.indexOf("\r\n\r\n")
      if (split === -1) return
      const [first = "", ...lines] = this.received.slice(0, split).split("\r\n")
      const headers = new Map(
        lines.map((line) => [line.split(":")[0]?.toLowerCase() ?? "", line.replace(/^[^:]*:\s*/, "")]),
      )
      const length = Number(headers.get("content-length") ?? 0)
      if (this.received.length < split + 4 + length) return
      const body = Buffer.from(this.received.slice(split + 4, split + 4 + length), "latin1").toString("utf8")
      this.received = this.received.slice(split + 4 + length)
      const [method = "", path = ""] = first.split(" ")
      this.onRequest(this.exchange(method, path, headers, body))
    }
  }

  drain(): void {
    while (true) {
      const next = this.queue[0]
      if (next === undefined) return
      const sent = this.isClosed ? next.bytes.length : this.socket.write(next.bytes)
      if (sent > 0 && !this.isClosed) this.taken += sent
      if (sent < next.bytes.length) {
        next.bytes = next.bytes.subarray(Math.max(0, sent))
        return
      }
      this.queue.shift()
      next.resolve()
    }
  }

  close(): void {
    this.isClosed = true
    this.resolveClosed(performance.now())
    this.drain()
  }

  private write(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.queue.push({ bytes: typeof bytes === "string" ? encoder.encode(bytes) : bytes, resolve })
      if (this.queue.length === 1) this.drain()
    })
  }

  private exchange(method: string, path: string, headers: ReadonlyMap<string, string>, body: string): Exchange {
    const connection = this
    const head = (status: number, fields: Readonly<Record<string, string>>): string =>
      `HTTP/1.1 ${status} Scripted\r\n${Object.entries(fields)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("")}\r\n`
    return {
      method,
      path,
      headers,
      body,
      write: (bytes) => connection.write(bytes),
      head: (status, fields = {}) => connection.write(head(status, { "transfer-encoding": "chunked", ...fields })),
      chunk: (bytes) => {
        const raw = typeof bytes === "string" ? encoder.encode(bytes) : bytes
        return connection.write(
          Buffer.concat([encoder.encode(`${raw.length.toString(16)}\r\n`), raw, encoder.encode("\r\n")]),
        )
      },
      end: () => connection.write("0\r\n\r\n"),
      answer: (status, text, fields = {}) =>
        connection.write(head(status, { "content-length": String(Buffer.byteLength(text)), ...fields }) + text),
      reset: () => connection.socket.terminate(),
      close: () => connection.socket.end(),
      closed: connection.closed,
      get isClosed() {
        return connection.isClosed
      },
      get taken() {
        return connection.taken
      },
    }
  }
}

/** A raw HTTP/1.1 server on loopback that answers each request as `script` says. */
export function startUpstream(script: Script): Upstream {
  const exchanges: Exchange[] = []
  const onRequest = (exchange: Exchange): void => {
    exchanges.push(exchange)
    void Promise.resolve(script(exchange)).catch(() => undefined)
  }
  const listener = Bun.listen<{ connection: Connection | null }>({
    hostname: "127.0.0.1",
    port: 0,
    data: { connection: null },
    socket: {
      open(socket) {
        socket.data = { connection: new Connection(socket, onRequest) }
      },
      data: (socket, bytes) => socket.data.connection?.data(bytes),
      drain: (socket) => socket.data.connection?.drain(),
      close: (socket) => socket.data.connection?.close(),
      error: () => undefined,
    },
  })
  return { url: `http://127.0.0.1:${listener.port}`, exchanges, stop: () => listener.stop(true) }
}
