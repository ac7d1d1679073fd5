/**
 * Bytes `[from, to)` of an array, where they lie. Not a view: the first one of a chunk that came over a connection makes the runtime
 * give its memory another owner, which takes three to four allocations outside the heap and half a microsecond (Bun 1.4.5).
 */
export interface Span {
  readonly bytes: Uint8Array
  readonly from: number
  readonly to: number
}

const DECODER = new TextDecoder()
const STRICT = new TextDecoder("utf-8", { fatal: true })
const BOM = 0xef

/** All of an array. */
export function spanOf(bytes: Uint8Array): Span {
  return { bytes, from: 0, to: bytes.length }
}

/** The bytes as an array of their own kind: itself where the span is all of it. */
export function viewOf({ bytes, from, to }: Span): Uint8Array {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
}

/** As text, without a byte order mark; malformed UTF-8 becomes U+FFFD. */
export function textOf({ bytes, from, to }: Span): string {
  // A Buffer needs no view for it, but would leave the mark in.
  if (bytes instanceof Buffer && bytes[from] !== BOM) return bytes.toString("utf8", from, to)
  return DECODER.decode(bytes.subarray(from, to))
}

/** As text, without a byte order mark. @throws TypeError where it is not UTF-8 */
export function strictTextOf(span: Span): string {
  const text = textOf(span)
  // Somebody may have meant that character.
  return text.includes("\ufffd") ? STRICT.decode(viewOf(span)) : text
}

/** Whether a text, ASCII only, stands at an index. */
export function startsWith(bytes: Uint8Array, at: number, ascii: string): boolean {
  for (let i = 0; i < ascii.length; i++) if (bytes[at + i] !== ascii.charCodeAt(i)) return false
  return true
}
