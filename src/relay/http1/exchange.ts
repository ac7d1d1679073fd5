import type { HaltSignal } from "../../observe/halt.ts"
import type { Answer } from "../ports.ts"
import type { Span } from "../span.ts"
import type { Batch, Due } from "./batch.ts"
import { Body, type Source } from "./body.ts"
import { Chunked } from "./chunked.ts"
import { hasLoneLf, MalformedMessage } from "./field-lines.ts"
import { Fields } from "./fields.ts"
import { HEAD_BYTES, type Head, parseHead } from "./head.ts"
import type { KnownFields } from "./known-fields.ts"
import type { RequestBytes } from "./request.ts"

/** Interim answers (1xx) before the one that counts. */
const MAX_INTERIM = 16

const BEGINNING = "HTTP/1."
/** As bytes: to look for a text is four times as dear. */
const BLANK_LINE = Buffer.from("\r\n\r\n")
const NOTHING = Buffer.alloc(0)

/** The connection that an exchange is on. */
export interface Carrier {
  pause(): void
  resume(): void
  /** Ends the connection, since nobody wants the answer any more. */
  abandon(error: unknown): void
}

/** What all exchanges of a client have in common. */
export interface Shared {
  readonly batch: Batch
  readonly known: KnownFields
}

/** One request and its answer, as the bytes come in. No I/O of its own. */
export class Exchange implements Source, Due {
  /** The answer, once its head came, at the end of that turn. Rejects with what kept it from coming. */
  readonly answered: Promise<Answer>
  /** What is sent; null once bytes of an answer came: it has surely been read, and is not sent again. */
  request: RequestBytes | null
  /** All of the answer came. */
  complete = false
  /** Whether the connection may be used again after it, and for how long it is kept (null: not said); known with the head. */
  lasts = false
  restMs: number | null = null
  /** Null while there is none yet. */
  carrier: Carrier | null = null

  private readonly resolve: (answer: Answer) => void
  private readonly reject: (error: unknown) => void
  /** Nothing more comes of it. */
  private over = false
  private held: Buffer = NOTHING
  private interim = 0
  private answer: Http1Answer | null = null
  private coding: Chunked | null = null
  /** Bytes of the body still to come, where that is known. */
  private left = Number.POSITIVE_INFINITY

  /**
   * @param signal ends it at any time
   * @param askedAt monotonic milliseconds
   */
  constructor(
    request: RequestBytes,
    private readonly signal: HaltSignal,
    private readonly shared: Shared,
    readonly askedAt: number,
  ) {
    this.request = request
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.answered = promise
    this.resolve = resolve
    this.reject = reject
    signal.addEventListener("abort", this)
  }

  /** The signal was aborted. */
  handleEvent(): void {
    if (!this.over) this.carrier?.abandon(this.signal.reason)
  }

  due(): void {
    if (this.answer !== null) this.resolve(this.answer)
  }

  pause(): void {
    this.carrier?.pause()
  }

  resume(): void {
    this.carrier?.resume()
  }

  abandon(): void {
    if (!this.over) this.carrier?.abandon(null)
  }

  /**
   * @param bytes as they came; may be written over
   * @throws MalformedMessage: the connection is of no use any more
   */
  push(bytes: Buffer): void {
    this.request = null
    if (this.answer === null) this.pushHead(bytes)
    else this.pushBody(this.answer.body, bytes)
  }

  /** The connection was closed by the other side. @returns whether that is the answer's proper end */
  close(): boolean {
    if (this.answer === null || this.coding !== null || this.left !== Number.POSITIVE_INFINITY) return false
    this.end(this.answer.body)
    return true
  }

  /** Nothing more comes. */
  fail(error: unknown): void {
    this.leave()
    if (this.answer === null) this.reject(error)
    else this.answer.body.fail(error)
  }

  private pushHead(bytes: Buffer): void {
    const seen = this.held.length
    const all = seen === 0 ? bytes : Buffer.concat([this.held, bytes])
    let from = 0
    let end = all.indexOf(BLANK_LINE)
    while (end !== -1 && end - from <= HEAD_BYTES) {
      const head = parseHead(all.toString("latin1", from, end), this.shared.known)
      from = end + BLANK_LINE.length
      if (head.status >= 200) {
        this.begin(head, all, from)
        return
      }
      if (head.status === 101) throw new MalformedMessage("nobody asked for another protocol")
      if (++this.interim > MAX_INTERIM) throw new MalformedMessage("interim answers without end")
      end = all.indexOf(BLANK_LINE, from)
    }
    if (end !== -1 || all.length - from > HEAD_BYTES) throw new MalformedMessage("the answer's head is too large")
    // A head with such line ends would never come to its end here.
    if (hasLoneLf(all, Math.max(from, seen))) throw new MalformedMessage("the head's lines end without a CR")
    // What speaks something else might wait for us, as we for it.
    if (!BEGINNING.startsWith(all.toString("latin1", from, from + BEGINNING.length))) {
      throw new MalformedMessage("the answer is not HTTP/1")
    }
    this.held = all.subarray(from)
  }

  private begin({ status, fields, framing, lasts, restMs }: Head, bytes: Buffer, from: number): void {
    const body = new Body(this, this.shared.batch)
    this.answer = new Http1Answer(status, new Fields(fields), body)
    this.shared.batch.tell(this)
    this.held = NOTHING
    this.lasts = lasts
    this.restMs = restMs
    if (framing === "chunked") this.coding = new Chunked()
    else if (framing !== "close") this.left = framing
    if (this.left === 0) this.end(body)
    if (from < bytes.length) this.pushBody(body, bytes, from)
  }

  /** @param from where it begins in the bytes, behind the head */
  private pushBody(body: Body, bytes: Buffer, from = 0): void {
    const { coding } = this
    if (this.complete) {
      // Nobody asked for them: what follows could be taken for the next answer.
      this.lasts = false
    } else if (coding !== null) {
      const chunks = from === 0 ? bytes : bytes.subarray(from)
      const data = coding.push(chunks)
      if (data !== null) body.push(data)
      if (!coding.done) return
      if (coding.rest < chunks.length) this.lasts = false
      this.end(body)
    } else if (bytes.length - from > this.left) {
      body.push(bytes.subarray(from, from + this.left))
      this.lasts = false
      this.end(body)
    } else {
      this.left -= bytes.length - from
      body.push(bytes, from)
      if (this.left === 0) this.end(body)
    }
  }

  private end(body: Body): void {
    this.complete = true
    this.leave()
    body.end()
  }

  /** Nothing is to be ended any more: the signal may serve other tries, and must not keep what this one sent. */
  private leave(): void {
    this.over = true
    this.request = null
    this.signal.removeEventListener("abort", this)
  }
}

class Http1Answer implements Answer {
  constructor(
    readonly status: number,
    readonly headers: Fields,
    readonly body: Body,
  ) {}

  get ok(): boolean {
    return this.status >= 200 && this.status < 300
  }

  whole(): Span | null {
    return this.body.whole()
  }

  bytes(): Promise<Uint8Array> {
    return this.body.bytes()
  }
}
