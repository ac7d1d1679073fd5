import type { HeaderFields } from "../../relay/headers.ts"
import type { Sink } from "../../relay/ports.ts"
import type { Reply } from "../../relay/reply.ts"
import { type AnswerHead, answerHead, closes } from "./answer-head.ts"
import type { Incoming } from "./incoming.ts"
import { Outbox, type Writable } from "./outbox.ts"
import type { Press } from "./press.ts"
import type { Refusal } from "./refusal.ts"

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
const LAST_CHUNK = "0\r\n\r\n"

/** What the answers of all connections have in common. */
export interface Writing {
  readonly press: Press
  /** No connection is to be kept any more. */
  readonly closing: boolean
  /** A Date field's line. */
  date(): string
}

/** Writes the answers of one connection, one after another. */
export class AnswerWriter {
  /** Whether the connection carries another request after this one. */
  lasts = true

  private readonly outbox: Outbox
  private open = true
  /** What is being written, if nobody knew its length. */
  private stream: AnswerStream | null = null
  /** Reads the body of an answer of the runtime's kind. */
  private reader: ReadableStreamDefaultReader<Uint8Array> | null = null

  /** @param onEnd all of an answer was given */
  constructor(
    private readonly writing: Writing,
    socket: Writable,
    private readonly onEnd: () => void,
  ) {
    this.outbox = new Outbox(socket)
  }

  /** Whether the client has still to take some of what was given. */
  get behind(): boolean {
    return this.outbox.behind
  }

  /** The socket takes more. */
  drain(): void {
    this.outbox.drain()
  }

  /** Nobody is there to be written to. */
  drop(): void {
    this.open = false
    this.stream = null
    this.outbox.drop()
    void this.reader?.cancel().catch(() => undefined)
  }

  /** The body may be sent (RFC 9110 section 15.2.1). */
  goOn(): void {
    this.writing.press.text(this.outbox, CONTINUE)
  }

  reply(incoming: Incoming, { status, fields, own, body }: Reply): void {
    const told = { ...fields, ...own }
    if (typeof body === "string" || body instanceof Uint8Array) this.whole(incoming, status, told, body)
    else body.start(this.begun(incoming, status, told))
  }

  /** An answer of the runtime's kind. Rejects with what broke its body. */
  async pass(incoming: Incoming, response: Response): Promise<void> {
    const { status, headers, body } = response
    const fields = headers.toJSON()
    if (body === null) {
      this.whole(incoming, status, fields, "")
      return
    }
    const reader = body.getReader()
    this.reader = reader
    if (isEventStream(headers)) {
      const stream = this.begun(incoming, status, fields)
      if (incoming.method === "HEAD") await reader.cancel()
      else await pump(reader, stream)
      this.reader = null
      stream.close()
      return
    }
    const bytes = await collect(reader)
    this.reader = null
    if (this.open) this.whole(incoming, status, fields, bytes)
  }

  /** The answer to what was no request. */
  refuse(refusal: Refusal, id: string): void {
    const { status, fields, body } = refusal.answer(id)
    this.head(status, fields, body.length, true)
    this.writing.press.text(this.outbox, body)
  }

  /** Some of a stream's bytes. */
  push(stream: AnswerStream, bytes: Uint8Array): number | Promise<number> {
    if (stream !== this.stream || stream.form === "mute" || bytes.length === 0) return 0
    const { outbox } = this
    const { press } = this.writing
    const isChunked = stream.form === "chunked"
    if (isChunked) press.text(outbox, `${bytes.length.toString(16)}\r\n`)
    press.bytes(outbox, bytes, true)
    if (isChunked) press.text(outbox, "\r\n")
    return outbox.behind ? outbox.drained() : bytes.length
  }

  /** A stream has come to its end. */
  finish(stream: AnswerStream): void {
    if (stream !== this.stream) return
    this.stream = null
    if (stream.form === "chunked") this.writing.press.text(this.outbox, LAST_CHUNK)
    this.onEnd()
  }

  private whole({ method, head }: Incoming, status: number, fields: HeaderFields, body: string | Uint8Array): void {
    const { press } = this.writing
    const isText = typeof body === "string"
    const length = isText ? Buffer.byteLength(body) : body.length
    this.head(status, fields, isBodiless(status) ? null : length, head.recent)
    if (method !== "HEAD" && length > 0 && !isBodiless(status)) {
      if (isText) press.utf8(this.outbox, body, length)
      else press.bytes(this.outbox, body, false)
    }
    this.onEnd()
  }

  /** Begins an answer of which nobody knows yet how long it will be. */
  private begun({ method, head }: Incoming, status: number, fields: HeaderFields): AnswerStream {
    const { recent } = head
    const framing = isBodiless(status) ? null : recent ? "chunked" : "close"
    this.lasts &&= framing !== "close"
    this.head(status, fields, framing, recent)
    const stream = new AnswerStream(this, method === "HEAD" || framing === null ? "mute" : framing)
    this.stream = stream
    return stream
  }

  private head(status: number, fields: HeaderFields, framing: AnswerHead["framing"], recent: boolean): void {
    const { press, closing } = this.writing
    this.lasts &&= !closing && !closes(fields)
    const { lasts } = this
    press.text(this.outbox, answerHead({ status, fields, framing, lasts, recent, date: this.writing.date() }))
  }
}

/** One answer's body; of no effect once it is closed, or its client is gone. */
class AnswerStream implements Sink {
  constructor(
    private readonly writer: AnswerWriter,
    readonly form: "chunked" | "close" | "mute",
  ) {}

  write(bytes: Uint8Array): number | Promise<number> {
    return this.writer.push(this, bytes)
  }

  close(): void {
    this.writer.finish(this)
  }
}

async function pump(reader: ReadableStreamDefaultReader<Uint8Array>, sink: Sink): Promise<void> {
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const taken = sink.write(chunk.value)
    if (taken instanceof Promise) await taken
  }
}

async function collect(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) parts.push(chunk.value)
  return Buffer.concat(parts)
}

/** Statuses whose answers have no body (RFC 9110 section 6.4.1). */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304
}

function isEventStream(headers: Headers): boolean {
  return headers.get("content-type")?.startsWith("text/event-stream") === true
}
