/** One HTTP exchange as the handlers see it, over node:http, whose sockets can be killed. */
import type { IncomingMessage, ServerResponse } from "node:http"

export interface RecordedRequest {
  readonly at: number
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The body as JSON, or null. */
  readonly json: unknown
  /** E-mail of the account whose bearer came, or null. */
  account: string | null
  /** What was answered; null while open, or when nothing was. */
  status: number | null
  /** True once the caller closed before the answer was complete. */
  aborted: boolean
  /** Resolves when the exchange is over, however it ends. */
  readonly closed: Promise<void>
}

export class Exchange {
  constructor(
    readonly record: RecordedRequest,
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {}

  json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.send(status, JSON.stringify(body), { "content-type": "application/json", ...headers })
  }

  send(status: number, body: string, headers: Readonly<Record<string, string>>): void {
    this.record.status = status
    this.response.writeHead(status, { ...headers, "content-length": String(Buffer.byteLength(body)) })
    this.response.end(body)
  }

  begin(status: number, headers: Readonly<Record<string, string>>): void {
    this.record.status = status
    this.response.writeHead(status, headers)
    this.response.flushHeaders()
  }

  /** Resolves when the piece is handed to the system, or the caller is gone. */
  async write(piece: string | Uint8Array): Promise<void> {
    if (this.record.aborted || this.response.destroyed) return
    await new Promise<void>((done) => {
      this.response.write(piece, () => done())
      this.record.closed.then(done)
    })
  }

  end(): void {
    this.response.end()
  }

  /** Kills the connection. */
  reset(): void {
    this.request.socket.destroy()
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, ms)
  })
}
