/** What is written to a client, gathered from pieces of the upstream's answer. */
import type { EnvelopeReader } from "./envelope.ts"

const ENCODER = new TextEncoder()
const NONE = new Uint8Array(0)
const SPACE = 0x20
const CLOSE_BRACE = 0x7d
const OPEN_BRACE = 0x7b

/**
 * One piece of output. It is written over the upstream's chunk as far as that has been read, since what goes on is shorter than
 * what came: no buffer and no copy of it is needed then. Otherwise it grows in a buffer. What is taken is never written again.
 */
export class Output {
  #bytes: Uint8Array = NONE
  #length = 0
  /** Up to here `#bytes` may be written. */
  #limit = 0

  /** Writes over `chunk`, where nothing is written yet, as far as `allow` says from now on. */
  over(chunk: Uint8Array): void {
    if (this.#bytes === NONE) this.#bytes = chunk
  }

  /** What `chunk` holds before `end` is needed no more. */
  allow(chunk: Uint8Array, end: number): void {
    if (this.#bytes === chunk) this.#limit = end
  }

  /** Writes into a buffer of its own that has room for `size` more bytes, and never over `source`. */
  apart(source: Uint8Array, size: number): void {
    const length = this.#length + size
    if (this.#bytes === source || length > this.#limit) this.#grow(length)
  }

  /** `source[start, end)`; of the chunk that is written over it is moved, so it must not begin before what `allow` said. */
  add(source: Uint8Array, start: number, end: number): void {
    const from = this.#length
    const length = from + end - start
    if (source === this.#bytes) source.copyWithin(from, start, end)
    else {
      if (length > this.#limit) this.#grow(length)
      this.#bytes.set(source.subarray(start, end), from)
    }
    this.#length = length
  }

  /** All of `bytes`. */
  put(bytes: Uint8Array): void {
    const from = this.#length
    const length = from + bytes.length
    if (length > this.#limit) this.#grow(length)
    const target = this.#bytes
    // A handful as a rule: a native copy would take longer.
    for (let i = 0; i < bytes.length; i++) target[from + i] = bytes[i] ?? 0
    this.#length = length
  }

  take(): Uint8Array | null {
    const bytes = this.#bytes
    const length = this.#length
    this.#bytes = NONE
    this.#length = this.#limit = 0
    if (length === 0) return null
    return length === bytes.length ? bytes : bytes.subarray(0, length)
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.max(length, this.#length * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
    this.#limit = grown.length
  }
}

const FIRST_ID = ENCODER.encode('"responseId":')
const NEXT_ID = ENCODER.encode(',"responseId":')
const CLOSING = Uint8Array.of(CLOSE_BRACE)

/** Where a response has no `responseId`, the trace id is one, as the official client has it. */
export const gainsId = ({ named, traceStart }: EnvelopeReader): boolean => !named && traceStart !== -1

/** Where the bytes of an envelope begin that its `response` still needs. */
export const neededFrom = (envelope: EnvelopeReader): number =>
  gainsId(envelope) ? Math.min(envelope.responseStart, envelope.traceStart) : envelope.responseStart

/** Writes the `response` value, with the id that it lacks. */
export function writeResponse(envelope: EnvelopeReader, bytes: Uint8Array, out: Output): void {
  const { responseStart, responseEnd, traceStart, traceEnd } = envelope
  if (!gainsId(envelope)) {
    out.add(bytes, responseStart, responseEnd)
    return
  }
  // The trace must not be written over before it is read.
  if (traceStart < responseStart) out.apart(bytes, responseEnd + NEXT_ID.length)
  let last = responseEnd - 2
  while (last > responseStart && (bytes[last] ?? 0) <= SPACE) last--
  const name = bytes[last] === OPEN_BRACE ? FIRST_ID : NEXT_ID
  out.add(bytes, responseStart, last + 1)
  out.allow(bytes, traceStart)
  out.put(name)
  out.add(bytes, traceStart, traceEnd)
  out.allow(bytes, traceEnd)
  out.put(CLOSING)
}
