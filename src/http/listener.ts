import type { SocketHandler, TCPSocketListener } from "bun"
import type { Clock, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { Batch } from "../relay/http1/batch.ts"
import { KnownFields } from "../relay/http1/known-fields.ts"
import { Ticker } from "../relay/ticker.ts"
import type { Incoming } from "./http1/incoming.ts"
import { type House, Peer } from "./http1/peer.ts"
import { Press } from "./http1/press.ts"
import type { Refusal } from "./http1/refusal.ts"
import { RequestHeads } from "./http1/request-head.ts"
import { PortError } from "./port-error.ts"
import type { Answered } from "./ports.ts"
import { randomId } from "./request-id.ts"

/** Milliseconds in which a request's body must make progress (checks B8). */
const RECEIVE_MS = 10_000
/** After this silence the system asks whether a client is still there, in milliseconds. */
const PROBE_MS = 30_000

export interface ListenerDeps {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  /** Serves a request. Never rejects. */
  handle(request: Incoming): Answered | Promise<Answered>
  /** A request was answered that nobody could make out. */
  refused(status: number): void
  readonly receiveMs?: number
}

/**
 * The open port, with connections of our own: HTTP/1.1 in plain. For what is asked of it (address, body, a few dozen looks into the
 * headers, time limits, answer headers) the runtime's server takes 14 to 15 microseconds a request, this one some 8 (Bun 1.4.5).
 */
export class Listener implements House {
  readonly ticker: Ticker
  readonly batch = new Batch()
  readonly press = new Press()
  readonly heads = new RequestHeads(new KnownFields())
  readonly receiveMs: number
  closing = false

  /** What sockets tell, for a server of any kind. */
  readonly sockets: SocketHandler<Peer> = {
    open: (socket) => {
      socket.setKeepAlive(true, PROBE_MS)
      const peer = new Peer(this, socket)
      socket.data = peer
      this.#peers.add(peer)
    },
    data: ({ data }, bytes) => data.received(bytes),
    drain: ({ data }) => data.drained(),
    close: ({ data }) => data.closed(),
    // It closes by itself.
    error: () => undefined,
  }

  readonly #deps: ListenerDeps
  readonly #peers = new Set<Peer>()
  #server: TCPSocketListener<Peer> | null = null
  #date = ""
  #datedAt = -1
  /** Comes when no connection is left, once it is waited for. */
  #emptied: PromiseWithResolvers<void> | null = null

  constructor(deps: ListenerDeps) {
    this.#deps = deps
    this.ticker = new Ticker(deps.clock, deps.timers)
    this.receiveMs = deps.receiveMs ?? RECEIVE_MS
  }

  /**
   * @param hostname an address, e.g. `127.0.0.1` or `::`
   * @param port 0 for a free one
   * @throws PortError
   */
  listen(hostname: string, port: number): { readonly url: string; readonly port: number } {
    try {
      this.#server = Bun.listen<Peer>({
        hostname,
        port,
        socket: this.sockets,
      })
    } catch (error) {
      throw new PortError(hostname, port, error)
    }
    const bound = this.#server.port
    return { url: `http://${reachable(hostname)}:${bound}`, port: bound }
  }

  get port(): number | null {
    return this.#server?.port ?? null
  }

  /** Requests not yet answered in full. */
  get active(): number {
    let active = 0
    for (const peer of this.#peers) if (peer.busy) active++
    return active
  }

  /** Closes the port. Resolves when all is answered; `force` cuts it off. */
  async stop(force: boolean): Promise<void> {
    this.closing = true
    this.#server?.stop()
    this.#server = null
    this.#emptied ??= Promise.withResolvers()
    for (const peer of [...this.#peers]) {
      if (force) peer.terminate()
      else peer.retire()
    }
    if (this.#peers.size > 0) await this.#emptied.promise
  }

  date(): string {
    const { now } = this.ticker
    if (now !== this.#datedAt) {
      this.#datedAt = now
      this.#date = `date: ${new Date(this.#deps.clock.wall()).toUTCString()}\r\n`
    }
    return this.#date
  }

  handle(request: Incoming): Answered | Promise<Answered> {
    return this.#deps.handle(request)
  }

  refused({ status, message }: Refusal, address: string): string {
    const id = randomId()
    this.#deps.log.warn("request not understood", { request_id: id, status, reason: message, address })
    this.#deps.refused(status)
    return id
  }

  failed(error: unknown): void {
    this.#deps.log.error("connection failed by a defect", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  }

  gone(peer: Peer): void {
    this.#peers.delete(peer)
    if (this.#peers.size === 0) this.#emptied?.resolve()
  }
}

/** An address that a client on this machine can use: "all addresses" is none. */
function reachable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1"
  if (hostname === "::") return "[::1]"
  return hostname.includes(":") ? `[${hostname}]` : hostname
}
