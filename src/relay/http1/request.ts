import type { Pieces, UpstreamInit } from "../ports.ts"
import type { Target } from "./origin.ts"

/** Bodies up to this size, in bytes, go out in one write with their head. */
const ONE_WRITE_BYTES = 64 * 1024
/** So much of a large piece goes out with the small ones behind it, in bytes: a write of their own would cost more than the copy. */
const TAIL_BYTES = 8 * 1024

const NONE: Readonly<Record<string, string>> = {}
const NO_BODY = "Content-Length: 0\r\n\r\n"

/** A request as it goes over the connection. */
export interface RequestBytes {
  /** The head, with the body behind it where that is small; as a text, which the socket encodes as UTF-8 by itself, where both are. */
  readonly head: Uint8Array | string
  /** What of a large body is not in `head`, in the order in which it is sent. */
  readonly body: Pieces
}

const NOTHING_MORE: readonly Uint8Array[] = []

/** Makes requests into bytes. */
export class RequestWriter {
  /** What follows the method, up to and with the shared headers: looked through once. */
  private readonly begun = new WeakMap<object, WeakMap<Target, string>>()

  /** @throws TypeError a field that could be read as more than one, or that is not ASCII: none of ours is such */
  bytes(target: Target, { method, headers, shared = NONE, body }: UpstreamInit): RequestBytes {
    const first = `${method} ${this.beginning(target, shared)}`
    const lines = fieldLines(headers)
    // One that could have a body says that it has none (RFC 9110 section 8.6).
    if (body === undefined) return whole(joined(first, lines, method === "POST" ? NO_BODY : "\r\n"))
    if (typeof body === "string") {
      const length = Buffer.byteLength(body)
      const last = lengthLine(length)
      if (length <= ONE_WRITE_BYTES) return whole(joined(first, lines, last, body, length))
      return { head: joined(first, lines, last), body: [Buffer.from(body)] }
    }
    const pieces = body instanceof Uint8Array ? [body] : body
    const length = sizeOf(pieces)
    const head = joined(first, lines, lengthLine(length))
    return length <= ONE_WRITE_BYTES ? whole(together(head, pieces, length)) : laidOut(head, pieces)
  }

  private beginning(target: Target, shared: Readonly<Record<string, string>>): string {
    let texts = this.begun.get(shared)
    if (texts === undefined) {
      texts = new WeakMap()
      this.begun.set(shared, texts)
    }
    let text = texts.get(target)
    if (text === undefined) {
      const { path, origin } = target
      const lines = fieldLines({ Host: origin.host, Connection: "keep-alive", ...shared })
      text = joined(`${path} HTTP/1.1\r\n`, lines, "")
      texts.set(target, text)
    }
    return text
  }
}

const lengthLine = (length: number): string => `Content-Length: ${length}\r\n\r\n`

const whole = (head: Uint8Array | string): RequestBytes => ({ head, body: NOTHING_MORE })

function sizeOf(pieces: Pieces): number {
  let size = 0
  for (const piece of pieces) size += piece.length
  return size
}

/** @param size of the pieces, together */
function together(head: string, pieces: Pieces, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + size)
  bytes.write(head, 0, "latin1")
  let at = head.length
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/** The largest piece as it lies, but for its end where something follows; what stands before it goes out with the head. */
function laidOut(head: string, pieces: Pieces): RequestBytes {
  let at = 0
  for (let i = 1; i < pieces.length; i++) if ((pieces[i]?.length ?? 0) > (pieces[at]?.length ?? 0)) at = i
  const before = pieces.slice(0, at)
  const largest = pieces[at] ?? NO_BYTES
  const after = pieces.slice(at + 1)
  const start = before.length === 0 ? head : together(head, before, sizeOf(before))
  if (after.length === 0) return { head: start, body: [largest] }
  const cut = Math.max(0, largest.length - TAIL_BYTES)
  return { head: start, body: [largest.subarray(0, cut), Buffer.concat([largest.subarray(cut), ...after])] }
}

const NO_BYTES = new Uint8Array(0)

/** The field lines of a request, as they are sent. */
interface SentLines {
  readonly text: string
  readonly count: number
}

function fieldLines(headers: Readonly<Record<string, string>>): SentLines {
  let text = ""
  let count = 0
  for (const name in headers) {
    text += `${name}: ${headers[name]}\r\n`
    count++
  }
  return { text, count }
}

/**
 * All parts of a request as one text. The lines are looked through there and not before, since each text that is put together to be
 * looked into takes memory of its own.
 * @param size of the body, in bytes of UTF-8
 * @throws TypeError
 */
function joined(first: string, lines: SentLines, last: string, body = "", size = 0): string {
  const all = first + lines.text + last + body
  if (!isMadeOf(lines.count, all, first.length, first.length + lines.text.length)) {
    throw new TypeError("a header with a line end or NUL in it cannot be sent")
  }
  // Cut down to single bytes, such a character may become a line end.
  if (Buffer.byteLength(all) - size !== all.length - body.length) {
    throw new TypeError("a header that is not ASCII cannot be sent")
  }
  return all
}

/** Whether `[from, to)` of a text are so many lines, which end as they should and nowhere else: no value has brought one of its own. */
function isMadeOf(lines: number, text: string, from: number, to: number): boolean {
  let at = from
  for (let i = 0; i < lines; i++) {
    const end = text.indexOf("\r", at)
    if (end === -1 || text.indexOf("\n", at) !== end + 1) return false
    at = end + 2
  }
  const nul = text.indexOf("\0", from)
  return at === to && (nul === -1 || nul >= to)
}
