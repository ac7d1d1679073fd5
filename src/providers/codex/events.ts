/** Tells the events of a response stream apart by a look at their bytes (spec codex 5). */
import { type Span, startsWith, textOf } from "../../relay/span.ts"
import type { SseScanner } from "../../relay/sse.ts"
import { isObject, parseObject, text } from "./json.ts"

/**
 * - `created`, `handshake`: come before the model has done anything; a failure may still move to another credential
 * - `added`, `item`: an output item begins, is whole
 * - `limits`: codex.rate_limits
 * - `completed`, `incomplete`, `failed`, `error`: the protocol's last events
 * - `content`: all others; `none`: no event (comments, `[DONE]`)
 */
export type EventKind =
  | "created"
  | "handshake"
  | "added"
  | "item"
  | "limits"
  | "completed"
  | "incomplete"
  | "failed"
  | "error"
  | "content"
  | "none"

const QUOTE = 0x22
const COMMA = 0x2c
const DIGIT_0 = 0x30
const CLOSE_BRACE = 0x7d
const TYPE_FIRST = '{"type":"'

const KINDS: Readonly<Record<string, EventKind>> = {
  error: "error",
  keepalive: "handshake",
  "response.queued": "handshake",
  "response.failed": "failed",
  "response.created": "created",
  "response.metadata": "handshake",
  "response.completed": "completed",
  "response.incomplete": "incomplete",
  "response.in_progress": "handshake",
  "codex.rate_limits": "limits",
  "response.output_item.done": "item",
  "response.output_item.added": "added",
}

interface Name {
  readonly name: string
  readonly bytes: Uint8Array
  readonly kind: EventKind
}

/** The names of the table by their length: a frame is compared with one or two of them. */
const BY_LENGTH: readonly (readonly Name[] | undefined)[] = (() => {
  const table: Name[][] = []
  for (const [name, kind] of Object.entries(KINDS)) {
    const list = table[name.length] ?? []
    list.push({ name, bytes: new TextEncoder().encode(name), kind })
    table[name.length] = list
  }
  return table
})()
const CODEX = new TextEncoder().encode("codex.")

/** The kind of the scanner's current frame, by its event name or else by its data's `type`. */
export function kindOf(scanner: SseScanner): EventKind {
  if (scanner.dataLines === 0) return "none"
  const { bytes } = scanner
  if (scanner.eventEnd > scanner.eventStart) return kindOfName(bytes, scanner.eventStart, scanner.eventEnd)
  if (scanner.dataStartsWith(TYPE_FIRST)) {
    const from = scanner.dataStart + TYPE_FIRST.length
    const to = bytes.indexOf(QUOTE, from)
    return to < 0 ? "content" : kindOfName(bytes, from, to)
  }
  const type = text(parseObject(scanner.text())?.type)
  if (type === null) return scanner.dataStartsWith("[DONE]") ? "none" : "content"
  return KINDS[type] ?? (type.startsWith("codex.") ? "handshake" : "content")
}

/** The `type` in the current frame's data, if it can stand in an `event:` line; else null. */
export function typeOf(scanner: SseScanner): string | null {
  const { bytes } = scanner
  let type: string | null
  if (scanner.dataStartsWith(TYPE_FIRST)) {
    const from = scanner.dataStart + TYPE_FIRST.length
    const to = bytes.indexOf(QUOTE, from)
    type = to < 0 ? null : Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1")
  } else type = text(parseObject(scanner.text())?.type)
  return type !== null && /^[a-z][\w.-]{0,80}$/i.test(type) ? type : null
}

/** How the backend writes a last event up to its response; a number may stand before that. */
const LAST = ['{"type":"response.completed",', '{"type":"response.incomplete",'] as const
const NUMBER = '"sequence_number":'
const BEFORE_RESPONSE = '"response":'

/** What a last event says: its response, and that response's own text where it stands at the end of the event's. */
export interface LastResponse {
  readonly response: unknown
  readonly source: string | null
}

/** Parses what a last event carries: only its response where that can be told, so that its text may serve as an answer. */
export function lastResponse(event: Span): LastResponse {
  const { bytes, to } = event
  const from = responseStart(event)
  if (from !== -1 && bytes[to - 1] === CLOSE_BRACE) {
    const source = textOf({ bytes, from, to: to - 1 })
    const response = parseObject(source)
    // One whole value in this place is the response and nothing else: what follows it closes the event.
    if (response !== null) return { response, source }
  }
  return { response: parseObject(textOf(event))?.response, source: null }
}

/** Where the response begins in a last event that is written as usual, else -1. */
function responseStart({ bytes, from }: Span): number {
  const start = LAST.find((text) => startsWith(bytes, from, text))
  if (start === undefined) return -1
  let at = from + start.length
  if (startsWith(bytes, at, NUMBER)) {
    at += NUMBER.length
    const first = at
    while (isDigit(bytes[at])) at++
    if (at === first || bytes[at] !== COMMA) return -1
    at++
  }
  return startsWith(bytes, at, BEFORE_RESPONSE) ? at + BEFORE_RESPONSE.length : -1
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_0 + 9
}

/** The response's id in a `response.created` event's data, without parsing the instructions and tools it echoes. */
export function responseIdOf({ bytes, from, to }: Span): string | null {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from)
  const quick = /"response":\s*\{\s*"id":\s*"([\w-]{1,128})"/.exec(data.toString("latin1", 0, 400))?.[1]
  if (quick !== undefined) return quick
  const response = parseObject(data.toString("utf8"))?.response
  return isObject(response) ? text(response.id) : null
}

function kindOfName(bytes: Uint8Array, from: number, to: number): EventKind {
  const candidates = BY_LENGTH[to - from]
  if (candidates !== undefined) {
    for (const { bytes: name, kind } of candidates) if (equals(bytes, from, name)) return kind
  }
  return to - from > CODEX.length && equals(bytes, from, CODEX) ? "handshake" : "content"
}

function equals(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = name.length - 1; i >= 0; i--) if (bytes[at + i] !== name[i]) return false
  return true
}
