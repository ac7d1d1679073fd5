import { MalformedMessage } from "./field-lines.ts"

const CR = 0x0d
const LF = 0x0a
const SEMICOLON = 0x3b
const TAB = 0x09
const SPACE = 0x20

/** Largest chunk size, in hexadecimal digits: below 2^52 bytes. */
const SIZE_DIGITS = 13
/** Most bytes of extensions and trailers beyond the data so far: whole bodies of hardly anything else are no one's to read (CVE-2023-39326). */
const EXTRA_BYTES = 16 * 1024

/** What the next byte belongs to. Numbers, since they are looked at for every chunk. */
const SIZE = 0
const AFTER_SIZE = 1
const EXTENSION = 2
const SIZE_LF = 3
const DATA = 4
const DATA_CR = 5
const DATA_LF = 6
/** A trailer's line begins, goes on, ends. */
const TRAILER = 7
const IN_TRAILER = 8
const TRAILER_LF = 9
const LAST_LF = 10
const DONE = 11

/** A digit's value by its byte; -1 for all others. */
const DIGITS = new Int8Array(256).fill(-1)
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  DIGITS[digit.charCodeAt(0)] = value
  DIGITS[digit.toUpperCase().charCodeAt(0)] = value
}

/**
 * Takes the chunked coding (RFC 9112 section 7.1) off an answer's bytes. The data are moved together where they lie, so that
 * what came in one piece goes on as one piece, however many chunks it was. Extensions and trailers are passed over.
 */
export class Chunked {
  /** Where, once it is done, the bytes begin in the last `push` that are not the answer's. */
  rest = 0

  private stage = SIZE
  private size = 0
  private digits = 0
  /** Bytes of the current chunk that are still to come. */
  private left = 0
  private extra = 0

  /** The last chunk came, trailers included. */
  get done(): boolean {
    return this.stage === DONE
  }

  /**
   * @param bytes written over
   * @returns the data in them, a view; null if there are none
   * @throws MalformedMessage
   */
  push(bytes: Uint8Array): Uint8Array | null {
    const { length } = bytes
    let at = 0
    /** Where the data in `bytes` begin and end, once there are some. */
    let from = -1
    let to = 0
    while (at < length && this.stage !== DONE) {
      if (this.stage !== DATA) {
        at = this.sizeLine(bytes, at)
        continue
      }
      const end = Math.min(length, at + this.left)
      this.left -= end - at
      if (from === -1) {
        from = at
        to = end
      } else {
        bytes.copyWithin(to, at, end)
        to += end - at
      }
      at = end
      if (this.left > 0) continue
      this.stage = DATA_CR
      if (at + 1 >= length || bytes[at] !== CR || bytes[at + 1] !== LF) continue
      this.stage = SIZE
      at += 2
    }
    this.rest = at
    return from === -1 ? null : bytes.subarray(from, to)
  }

  /** Reads what is not data: at once where it is a whole plain size line, else byte by byte. @returns where it stopped */
  private sizeLine(bytes: Uint8Array, from: number): number {
    if (this.stage !== SIZE || this.digits > 0) return this.between(bytes, from)
    let at = from
    let size = 0
    for (let digit = digitOf(bytes, at); digit !== -1; digit = digitOf(bytes, at)) {
      size = size * 16 + digit
      at++
    }
    const isPlain = at > from && at - from <= SIZE_DIGITS && bytes[at] === CR && bytes[at + 1] === LF
    if (!isPlain) return this.between(bytes, from)
    this.begin(size)
    return at + 2
  }

  private between(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      this.take(bytes[at] ?? 0)
      if (this.stage === DATA || this.stage === DONE) return at + 1
    }
    return bytes.length
  }

  private take(byte: number): void {
    switch (this.stage) {
      case SIZE:
        this.takeOfSize(byte)
        break
      case AFTER_SIZE:
        this.takeAfterSize(byte)
        break
      case EXTENSION:
        if (byte === CR) this.stage = SIZE_LF
        else this.passOver(byte)
        break
      case SIZE_LF:
        expect(byte, LF)
        this.begin(this.size)
        break
      case DATA_CR:
        expect(byte, CR)
        this.stage = DATA_LF
        break
      case DATA_LF:
        expect(byte, LF)
        this.stage = SIZE
        break
      case TRAILER:
        if (byte === CR) this.stage = LAST_LF
        else {
          this.stage = IN_TRAILER
          this.passOver(byte)
        }
        break
      case IN_TRAILER:
        if (byte === CR) this.stage = TRAILER_LF
        else this.passOver(byte)
        break
      case TRAILER_LF:
        expect(byte, LF)
        this.stage = TRAILER
        break
      default:
        expect(byte, LF)
        this.stage = DONE
    }
  }

  private takeOfSize(byte: number): void {
    const digit = DIGITS[byte] ?? -1
    if (digit !== -1) {
      if (++this.digits > SIZE_DIGITS) throw new MalformedMessage("a chunk's size is too large")
      this.size = this.size * 16 + digit
      return
    }
    if (this.digits === 0) throw new MalformedMessage("a chunk has no size")
    this.stage = AFTER_SIZE
    this.takeAfterSize(byte)
  }

  /** White space may stand there, then an extension. */
  private takeAfterSize(byte: number): void {
    if (byte === CR) this.stage = SIZE_LF
    else if (byte === SEMICOLON) this.stage = EXTENSION
    else if (byte === SPACE || byte === TAB) this.passOver(byte)
    else throw new MalformedMessage("a chunk's size is no number")
  }

  /** The line of a chunk's size has ended. */
  private begin(size: number): void {
    this.left = size
    this.stage = size === 0 ? TRAILER : DATA
    this.size = 0
    this.digits = 0
    this.extra = Math.max(0, this.extra - size)
  }

  private passOver(byte: number): void {
    if (byte === LF) throw new MalformedMessage("a chunk's line ends without a CR")
    if (++this.extra > EXTRA_BYTES) throw new MalformedMessage("the chunks' extensions or trailers are too large")
  }
}

function digitOf(bytes: Uint8Array, at: number): number {
  return at < bytes.length ? (DIGITS[bytes[at] ?? 0] ?? -1) : -1
}

function expect(byte: number, wanted: number): void {
  if (byte !== wanted) throw new MalformedMessage("a chunk does not end where its size says")
}
