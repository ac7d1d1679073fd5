import type { Inbound } from "../relay/ports.ts"
import { BODY_LIMIT, declaredLength, type Receiver, readBody } from "./body.ts"
import type { ApiContext, Principal } from "./ports.ts"
import type { Target } from "./target.ts"
import { UNKNOWN, type Wire } from "./wire.ts"

/** Nobody in particular: requests to paths that ask for no key. */
export const NOBODY: Principal = { name: "", admin: false, models: [] }

/** Longest user agent that is kept, in characters. */
const AGENT_LENGTH = 256

/**
 * Unread bodies up to this size are left to the server to skip; beyond it the connection is closed instead. Generous, since most
 * clients write all of their body before they read: one whose connection is closed meanwhile sees that it broke, and never why.
 * Bun 1.4.5 keeps nothing of what it skips, and closes the connection 12 s after the answer if the body has not ended by then.
 */
const SKIPPABLE_BYTES = 4 * BODY_LIMIT

/** The relay's view of a request, with what the edge must know again when it comes back. */
export class Entrance implements Inbound {
  /** Set once the relay has it: its end is then recorded there and not in the access log. */
  relayed = false
  /** The answer is a stream: its connection has no time limit until the stream has ended. */
  streaming = false
  /** Looked up when the relay takes it, since a connection that is gone has none. */
  address = UNKNOWN
  /** Who asks, once the key is known. */
  holder = NOBODY

  constructor(
    readonly id: string,
    readonly startedAt: number,
    readonly path: string,
    readonly request: Request,
    private readonly wire: Wire,
  ) {}

  /** No time limit of the connection's holds from here on. */
  lasts(): void {
    this.wire.lift(this.request)
  }

  get method(): string {
    return this.request.method
  }

  get signal(): AbortSignal {
    return this.request.signal
  }

  /** Whoever still has an address is there: then the signal need not be made. */
  get gone(): boolean {
    return this.address === UNKNOWN && this.signal.aborted
  }

  get principal(): string {
    return this.holder.name
  }

  get userAgent(): string {
    return (this.request.headers.get("user-agent") ?? "").slice(0, AGENT_LENGTH)
  }
}

/** One request in the edge's hands. */
export class Visit implements ApiContext, Receiver {
  readonly inbound: Entrance
  #query: URLSearchParams | null = null
  /** Bytes of the body that the request declares, null when it does not say. */
  readonly #declared: number | null
  #received: boolean
  #reading = false
  #lifted = false

  constructor(
    readonly request: Request,
    readonly target: Target,
    readonly id: string,
    startedAt: number,
    readonly wire: Wire,
  ) {
    this.inbound = new Entrance(id, startedAt, target.path, request, wire)
    this.#declared = declaredLength(request.headers)
    this.#received = this.#declared === 0
  }

  get path(): string {
    return this.target.path
  }

  get principal(): Principal {
    return this.inbound.holder
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.target.query)
    return this.#query
  }

  /** Nothing more is to come from the client. */
  get received(): boolean {
    return this.#received
  }

  body(limit = BODY_LIMIT): Promise<Uint8Array> {
    return readBody(this.request, limit, this)
  }

  /** As `body`, but it rejects with what the runtime rejects with (see `cut`), and `arrived` is the caller's to call. */
  bareBody(): Promise<Uint8Array> {
    const { request } = this
    if (this.#declared === null || this.#declared > BODY_LIMIT || request.headers.has("content-encoding"))
      return readBody(request)
    // As nearly every request is: one promise less.
    this.#reading = true
    return request.bytes()
  }

  receivedAll(): void {
    this.arrived()
    this.lift()
  }

  /** As `receivedAll`, but the limit stays: the relay lifts it for what takes its time (`Inbound.lasts`). */
  arrived(): void {
    this.#received = true
  }

  /** Whether it failed because the client went away while its body was read. */
  get cut(): boolean {
    return this.#reading && !this.#received
  }

  /** From here on the request may take as long as we let it. */
  lift(): void {
    if (this.#lifted) return
    this.#lifted = true
    this.inbound.lasts()
  }

  /** The answer is made. */
  settle(): void {
    const { inbound } = this
    // Also where no limit had to be lifted: whoever has a key and sent all of his request may send the next one here.
    const welcome = this.#lifted || (this.#received && inbound.holder !== NOBODY)
    if (welcome && !inbound.streaming) this.wire.settle(this.request)
  }

  /** Whether so much of the body is still unread, or may be, that it is not worth being skipped. */
  get burdened(): boolean {
    if (this.#received) return false
    return this.#declared === null || this.#declared > SKIPPABLE_BYTES
  }
}
