import type { Inbound } from "../relay/ports.ts"
import { declaredLength, readBody } from "./body.ts"
import type { ApiContext, Principal } from "./ports.ts"
import type { Target } from "./target.ts"
import type { Wire } from "./wire.ts"

/** Nobody in particular: requests to paths that ask for no key. */
export const NOBODY: Principal = { name: "", admin: false, models: [] }

/** Longest user agent that is kept, in characters. */
const AGENT_LENGTH = 256

/** Unread bodies up to this size are left to the server to skip; beyond it the connection is closed instead. */
const SKIPPABLE_BYTES = 64 * 1024

/** The relay's view of a request, with what the edge must know again when it comes back. */
export class Entrance implements Inbound {
  /** Set once the relay has it: its end is then recorded there and not in the access log. */
  relayed = false
  /** The answer is a stream: its connection has no time limit until the stream has ended. */
  streaming = false
  /** Looked up when the relay takes it, since a connection that is gone has none. */
  address = "unknown"
  readonly method: string

  constructor(
    readonly id: string,
    readonly startedAt: number,
    readonly path: string,
    readonly holder: Principal,
    readonly request: Request,
  ) {
    this.method = request.method
  }

  get signal(): AbortSignal {
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
export class Visit implements ApiContext {
  readonly path: string
  readonly inbound: Entrance
  #query: URLSearchParams | null = null
  #received: boolean
  #lifted = false

  constructor(
    readonly request: Request,
    readonly target: Target,
    readonly principal: Principal,
    readonly id: string,
    startedAt: number,
    readonly wire: Wire,
  ) {
    this.path = target.path
    this.inbound = new Entrance(id, startedAt, target.path, principal, request)
    this.#received = declaredLength(request.headers) === 0
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.target.query)
    return this.#query
  }

  /** Nothing more is to come from the client. */
  get received(): boolean {
    return this.#received
  }

  async body(limit?: number): Promise<Uint8Array> {
    const bytes = await readBody(this.request, limit)
    this.#received = true
    this.lift()
    return bytes
  }

  /** From here on the request may take as long as we let it. */
  lift(): void {
    this.#lifted = true
    this.wire.lift(this.request)
  }

  /** The answer is made. */
  settle(): void {
    if (this.#lifted && !this.inbound.streaming) this.wire.settle(this.request)
  }

  /** Whether so much of the body is still unread that reading on costs more than a new connection. */
  get burdened(): boolean {
    if (this.#received) return false
    const declared = declaredLength(this.request.headers)
    return declared === null || declared > SKIPPABLE_BYTES
  }
}
