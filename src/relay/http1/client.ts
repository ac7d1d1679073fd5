import type { Clock, Timers } from "../../observe/clock.ts"
import type { Answer, UpstreamInit } from "../ports.ts"
import { Batch } from "./batch.ts"
import { Connection, type ConnectionEvents } from "./connection.ts"
import { Exchange } from "./exchange.ts"
import { KnownFields } from "./known-fields.ts"
import { type Origin, Targets } from "./origin.ts"
import { RequestWriter } from "./request.ts"
import { TlsSessions } from "./tls-sessions.ts"

/** How long a connection rests before it is closed, in milliseconds: less than the servers in question allow. */
const REST_MS = 90_000
/** How much earlier than a server that says when it closes, in milliseconds: a request may be on its way by then. */
const MARGIN_MS = 1_000
/** How long a request and the news that its connection was closed may be on their ways, in milliseconds. */
const CROSSING_MS = 1_000
/** How often resting connections are looked over, in milliseconds. */
const SWEEP_MS = 5_000
/** Most connections at rest for one origin. */
const MAX_RESTING = 1024

/**
 * HTTP/1.1 over connections of our own, for the calls that clients wait for. Bun's `fetch` works in a thread beside this one and
 * keeps 64 connections: of the 25 microseconds that a bare proxy spends on 1 KB it takes 7, over TLS 12 of 35, and with 256
 * requests at once 64 of 88 (Bun 1.4.5).
 *
 * TLS is Node's: the runtime's roots and what NODE_EXTRA_CA_CERTS names at start, certificates and their names always checked.
 */
export class Http1Client implements ConnectionEvents {
  private readonly targets = new Targets()
  private readonly writer = new RequestWriter()
  private readonly sessions = new TlsSessions()
  private readonly shared = { batch: new Batch(), known: new KnownFields() }
  /** Connections at rest by origin; the one used last is taken first, so that the others may go. */
  private readonly resting = new Map<string, Connection[]>()
  private cancelSweep: (() => void) | null = null

  constructor(
    private readonly clock: Clock,
    private readonly timers: Timers,
  ) {}

  /**
   * Rejects with a socket's error, ConnectionClosed, MalformedMessage or the signal's reason; `networkFailure` names the stage.
   * TypeError: a URL or a header that cannot be sent. What met a connection that the other side was just closing is sent once
   * more (RFC 9112 section 9.3.1).
   */
  ask(url: string, init: UpstreamInit): Promise<Answer> {
    try {
      const target = this.targets.of(url)
      const { origin } = target
      if (init.signal.aborted) throw init.signal.reason
      const now = this.clock.mono()
      const exchange = new Exchange(this.writer.bytes(target, init), init.signal, this.shared, now)
      const connection = this.rested(origin, now) ?? this.connect(origin)
      connection.carry(exchange)
      return exchange.answered
    } catch (error) {
      return Promise.reject(error)
    }
  }

  rests(connection: Connection, restMs: number | null): void {
    const ms = restMs === null ? REST_MS : Math.min(REST_MS, restMs - MARGIN_MS)
    const list = this.listOf(connection.origin)
    if (ms <= 0 || list.length >= MAX_RESTING) {
      connection.break(null)
      return
    }
    connection.restsUntil = this.clock.mono() + ms
    list.push(connection)
    this.cancelSweep ??= this.timers.after(SWEEP_MS, () => this.sweep())
  }

  gone(connection: Connection): void {
    const list = this.resting.get(connection.origin.key)
    const at = list?.lastIndexOf(connection) ?? -1
    if (at !== -1) list?.splice(at, 1)
  }

  resend(exchange: Exchange, origin: Origin, error: unknown): void {
    // A server that had it for longer may have begun to serve it: the relay decides what that means.
    if (this.clock.mono() - exchange.askedAt > CROSSING_MS) exchange.fail(error)
    else this.connect(origin).carry(exchange)
  }

  private connect(origin: Origin): Connection {
    return new Connection(origin, this, this.shared.batch, this.sessions)
  }

  /** A connection at rest that the other side still keeps, as far as is known. */
  private rested({ key }: Origin, now: number): Connection | null {
    const connection = this.resting.get(key)?.pop()
    if (connection === undefined) return null
    if (connection.restsUntil > now) return connection
    // Those below it have rested longer; the sweep takes them.
    connection.break(null)
    return null
  }

  private listOf({ key }: Origin): Connection[] {
    const known = this.resting.get(key)
    if (known !== undefined) return known
    const list: Connection[] = []
    this.resting.set(key, list)
    return list
  }

  private sweep(): void {
    this.cancelSweep = null
    const now = this.clock.mono()
    let left = 0
    for (const [key, list] of this.resting) {
      for (const connection of list.filter(({ restsUntil }) => restsUntil <= now)) connection.break(null)
      if (list.length === 0) this.resting.delete(key)
      left += list.length
    }
    if (left > 0) this.cancelSweep = this.timers.after(SWEEP_MS, () => this.sweep())
  }
}
