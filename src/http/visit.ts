import type { HaltSignal } from "../observe/halt.ts"
import type { Inbound } from "../relay/ports.ts"
import { type Span, spanOf } from "../relay/span.ts"
import { UNKNOWN } from "./address.ts"
import { BODY_LIMIT, type Receiver, readBody } from "./body.ts"
import type { ApiContext, ClientRequest, Principal } from "./ports.ts"
import type { Target } from "./target.ts"

/** Nobody in particular: requests to paths that ask for no key. */
export const NOBODY: Principal = { name: "", admin: false, models: [] }

/** Longest user agent that is kept, in characters. */
const AGENT_LENGTH = 256

/**
 * Unread bodies up to this size are left to the server to skip; beyond it the connection is closed instead. Generous, since most
 * clients write all of their body before they read: one whose connection is closed meanwhile sees that it broke, and never why.
 * The server keeps nothing of what it skips, and not for longer than 12 s.
 */
const SKIPPABLE_BYTES = 4 * BODY_LIMIT

/** The relay's view of a request, with what the edge must know again when it comes back. */
export class Entrance implements Inbound {
  /** Set once the relay has it: its end is then recorded there and not in the access log. */
  relayed = false
  /** Looked up when the relay takes it. */
  address = UNKNOWN
  /** Who asks, once the key is known. */
  holder = NOBODY

  constructor(
    readonly id: string,
    readonly startedAt: number,
    readonly path: string,
    readonly request: ClientRequest,
  ) {}

  get method(): string {
    return this.request.method
  }

  get signal(): HaltSignal {
    return this.request.signal
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
  #received: boolean
  #reading = false

  constructor(
    readonly request: ClientRequest,
    readonly id: string,
    startedAt: number,
  ) {
    this.inbound = new Entrance(id, startedAt, request.target.path, request)
    this.#received = request.length === 0
  }

  get target(): Target {
    return this.request.target
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

  /** As `body`, but it rejects with what broke it (see `cut`), and `receivedAll` is the caller's to call. */
  bareBody(): Span | Promise<Span> {
    const { request } = this
    if (request.length === null || request.length > BODY_LIMIT || request.headers.has("content-encoding"))
      return readBody(request).then(spanOf)
    // As nearly every request is: one promise less.
    this.#reading = true
    return request.whole?.() ?? request.bytes().then(spanOf)
  }

  receivedAll(): void {
    this.#received = true
  }

  /** Whether it failed because the client went away while its body was read. */
  get cut(): boolean {
    return this.#reading && !this.#received
  }

  /** The answer is made. */
  settle(): void {
    if (this.#received && this.inbound.holder !== NOBODY) this.request.welcome()
  }

  /** Whether so much of the body is still unread, or may be, that it is not worth being skipped. */
  get burdened(): boolean {
    if (this.#received) return false
    const { length } = this.request
    return length === null || length > SKIPPABLE_BYTES
  }
}
