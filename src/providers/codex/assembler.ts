/** Whole answers for clients that did not ask for a stream (spec codex 3.3). */
import type { AnswerHeaders, Assembler, Failure } from "../../relay/ports.ts"
import { type Span, textOf, viewOf } from "../../relay/span.ts"
import { SseScanner } from "../../relay/sse.ts"
import { draftItems } from "./assembly.ts"
import { type EventKind, kindOf, type LastResponse, lastResponse, responseIdOf } from "./events.ts"
import { ItemList } from "./item-list.ts"
import { isObject, type Json, parseObject } from "./json.ts"
import type { AnswerNotes } from "./notes.ts"
import { streamOf } from "./synthetic.ts"
import { withUsageDetails } from "./usage.ts"

/** Most upstream bytes of one unary answer. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024

type Finished = ReturnType<Assembler["finish"]>

abstract class AnswerAssembler implements Assembler {
  failure: Failure | null = null
  done = false
  private size = 0

  constructor(protected readonly notes: AnswerNotes) {}

  get usage() {
    return this.notes.usage
  }
  get quotas() {
    return this.notes.quotas
  }
  get plan() {
    return this.notes.plan
  }
  get responseId() {
    return this.notes.responseId
  }
  get lateError() {
    return this.notes.lateError
  }

  push(piece: Span): void {
    if (this.failure !== null) return
    this.size += piece.to - piece.from
    if (this.size > MAX_ANSWER_BYTES) {
      this.failure = { kind: "cut", detail: "the answer is larger than 64 MiB" }
      return
    }
    this.take(piece)
  }

  protected abstract take(piece: Span): void
  abstract finish(): Finished
}

/** An event stream, put together into the response object it describes. */
export class StreamAssembler extends AnswerAssembler {
  private readonly scanner = new SseScanner()
  /** As much as the answer itself may take: it would be whole without them, and empty. */
  private readonly items = new ItemList(MAX_ANSWER_BYTES)
  /** Data of events since the last moment when no item was open: needed only if one of them never ends. */
  private pending: Span[] = []
  private open = 0
  private events = 0
  private response: Json | null = null
  /** Data of the event that began the response: looked into only if the last one lacks the id. */
  private created: Span | null = null
  /** The response as the upstream wrote it, or null. */
  private source: string | null = null

  constructor(
    notes: AnswerNotes,
    private readonly headers: AnswerHeaders,
  ) {
    super(notes)
  }

  protected override take({ bytes, from, to }: Span): void {
    const { scanner } = this
    scanner.feed(to === bytes.length ? bytes : bytes.subarray(0, to), from)
    while (scanner.next()) {
      if (this.done || this.failure !== null) continue
      this.event(kindOf(scanner))
    }
    if (!this.done) this.items.keep()
    if (scanner.overflowed) this.failure = { kind: "cut", detail: "an event is larger than 64 MiB" }
  }

  override finish(): Finished {
    if (!this.done && this.failure === null && this.scanner.finish()) this.lastEvent()
    if (this.failure !== null) return this.failure
    if (this.response === null) {
      return this.events === 0
        ? { kind: "empty" }
        : { kind: "cut", detail: "the stream was closed before response.completed" }
    }
    const answer = withUsageDetails(this.withOutput(this.response))
    const asSent = answer === this.response ? this.source : null
    return { body: asSent ?? JSON.stringify(answer), status: 200 }
  }

  private event(kind: EventKind): void {
    const { scanner } = this
    if (kind === "none") return
    this.events++
    switch (kind) {
      case "created":
        this.created = scanner.span()
        break
      case "added":
        this.open++
        this.pending.push(scanner.span())
        break
      case "item":
        this.items.add(scanner.span())
        this.open = Math.max(0, this.open - 1)
        if (this.open === 0) this.pending = []
        else this.pending.push(scanner.span())
        break
      case "content":
        if (this.open > 0) this.pending.push(scanner.span())
        break
      case "limits": {
        const event = parseObject(scanner.text())
        if (event !== null) this.notes.limits(event)
        break
      }
      case "completed":
      case "incomplete":
        this.completed(lastResponse(scanner.span()))
        break
      case "failed":
      case "error":
        this.failure = { kind: "event", body: scanner.text(), headers: this.headers }
        break
      default:
        break
    }
  }

  private completed({ response, source }: LastResponse): void {
    if (!isObject(response)) {
      this.failure = { kind: "cut", detail: "response.completed carries no response" }
      return
    }
    const { notes, created } = this
    notes.ended(response)
    if (notes.rawId === null && created !== null) notes.response(responseIdOf(created))
    this.response = response
    this.source = source
    this.done = true
  }

  private withOutput(response: Json): Json {
    if (Array.isArray(response.output) && response.output.length > 0) return response
    const whole = this.items.sorted()
    const drafts = this.open === 0 ? [] : [...this.drafts()]
    return { ...response, output: [...(whole ?? []), ...drafts] }
  }

  private drafts(): Iterable<Json> {
    const events = this.pending.map((data) => parseObject(textOf(data))).filter(isObject)
    const done = new Set(
      events.filter((event) => event.type === "response.output_item.done").map((e) => e.output_index),
    )
    return [...draftItems(events)].filter(([index]) => !done.has(index)).map(([, item]) => item)
  }

  private lastEvent(): void {
    if (parseObject(this.scanner.text()) !== null) this.event(kindOf(this.scanner))
  }
}

/** A JSON answer: `/responses/compact`, or a gateway that answers without streaming. */
export class JsonAssembler extends AnswerAssembler {
  private chunks: Uint8Array[] = []

  constructor(
    notes: AnswerNotes,
    private readonly headers: AnswerHeaders,
    /** The client asked for a stream: it gets the whole response as one. */
    private readonly asStream: boolean,
  ) {
    super(notes)
  }

  protected override take(piece: Span): void {
    this.chunks.push(viewOf(piece))
  }

  override finish(): Finished {
    if (this.failure !== null) return this.failure
    const text = Buffer.concat(this.chunks).toString("utf8")
    if (text.trim() === "") return { kind: "empty" }
    const answer = parseObject(text)
    if (answer === null) return { kind: "cut", detail: "the answer is no JSON object" }
    if ((answer.error ?? null) !== null || answer.detail !== undefined) {
      return { kind: "event", body: text, headers: this.headers }
    }
    this.notes.ended(answer)
    return { body: this.asStream ? streamOf(answer) : text, status: 200 }
  }
}
