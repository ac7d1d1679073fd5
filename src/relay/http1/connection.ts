import { connect as connectPlain, isIP, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import type { Batch, Due } from "./batch.ts"
import type { Carrier, Exchange } from "./exchange.ts"
import type { Origin } from "./origin.ts"
import type { RequestBytes } from "./request.ts"
import type { TlsSessions } from "./tls-sessions.ts"

/** What is written at once of a body that is sent on its own, in bytes. */
const SLICE_BYTES = 256 * 1024
/** After this silence the system asks whether the other side is still there, in milliseconds. */
const PROBE_MS = 30_000

/** The connection ended before the answer did. */
export class ConnectionClosed extends Error {
  override readonly name = "ConnectionClosed"
  /** @param code as Node would name it */
  constructor(
    message: string,
    readonly code = "ECONNRESET",
  ) {
    super(message)
  }
}

export interface ConnectionEvents {
  /** It may be used again. @param restMs how long the other side keeps it, in milliseconds; null where it does not say */
  rests(connection: Connection, restMs: number | null): void
  /** It is gone, and never comes back. */
  gone(connection: Connection): void
  /** It served before and ended before anything of this answer came: `exchange` is sent over another one, or fails with `error`. */
  resend(exchange: Exchange, origin: Origin, error: unknown): void
}

/** One connection to an origin: one request at a time, kept alive between them. */
export class Connection implements Carrier, Due {
  /** Until when it may rest, in monotonic milliseconds; the pool's. */
  restsUntil = 0

  private readonly socket: Socket
  private ready = false
  private alive = true
  private paused = false
  /** It has served a request: the other side may close it at any time without our knowing yet. */
  private used = false
  private exchange: Exchange | null = null
  /** What is not written yet, and how far its body is: in which piece, and where in that. */
  private unsent: RequestBytes | null = null
  private headSent = false
  private piece = 0
  private sentTo = 0

  constructor(
    readonly origin: Origin,
    private readonly events: ConnectionEvents,
    private readonly batch: Batch,
    private readonly sessions: TlsSessions,
  ) {
    const { secure, hostname, port } = origin
    const options = { host: hostname, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBE_MS }
    // An address is no name that a server could be asked for (RFC 6066 section 3).
    const name = isIP(hostname) === 0 ? { servername: hostname } : {}
    const session = secure ? sessions.of(origin) : null
    const resumed = session === null ? {} : { session }
    const socket = secure
      ? connectTls({ ...options, ...name, ...resumed, ALPNProtocols: ["http/1.1"], rejectUnauthorized: true })
      : connectPlain(options)
    this.socket = socket
    // Before the handshake has ended nobody knows whether the certificate is good.
    if (secure) socket.on("session", (next: Buffer) => this.ready && sessions.keep(origin, next))
    socket.on(secure ? "secureConnect" : "connect", () => {
      this.ready = true
      this.due()
    })
    socket.on("data", (bytes: Buffer) => this.received(bytes))
    socket.on("drain", () => this.due())
    socket.on("end", () => this.closed())
    socket.on("close", () => this.closed())
    socket.on("error", (error) => this.broke(error))
  }

  /** Sends a request; the connection is new, or at rest. */
  carry(exchange: Exchange): void {
    exchange.carrier = this
    this.exchange = exchange
    this.unsent = exchange.request
    this.headSent = false
    this.piece = this.sentTo = 0
    if (this.ready) this.batch.write(this)
  }

  /** It is time to write. */
  due(): void {
    try {
      this.write()
    } catch (error) {
      this.break(error)
    }
  }

  pause(): void {
    this.paused = true
    this.socket.pause()
  }

  resume(): void {
    this.paused = false
    this.socket.resume()
  }

  abandon(error: unknown): void {
    this.break(error, false)
  }

  /** Ends it, whatever it does: its exchange fails, or goes on elsewhere if it `may`. */
  break(error: unknown, may = true): void {
    if (!this.alive) return
    this.alive = false
    const { exchange } = this
    this.exchange = null
    this.unsent = null
    this.socket.destroy()
    if (this.inHandshake) this.sessions.forget(this.origin)
    this.events.gone(this)
    if (exchange === null) return
    if (may && this.used && exchange.request !== null) this.events.resend(exchange, this.origin, error)
    else exchange.fail(error)
  }

  /** As much as the socket takes; its `drain` goes on. */
  private write(): void {
    const { unsent, socket } = this
    if (unsent === null || !this.ready) return
    const { head, body } = unsent
    if (!this.headSent) {
      this.headSent = true
      socket.write(head)
    }
    for (let bytes = body[this.piece]; bytes !== undefined; bytes = body[this.piece]) {
      const slice = bytes.subarray(this.sentTo, this.sentTo + SLICE_BYTES)
      this.sentTo += slice.length
      if (this.sentTo === bytes.length) {
        this.piece++
        this.sentTo = 0
      }
      if (!socket.write(slice) && this.piece < body.length) return
    }
    this.unsent = null
  }

  private received(bytes: Buffer): void {
    const { exchange } = this
    if (exchange === null || !this.headSent) {
      // Whatever it is, it must not be taken for the answer to what was not asked yet.
      this.break(new ConnectionClosed("bytes came that nobody had asked for"))
      return
    }
    try {
      exchange.push(bytes)
      if (exchange.complete) this.finish(exchange)
    } catch (error) {
      this.break(error)
    }
  }

  /** The answer is complete. */
  private finish({ lasts, restMs }: Exchange): void {
    this.exchange = null
    this.used = true
    // The body is whole, if not read yet: nothing is held back any more.
    if (this.paused) this.resume()
    // Answered before all was sent: the other side may read the rest of it or not.
    if (lasts && this.unsent === null && this.socket.writableLength === 0) this.events.rests(this, restMs)
    else this.break(null)
  }

  private closed(): void {
    const { exchange } = this
    if (exchange?.close() === true) this.exchange = null
    this.break(this.inHandshake ? handshakeClosed() : new ConnectionClosed("the connection was closed"))
  }

  private broke(error: Error): void {
    const isReset = "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE")
    this.break(isReset && this.inHandshake ? handshakeClosed() : error)
  }

  private get inHandshake(): boolean {
    return !this.ready && this.origin.secure
  }
}

function handshakeClosed(): ConnectionClosed {
  return new ConnectionClosed("the connection was closed during the TLS handshake", "ERR_TLS_HANDSHAKE_CLOSED")
}
