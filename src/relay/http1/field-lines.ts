/** The field lines of a message's head (RFC 9112 section 5), read strictly: what two readers could understand differently is refused. Pure. */
import type { HeaderFields } from "../headers.ts"
import type { FieldNames } from "./field-names.ts"

/** Length of CR LF. */
export const LINE_END = 2

const CR = 0x0d
const LF = 0x0a
const TAB = 0x09
const SPACE = 0x20

/** The other side sent what is no HTTP/1.1 message, or one whose end cannot be known for sure. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage"
  readonly code = "MalformedMessage"
}

/** A head of more lines than anybody has a reason to send. */
export class TooManyFields extends MalformedMessage {}

/**
 * @param text everything before the blank line, as Latin-1
 * @param first where the first line ends
 * @param names those met in heads before
 * @param most how many lines may follow
 * @throws MalformedMessage
 */
export function parseFields(
  text: string,
  first: number,
  names: FieldNames,
  most: number = Number.POSITIVE_INFINITY,
): HeaderFields {
  // A lone CR or LF ends lines for some readers, NUL ends texts.
  if (text.includes("\0")) throw new MalformedMessage("the head holds a NUL")
  const fields: Record<string, string | string[]> = Object.create(null)
  let lines = 0
  for (let end = first; end < text.length; ) {
    if (++lines > most) throw new TooManyFields("the head has too many fields")
    const from = end + LINE_END
    end = lineEnd(text, from)
    addField(fields, names, text, from, end)
  }
  return fields
}

/** @throws MalformedMessage where CR and LF do not come together */
export function lineEnd(text: string, from: number): number {
  const cr = text.indexOf("\r", from)
  const end = cr === -1 ? text.length : cr
  const lf = text.indexOf("\n", from)
  if (lf !== (cr === -1 ? -1 : end + 1)) throw new MalformedMessage("a line of the head ends with half a line end")
  return end
}

function addField(
  fields: Record<string, string | string[]>,
  names: FieldNames,
  text: string,
  from: number,
  end: number,
): void {
  const colon = text.indexOf(":", from)
  const name = colon === -1 || colon > end ? "" : names.of(text.slice(from, colon))
  // White space before the colon, and a line that continues the one before, end up here as well (RFC 9112 sections 5.1, 5.2).
  if (name === "") throw new MalformedMessage("a line of the head is no header field")
  const value = trimmed(text, colon + 1, end)
  const before = fields[name]
  if (name === "set-cookie") fields[name] = before === undefined ? [value] : [...before, value]
  else fields[name] = before === undefined ? value : `${before}, ${value}`
}

/** Without the white space around it (RFC 9110 section 5.6.3). */
export function trimmed(text: string, first: number, last: number): string {
  let from = first
  let to = last
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
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
