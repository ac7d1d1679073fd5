/** Cloud Code's answers as the Gemini API gives them: unwrapped, as an event stream, as one JSON array, or whole. */
import type { TokenUsage } from "../../observe/ports.ts"
import type { AnswerHeaders, Assembler, Failure, Framer } from "../../relay/ports.ts"
import { type Span, spanOf, textOf, viewOf } from "../../relay/span.ts"
import { MAX_FRAME_BYTES, SseScanner } from "../../relay/sse.ts"
import type { QuotaWindow } from "../../store/types.ts"
import { EnvelopeReader } from "./envelope.ts"
import { readProblem } from "./errors.ts"
import { isObject, parseJson } from "./json.ts"
import { gainsId, neededFrom, Output, writeResponse } from "./output.ts"
import { usageOf } from "./usage.ts"

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()
const NONE = new Uint8Array(0)
const NO_QUOTAS: readonly QuotaWindow[] = []
const LF = 0x0a
const SPACE = 0x20
const OPEN_BRACKET = 0x5b

/** What is kept of a body that turns out to be no event stream, to say what it was. */
const MAX_ODD_BYTES = 64 * 1024

/** What an answer's reader is told. */
export interface AnswerContext {
  readonly headers: AnswerHeaders
  /** Called with the bytes of a `response` value in which some part is signed. */
  readonly learn: (response: Uint8Array) => void
  /** The error body a client is to see for a failure inside a committed answer. */
  readonly explain: (failure: Failure) => string
}

/** How values are told apart on the way to the client. */
interface Frame {
  readonly first: Uint8Array
  readonly next: Uint8Array
  readonly after: Uint8Array
  /** Of the whole answer: nothing sent yet, something sent. */
  readonly closeEmpty: Uint8Array
  readonly close: Uint8Array
  /** What fills a silence; where it `opens` the next frame, that one goes on behind it, and so does a further silence. */
  readonly keepAlive: Uint8Array
  readonly keepOn: Uint8Array
  readonly opens: boolean
  readonly contentType: string
}

const frame = (
  texts: Record<Exclude<keyof Frame, "contentType" | "opens">, string>,
  opens: boolean,
  contentType: string,
): Frame => ({
  first: ENCODER.encode(texts.first),
  next: ENCODER.encode(texts.next),
  after: ENCODER.encode(texts.after),
  closeEmpty: ENCODER.encode(texts.closeEmpty),
  close: ENCODER.encode(texts.close),
  keepAlive: ENCODER.encode(texts.keepAlive),
  keepOn: ENCODER.encode(texts.keepOn),
  opens,
  contentType,
})

/**
 * `alt=sse`: one `data:` event per value, no event names, no end marker. A silence is filled with the beginning of the next event and
 * white space before its JSON: Google sends no comments, and its own clients do not know them. Gemini CLI 0.61 (@google/genai
 * 1.30) and @google/generative-ai 0.24 (LangChain) find no event behind a comment, or behind a line that is blank.
 */
export const SSE_FRAME = frame(
  { first: "data: ", next: "data: ", after: "\n\n", closeEmpty: "", close: "", keepAlive: "data: ", keepOn: " " },
  true,
  "text/event-stream",
)
/** Without `alt=sse`: one JSON array, an element at a time. Silence is filled with white space, which JSON allows anywhere. */
export const ARRAY_FRAME = frame(
  { first: "[", next: ",\n", after: "\n", closeEmpty: "[]", close: "]", keepAlive: "\n", keepOn: "\n" },
  false,
  "application/json; charset=UTF-8",
)

export interface FramerOptions {
  readonly maxFrameBytes?: number
  /** May serve any number of framers and assemblers: nothing that is needed stays in it between two calls. */
  readonly envelope?: EnvelopeReader
}

/**
 * A stream of envelopes, unwrapped and framed anew: one write per upstream chunk, whole frames only, as a rule written over the
 * chunk itself.
 */
export class StreamFramer implements Framer {
  readonly quotas = NO_QUOTAS
  readonly plan = null
  /** Clients of this API never name an answer, so there is nothing to remember it by. */
  readonly responseId = null
  readonly betweenFrames = true
  phase: Framer["phase"] = "opening"
  events = 0
  failure: Failure | null = null
  lateError: string | null = null
  usage: TokenUsage | null = null
  incomplete = false

  readonly #scanner: SseScanner
  readonly #envelope: EnvelopeReader
  readonly #out = new Output()
  #started = false
  /** A silence was filled with the beginning of the next frame. */
  #begun = false
  #finished = false
  #ended = false
  #odd: Uint8Array[] | null = null
  #oddBytes = 0

  constructor(
    private readonly frame: Frame,
    private readonly context: AnswerContext,
    { maxFrameBytes = MAX_FRAME_BYTES, envelope = new EnvelopeReader() }: FramerOptions = {},
  ) {
    this.#envelope = envelope
    this.#scanner = new SseScanner(maxFrameBytes)
  }

  /** The last candidate has finished; a chunk with the usage may follow. */
  get whole(): boolean {
    return this.#finished
  }

  get keepAlive(): Uint8Array | null {
    const { opens, keepAlive, keepOn } = this.frame
    // Behind the last candidate no frame may come any more, and one that is begun would be left open.
    if (opens && this.#finished) return null
    return this.#begun ? keepOn : keepAlive
  }

  kept(): void {
    this.#begun = this.frame.opens
  }

  push(chunk: Uint8Array): Uint8Array | null {
    if (this.#closed) return null
    const scanner = this.#scanner
    scanner.feed(chunk)
    while (scanner.next()) {
      if (scanner.dataLines === 0) continue
      if (scanner.bytes === chunk) this.#out.over(chunk)
      else this.#out.apart(scanner.bytes, scanner.end - scanner.start + chunk.length)
      this.#event()
      if (this.#closed) return this.#out.take()
    }
    if (scanner.overflowed) this.#fail({ kind: "cut", detail: "an event of the upstream is too large" })
    else if (this.events === 0) this.#keepOdd(chunk)
    return this.#out.take()
  }

  end(fault: Failure | null): Uint8Array | null {
    if (this.#ended) return null
    this.#ended = true
    if (this.#closed) return this.#close()
    if (fault === null) {
      if (this.#scanner.finish() && this.#scanner.dataLines > 0) this.#event()
      if (this.events === 0) this.#judgeOdd()
      this.incomplete ||= this.events > 0 && !this.#finished && !this.#closed
    }
    // A fault behind the last candidate's finish takes nothing from the client.
    if (!this.#finished && !this.#closed)
      this.#say(fault ?? { kind: "cut", detail: "the upstream ended the stream without its last event" })
    return this.#close()
  }

  /** An error was relayed: nothing may follow. */
  get #closed(): boolean {
    return this.phase === "done"
  }

  #event(): void {
    const scanner = this.#scanner
    let { bytes, dataStart: start, dataEnd: end } = scanner
    if (scanner.dataLines > 1) {
      // JSON holds a line end only between its tokens, where a space does as well; in a frame it would need a field of its own.
      bytes = scanner.data().map((byte) => (byte === LF ? SPACE : byte))
      start = 0
      end = bytes.length
    }
    if (start === end) return
    this.events++
    this.#odd = null
    const envelope = this.#envelope
    const whole = envelope.read(bytes, start, end)
    if (envelope.error || isListedError(bytes, start, end)) {
      const body = DECODER.decode(bytes.subarray(start, end))
      this.#fail({ kind: "event", body, headers: this.context.headers })
      return
    }
    // Anything else has nothing to show: a marker like [DONE], an envelope of accounting only, a broken event.
    if (!whole || envelope.responseEnd === -1) return
    if (envelope.signed) this.context.learn(bytes.subarray(envelope.responseStart, envelope.responseEnd))
    if (envelope.usageEnd !== -1) this.usage = usageOf(envelope, bytes)
    this.#write(bytes, end)
    if (envelope.answers && this.phase === "opening") this.phase = "flowing"
    if (envelope.finished) this.#finished = true
  }

  /** The `response` of an event that ends at `end` of `bytes`. */
  #write(bytes: Uint8Array, end: number): void {
    const envelope = this.#envelope
    const out = this.#out
    out.allow(bytes, neededFrom(envelope))
    this.#before()
    writeResponse(envelope, bytes, out)
    out.allow(bytes, end)
    out.put(this.frame.after)
  }

  #before(): void {
    if (!this.#begun) this.#out.put(this.#started ? this.frame.next : this.frame.first)
    this.#started = true
    this.#begun = false
  }

  /** While opening the relay tries elsewhere, unless it committed for the time that passed; then, as later, the client is told. */
  #fail(failure: Failure): void {
    if (this.phase === "opening") this.failure = failure
    if (failure.kind === "event") this.lateError = failure.body
    else this.incomplete = true
    this.#say(failure)
    this.phase = "done"
  }

  #say(failure: Failure): void {
    this.#before()
    this.#out.put(ENCODER.encode(this.context.explain(failure)))
    this.#out.put(this.frame.after)
  }

  #close(): Uint8Array | null {
    this.#out.put(this.#started ? this.frame.close : this.frame.closeEmpty)
    return this.#out.take()
  }

  #keepOdd(chunk: Uint8Array): void {
    const room = MAX_ODD_BYTES - this.#oddBytes
    if (room <= 0) return
    // The chunk itself may be given back.
    const kept = new Uint8Array(chunk.subarray(0, room))
    this.#odd ??= []
    this.#odd.push(kept)
    this.#oddBytes += kept.length
  }

  /** Errors come as a plain JSON body too, labelled as an event stream (spec 6.3). */
  #judgeOdd(): void {
    const body = DECODER.decode(Buffer.concat(this.#odd ?? [])).trim()
    this.#odd = null
    if (!/^[[{<]/.test(body)) return
    const understood = readProblem(body, null).understood
    if (understood) this.#fail({ kind: "event", body, headers: this.context.headers })
    else this.#fail({ kind: "cut", detail: "the answer was no event stream" })
  }
}

/** Whether an event is an error in an array: what answers without `alt=sse` hold is met in events too (spec 6.3). */
function isListedError(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes[start] === OPEN_BRACKET && readProblem(DECODER.decode(bytes.subarray(start, end)), null).understood
}

/** A whole answer, unwrapped at its end. */
export class AnswerAssembler implements Assembler {
  readonly quotas = NO_QUOTAS
  readonly plan = null
  readonly responseId = null
  readonly lateError = null
  readonly failure = null
  readonly done = false
  usage: TokenUsage | null = null
  /** Most answers come in one piece. */
  #first: Span | null = null
  #pieces: Uint8Array[] | null = null

  /** @param wrapped whether the answer stands in an envelope (countTokens has none) */
  constructor(
    private readonly wrapped: boolean,
    private readonly context: AnswerContext,
    private readonly envelope: EnvelopeReader = new EnvelopeReader(),
  ) {}

  push(piece: Span): void {
    if (this.#first === null) this.#first = piece
    else {
      this.#pieces ??= [viewOf(this.#first)]
      this.#pieces.push(viewOf(piece))
    }
  }

  finish(): { readonly body: Uint8Array; readonly status: number } | Failure {
    const answer = this.#pieces === null ? this.#first : spanOf(Buffer.concat(this.#pieces))
    if (answer === null || answer.from === answer.to) return { kind: "empty" }
    const { envelope } = this
    const whole = envelope.read(answer.bytes, answer.from, answer.to)
    if (whole && !envelope.error) {
      if (!this.wrapped && isObject(parseJson(textOf(answer)))) return { body: viewOf(answer), status: 200 }
      if (this.wrapped && envelope.responseEnd !== -1) return this.#unwrap(envelope, answer.bytes)
    }
    const body = textOf(answer)
    return readProblem(body, null).understood
      ? { kind: "event", body, headers: this.context.headers }
      : { kind: "cut", detail: "the answer could not be understood" }
  }

  #unwrap(envelope: EnvelopeReader, bytes: Uint8Array): { body: Uint8Array; status: number } | Failure {
    if (!envelope.answers) return { kind: "empty" }
    this.usage = usageOf(envelope, bytes)
    if (envelope.signed) this.context.learn(bytes.subarray(envelope.responseStart, envelope.responseEnd))
    // Nothing to add: the value is where it lies.
    if (!gainsId(envelope)) return { body: bytes.subarray(envelope.responseStart, envelope.responseEnd), status: 200 }
    const out = new Output()
    out.apart(bytes, bytes.length)
    writeResponse(envelope, bytes, out)
    return { body: out.take() ?? NONE, status: 200 }
  }
}
