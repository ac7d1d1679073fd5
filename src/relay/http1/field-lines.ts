/** The field lines of a message's head (RFC 9112 section 5), read strictly: what two readers could understand differently is refused. Pure. */
import type { HeaderFields } from "../headers.ts"
import type { KnownFields } from "./known-fields.ts"

/** Length of CR LF. */
export const LINE_END = 2

const CR = 0x0d
const LF = 0x0a
const TAB = 0x09
const SPACE = 0x20
const DIGIT_0 = 0x30
/** Most digits of a length. */
const DIGITS = 15

/** The other side sent what is no HTTP/1.1 message, or one whose end cannot be known for sure. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage"
  readonly code = "MalformedMessage"
}

/** A head of more lines than anybody has a reason to send. */
export class TooManyFields extends MalformedMessage {}

/** What a head's field lines say. */
export interface FieldLines {
  readonly fields: HeaderFields
  /** What the one Content-Length says; null where there is none, NO_NUMBER where there are several, or what it says is none. */
  readonly length: number | null
}

export const NO_NUMBER = -1

/**
 * @param text everything before the blank line, as Latin-1
 * @param first where the first line ends
 * @param known those met in heads before
 * @param most how many lines may follow
 * @throws MalformedMessage
 */
export function parseFields(
  text: string,
  first: number,
  known: KnownFields,
  most: number = Number.POSITIVE_INFINITY,
): FieldLines {
  // A lone CR or LF ends lines for some readers, NUL ends texts.
  if (text.includes("\0")) throw new MalformedMessage("the head holds a NUL")
  const fields: Record<string, string | string[]> = Object.create(null)
  let length: number | null = null
  let lines = 0
  for (let end = first; end < text.length; ) {
    if (++lines > most) throw new TooManyFields("the head has too many fields")
    const from = end + LINE_END
    end = lineEnd(text, from)
    const colon = text.indexOf(":", from)
    const field = colon === -1 || colon > end ? null : known.at(text, from, colon)
    // White space before the colon, and a line that continues the one before, end up here as well (RFC 9112 sections 5.1, 5.2).
    if (field === null) throw new MalformedMessage("a line of the head is no header field")
    const { name } = field
    const start = afterBlanks(text, colon + 1, end)
    const stop = beforeBlanks(text, start, end)
    const value = field.value(text, start, stop)
    const before = fields[name]
    if (name === "set-cookie") fields[name] = before === undefined ? [value] : [...before, value]
    else fields[name] = before === undefined ? value : `${before}, ${value}`
    // Read here and not from the value, which would have to be made a text of its own.
    if (name === "content-length") length = length === null ? naturalAt(text, start, stop) : NO_NUMBER
  }
  return { fields, length }
}

/** @throws MalformedMessage where CR and LF do not come together */
export function lineEnd(text: string, from: number): number {
  const cr = text.indexOf("\r", from)
  const end = cr === -1 ? text.length : cr
  const lf = text.indexOf("\n", from)
  if (lf !== (cr === -1 ? -1 : end + 1)) throw new MalformedMessage("a line of the head ends with half a line end")
  return end
}

/** A number of one to 15 digits, which is exact whatever they say. */
function naturalAt(text: string, from: number, to: number): number {
  if (from === to || to - from > DIGITS) return NO_NUMBER
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - DIGIT_0
    if (digit < 0 || digit > 9) return NO_NUMBER
    value = value * 10 + digit
  }
  return value
}

/** Without the white space around it (RFC 9110 section 5.6.3). */
export function trimmed(text: string): string {
  const from = afterBlanks(text, 0, text.length)
  return text.slice(from, beforeBlanks(text, from, text.length))
}

function afterBlanks(text: string, from: number, to: number): number {
  let at = from
  while (at < to && isBlank(text.charCodeAt(at))) at++
  return at
}

function beforeBlanks(text: string, from: number, to: number): number {
  let at = to
  while (at > from && isBlank(text.charCodeAt(at - 1))) at--
  return at
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

/** Whether the connection may carry another message after this one (RFC 9112 section 9.3). @param isRecent HTTP/1.1 and later */
export function isKept(isRecent: boolean, fields: HeaderFields): boolean {
  const { connection } = fields
  if (typeof connection !== "string") return isRecent
  const options = connection
    .toLowerCase()
    .split(",")
    .map((option) => option.trim())
  return !options.includes("close") && (isRecent || options.includes("keep-alive"))
}

/** Whether a line ends with half a line end, from an index on. */
export function hasLoneLf(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(LF, from); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) return true
  }
  return false
}
