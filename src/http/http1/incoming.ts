import { Halt } from "../../observe/halt.ts"
import type { Batch } from "../../relay/http1/batch.ts"
import { Body, type Source } from "../../relay/http1/body.ts"
import { ConnectionClosed } from "../../relay/http1/connection.ts"
import { Fields } from "../../relay/http1/fields.ts"
import type { AnswerBody } from "../../relay/ports.ts"
import { type Span, spanOf } from "../../relay/span.ts"
import type { ClientRequest } from "../ports.ts"
import type { RequestHead } from "./request-head.ts"

/** The connection that a request came over. */
export interface Carrier extends Source {
  /** The client's address, normalised. */
  readonly address: string
  /** Somebody wants the body: a client that waits to be told may send it. */
  bodyWanted(): void
  /** Whoever sent this request may rest here for a while, and send the next one. */
  welcome(): void
}

const NOTHING = new Uint8Array(0)

/** A client's request as it came over a connection. */
export class Incoming implements ClientRequest {
  readonly headers: Fields
  /** What brings the body; null without one. */
  readonly inflow: Body | null
  private halt: Halt | null = null
  private isLeft = false

  constructor(
    readonly head: RequestHead,
    private readonly carrier: Carrier,
    batch: Batch,
  ) {
    this.headers = new Fields(head.fields)
    const { framing } = head
    this.inflow = framing === 0 ? null : new Body(carrier, batch, framing === "chunked" ? null : framing)
  }

  get method(): string {
    return this.head.method
  }

  get target(): RequestHead["target"] {
    return this.head.target
  }

  get length(): number | null {
    const { framing } = this.head
    return framing === "chunked" ? null : framing
  }

  get address(): string {
    return this.carrier.address
  }

  get body(): AnswerBody | null {
    if (this.inflow !== null) this.carrier.bodyWanted()
    return this.inflow
  }

  get signal(): Halt {
    if (this.halt === null) {
      this.halt = new Halt()
      if (this.isLeft) this.halt.abort()
    }
    return this.halt
  }

  whole(): Span | null {
    return this.inflow === null ? spanOf(NOTHING) : this.inflow.whole()
  }

  bytes(): Promise<Uint8Array> {
    if (this.inflow === null) return Promise.resolve(NOTHING)
    this.carrier.bodyWanted()
    return this.inflow.bytes()
  }

  welcome(): void {
    this.carrier.welcome()
  }

  /** The answer is given: what is still to come of the body is nobody's any more. */
  drop(): void {
    this.inflow?.fail(new ConnectionClosed("the request was answered before its body was read"))
    void this.inflow?.cancel()
  }

  /** The client has left, or is not listened to any more. @param error what broke the body, if it was still to come */
  left(error: Error): void {
    this.isLeft = true
    this.inflow?.fail(error)
    this.halt?.abort()
  }
}
