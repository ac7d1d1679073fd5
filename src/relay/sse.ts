/**
 * Finds the frames of a server-sent event stream in bytes (WHATWG HTML 9.2.5 and 9.2.6), without decoding text.
 *
 * ```ts
 * scanner.feed(chunk)
 * while (scanner.next()) {
 *   if (scanner.dataLines > 0) handle(scanner.data())
 * }
 * if (scanner.overflowed) fail()
 * ```
 *
 * - Line ends may be LF, CR or CRLF, mixed; a BOM at the stream's start is skipped; the input may be cut anywhere.
 * - Frames tile the input: the frames in order, then `tail()`, are the input byte for byte. Blank lines before a frame belong
 *   to it, and so does an LF whose CR ended the frame before (the frame is given out at its CR and does not wait for the LF).
 *   So a reader that passes chunks on unchanged can use the scanner to look only, and one that patches can replace a frame's bytes.
 * - A frame that lies in one chunk is looked at in place; only the incomplete frame at a chunk's end is copied, once, and its
 *   bytes are never searched twice, so a frame of many chunks costs linear time.
 * - Every array given out is a view that stays valid (`tail()` alone only until more is fed): no buffer is used again. Nothing
 *   here throws on any input.
 */

import { type Span, startsWith, textOf } from "./span.ts"

const LF = 0x0a
const CR = 0x0d
const COLON = 0x3a
const SPACE = 0x20
const NONE = new Uint8Array(0)
const DECODER = new TextDecoder()

/** Least number of bytes for which the buffer of a frame that spans chunks grows. */
const PIECE = 4096
/** Room that is filled before the buffer grows, if so much is left of it: most frames need no more. */
const LEAST_PIECE = 256
/** Least number of bytes that a first buffer is made for. With its room to grow it stays below the size (1,000 bytes) from which on Bun 1.4.5 asks malloc. */
const FIRST = 480

/** From this size on a buffer that grew too small is given back at once: it would wait for a full collection, which no young garbage brings about. */
const LARGE = 1024 * 1024

/** Default bound of one frame: an event may carry an image of tens of MB as base64. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024

export class SseScanner {
  /** What the offsets of the current frame refer to. */
  bytes: Uint8Array = NONE
  /** The current frame is `bytes[start, end)`, its closing blank line included. */
  start = 0
  end = 0
  /** `data` fields in the current frame; 0 for a frame of comments or other fields only. */
  dataLines = 0
  /** Value of the first `data` field (the only one, as a rule), without the one leading space; meaningful if `dataLines > 0`. */
  dataStart = 0
  dataEnd = 0
  /** Value of the last `event` field; equal offsets mean none, or an empty one. */
  eventStart = 0
  eventEnd = 0
  /** A frame grew beyond the bound: nothing more is found, and what is fed is dropped. */
  overflowed = false

  private readonly maxFrameBytes: number
  private chunk: Uint8Array = NONE
  /** First byte of `chunk` that is not in `carry`; meaningful while `carry` is in use. */
  private taken = 0
  /** Owns the bytes of a frame that spans chunks, with room to grow; null while frames lie in `chunk`. */
  private carry: Uint8Array<ArrayBuffer> | null = null
  private line = 0
  /** First byte not yet searched for a line end. */
  private searched = 0
  /** Where the next CR is, at or after `searched`; below `searched` when not known. */
  private nextCr = -1
  private skipLf = false
  private firstLine = true
  private inFrame = false
  private complete = false
  /** Start and end of each `data` field after the first. */
  private more: number[] | null = null

  constructor(maxFrameBytes: number = MAX_FRAME_BYTES) {
    this.maxFrameBytes = maxFrameBytes
  }

  /**
   * Hands in the next chunk. The one before must have been drained: `next()` returned false.
   * @param from where in it the input goes on; what stands before that is not looked at
   */
  feed(chunk: Uint8Array, from = 0): void {
    if (this.overflowed) return
    if (this.chunk !== NONE) throw new Error("SseScanner.feed: the last chunk has frames left, call next() until false")
    if (chunk.length === from) return
    this.chunk = chunk
    this.taken = from
    if (this.carry === null) this.enter(chunk, from)
  }

  /** Moves to the next whole frame. False: the chunk is used up, and an incomplete frame at its end is kept. */
  next(): boolean {
    if (this.complete) this.leaveFrame()
    while (this.chunk !== NONE || this.carry !== null) {
      if (this.scan()) return true
      if (this.overflowed) return false
      if (this.carry === null) this.keepTail()
      if (this.chunk === NONE || !this.takePiece()) return false
    }
    return false
  }

  /**
   * At the end of the input: makes an unterminated last frame the current one. True if there is one. The standard drops such a
   * frame; some servers leave out the last blank line, so whether its data is whole is the caller's to judge.
   */
  finish(): boolean {
    if (this.complete) this.leaveFrame()
    if (this.overflowed || this.carry === null) return false
    const limit = this.bytes.length
    const line = this.firstLine ? this.skipBom(this.line, limit) : this.line
    if (limit > line) this.field(line, limit)
    this.line = this.searched = this.end = limit
    this.complete = true
    return this.inFrame
  }

  /** After `next()` returned false: whether the input so far ends between two frames, so that one may be inserted there. */
  get betweenFrames(): boolean {
    return this.carry === null || (!this.inFrame && this.line === this.bytes.length)
  }

  /**
   * Where in the chunk the next frame begins, as long as nothing of it was looked at; -1 where it began in an earlier chunk, or
   * where that is not known yet. Leaves the current frame.
   */
  ahead(): number {
    if (this.complete) this.leaveFrame()
    const isKnown = this.chunk !== NONE && this.carry === null && !this.skipLf && !this.firstLine
    return isKnown && this.searched === this.start ? this.start : -1
  }

  /** Goes on at this offset of the chunk: the caller has seen himself that there are only whole frames from `ahead()` to it. */
  skipTo(at: number): void {
    this.enter(this.chunk, at)
  }

  /** The bytes of the incomplete frame at the end of the input, after `next()` returned false and until the next `feed()`. */
  tail(): Uint8Array {
    return this.carry === null ? NONE : this.bytes
  }

  /** The current frame, closing blank line included. */
  frame(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** The current frame's data, several `data` fields joined by LF. */
  data(): Uint8Array {
    const { bytes, from, to } = this.span()
    return bytes.subarray(from, to)
  }

  /** Where that lies; a copy only where it has several fields. */
  span(): Span {
    const { bytes, dataStart, dataEnd, more } = this
    if (more === null) return { bytes, from: dataStart, to: dataEnd }
    let length = dataEnd - dataStart
    for (let i = 0; i < more.length; i += 2) length += 1 + (more[i + 1] ?? 0) - (more[i] ?? 0)
    const joined = new Uint8Array(length)
    joined.set(bytes.subarray(dataStart, dataEnd))
    let at = dataEnd - dataStart
    for (let i = 0; i < more.length; i += 2) {
      joined[at++] = LF
      const value = bytes.subarray(more[i], more[i + 1])
      joined.set(value, at)
      at += value.length
    }
    return { bytes: joined, from: 0, to: length }
  }

  /** The current frame's data as text; malformed UTF-8 becomes U+FFFD. */
  text(): string {
    return textOf(this.span())
  }

  /** The current frame's event name, "" when it has none. */
  event(): string {
    return this.eventEnd === this.eventStart ? "" : DECODER.decode(this.bytes.subarray(this.eventStart, this.eventEnd))
  }

  /** Whether the current frame's event name is `name` (ASCII), without decoding. */
  eventIs(name: string): boolean {
    return this.eventEnd - this.eventStart === name.length && startsWith(this.bytes, this.eventStart, name)
  }

  /** Whether the first `data` value starts with `prefix` (ASCII), without decoding. */
  dataStartsWith(prefix: string): boolean {
    return this.dataEnd - this.dataStart >= prefix.length && startsWith(this.bytes, this.dataStart, prefix)
  }

  /** Reads lines until a frame is whole (true) or the bytes are used up (false). */
  private scan(): boolean {
    const bytes = this.bytes
    const limit = bytes.length
    let line = this.line
    while (true) {
      if (this.skipLf && line < limit) {
        this.skipLf = false
        if (bytes[line] === LF) line++
        if (this.searched < line) this.searched = line
      }
      // The blank line behind a field is seen without a search.
      const eol = bytes[line] === LF ? line : this.lineEnd(bytes, limit)
      if (eol === limit) break
      let next = eol + 1
      if (bytes[eol] === CR) {
        if (next === limit) this.skipLf = true
        else if (bytes[next] === LF) next++
      }
      if (this.firstLine) line = this.skipBom(line, eol)
      const blank = line === eol
      if (!blank) this.field(line, eol)
      this.searched = line = next
      if (blank && this.inFrame) {
        this.line = line
        this.end = line
        if (line - this.start > this.maxFrameBytes) return this.overflow()
        this.complete = true
        return true
      }
    }
    this.line = line
    this.searched = limit
    return limit - this.start > this.maxFrameBytes && this.overflow()
  }

  private skipBom(line: number, eol: number): number {
    this.firstLine = false
    const { bytes } = this
    return line + 3 <= eol && bytes[line] === 0xef && bytes[line + 1] === 0xbb && bytes[line + 2] === 0xbf
      ? line + 3
      : line
  }

  /** The first line end at or after `searched`, `limit` if there is none. CR is looked for once, not once per line. */
  private lineEnd(bytes: Uint8Array, limit: number): number {
    const from = this.searched
    if (this.nextCr < from) {
      const cr = bytes.indexOf(CR, from)
      this.nextCr = cr === -1 ? limit : cr
    }
    const lf = bytes.indexOf(LF, from)
    return lf === -1 || lf > this.nextCr ? this.nextCr : lf
  }

  /** Notes where the value of a `data` or `event` field lies; comments and other fields are of no use here. */
  private field(from: number, to: number): void {
    this.inFrame = true
    const bytes = this.bytes
    const first = bytes[from]
    if (first === 0x64 && startsWith(bytes, from, "data")) {
      const value = valueStart(bytes, from + 4, to)
      if (value < 0) return
      if (this.dataLines++ === 0) {
        this.dataStart = value
        this.dataEnd = to
      } else {
        this.more ??= []
        this.more.push(value, to)
      }
    } else if (first === 0x65 && startsWith(bytes, from, "event")) {
      const value = valueStart(bytes, from + 5, to)
      if (value < 0) return
      this.eventStart = value
      this.eventEnd = to
    }
  }

  /** Starts reading `bytes` at `at`, with no frame begun. */
  private enter(bytes: Uint8Array, at: number): void {
    this.bytes = bytes
    this.start = this.end = this.line = this.searched = at
    this.nextCr = -1
  }

  /** Steps behind the current frame. */
  private leaveFrame(): void {
    this.complete = false
    this.inFrame = false
    this.dataLines = 0
    this.dataStart = this.dataEnd = this.eventStart = this.eventEnd = 0
    this.more = null
    if (this.carry === null) {
      this.start = this.end
      return
    }
    const unread = this.bytes.length - this.end
    this.carry = null
    this.enter(this.chunk, this.chunk === NONE ? 0 : this.taken - unread)
  }

  /** The chunk is used up: what is left of it, an incomplete frame, moves into a buffer of its own. */
  private keepTail(): void {
    const from = this.start
    const rest = this.bytes.length - from
    const chunk = this.chunk
    this.chunk = NONE
    if (rest === 0) {
      this.enter(NONE, 0)
      return
    }
    this.carry = new Uint8Array(this.room(Math.max(FIRST, rest)))
    this.carry.set(chunk.subarray(from))
    this.bytes = this.carry.subarray(0, rest)
    this.start = this.end = 0
    this.line -= from
    this.searched = rest
    this.nextCr = -1
    this.dataStart -= from
    this.dataEnd -= from
    this.eventStart -= from
    this.eventEnd -= from
    if (this.more !== null) this.more = this.more.map((offset) => offset - from)
  }

  /**
   * Appends more of the chunk to the frame it completes: what there is room for, else as much again as is there, so that neither a large chunk is copied for
   * the few bytes that end a frame, nor a large frame in many steps. False: the chunk is used up.
   */
  private takePiece(): boolean {
    const chunk = this.chunk
    let carry = this.carry
    if (carry === null) return false
    const had = this.bytes.length
    const left = carry.length - had
    const piece = Math.min(chunk.length - this.taken, left >= LEAST_PIECE ? left : Math.max(PIECE, had))
    if (piece === 0) {
      this.chunk = NONE
      return false
    }
    if (carry.length < had + piece) {
      const grown = new Uint8Array(this.room(had + piece))
      grown.set(this.bytes)
      giveBack(carry)
      this.carry = carry = grown
    }
    carry.set(chunk.subarray(this.taken, this.taken + piece), had)
    this.taken += piece
    this.bytes = carry.subarray(0, had + piece)
    this.nextCr = -1
    return true
  }

  /** Size of a buffer for a frame of which `length` bytes are there: room to grow, but not beyond what a frame may have. */
  private room(length: number): number {
    return Math.max(length, Math.min(length * 2, this.maxFrameBytes + PIECE))
  }

  private overflow(): false {
    this.overflowed = true
    this.chunk = NONE
    if (this.carry !== null) giveBack(this.carry)
    this.carry = null
    this.complete = false
    this.inFrame = false
    this.more = null
    this.dataLines = 0
    this.enter(NONE, 0)
    return false
  }
}

/** Frees the buffer of an incomplete frame, of which nothing was given out: its arrays are empty from here on. */
function giveBack(carry: Uint8Array<ArrayBuffer>): void {
  if (carry.length >= LARGE) carry.buffer.transfer(0)
}

/** Where a field's value starts, given the offset behind its name; -1 if the name goes on. */
function valueStart(bytes: Uint8Array, at: number, to: number): number {
  if (at === to) return to
  if (at > to || bytes[at] !== COLON) return -1
  return bytes[at + 1] === SPACE && at + 1 < to ? at + 2 : at + 1
}
