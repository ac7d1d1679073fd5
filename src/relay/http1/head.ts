/** The head of an HTTP/1.1 answer (RFC 9112), read strictly: what two readers could understand differently is refused. Pure. */
import type { HeaderFields } from "../headers.ts"
import type { FieldNames } from "./field-names.ts"

/** Largest head that is read, in bytes. */
export const HEAD_BYTES = 64 * 1024

/** Where the body ends (RFC 9112 section 6.3): a number of bytes, the last chunk, or the connection's end. */
export type Framing = number | "chunked" | "close"

export interface Head {
  readonly status: number
  /** By name in lower case; fields that came several times are joined by ", ", but for `set-cookie`. */
  readonly fields: HeaderFields
  readonly framing: Framing
  /** Whether the connection may carry another request when the body has ended (RFC 9112 section 9.3). */
  readonly lasts: boolean
  /** How long the server keeps the idle connection, in milliseconds; null when it does not say. */
  readonly restMs: number | null
}

/** The upstream sent what is no HTTP/1.1 answer, or one whose end cannot be known for sure. */
export class MalformedAnswer extends Error {
  override readonly name = "MalformedAnswer"
  readonly code = "MalformedAnswer"
}

/** A higher minor version is read as 1.1 (RFC 9112 section 2.3). */
const STATUS_LINE = /^HTTP\/1\.(\d) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
/** How nearly all heads begin, and what the pattern would find in that. */
const USUAL = "HTTP/1.1 200 OK\r\n"
const USUAL_PARTS = [USUAL, "1", "200"] as const
const LINE_END = 2
const LENGTH = /^\d{1,15}$/

const TAB = 0x09
const SPACE = 0x20

/**
 * @param text everything before the blank line, as Latin-1
 * @param names those met in heads before
 * @throws MalformedAnswer
 */
export function parseHead(text: string, names: FieldNames): Head {
  // A lone CR or LF ends lines for some readers, NUL ends texts.
  if (text.includes("\0")) throw new MalformedAnswer("the head holds a NUL")
  const isUsual = text.startsWith(USUAL)
  let end = isUsual ? USUAL.length - LINE_END : lineEnd(text, 0)
  const [, minor, code] = isUsual ? USUAL_PARTS : (STATUS_LINE.exec(text.slice(0, end)) ?? [])
  if (code === undefined) throw new MalformedAnswer("the first line is no status line")
  const fields: Record<string, string | string[]> = Object.create(null)
  while (end < text.length) {
    const from = end + LINE_END
    end = lineEnd(text, from)
    addField(fields, names, text, from, end)
  }
  const status = Number(code)
  const isRecent = minor !== "0"
  const framing = framingOf(status, fields)
  return {
    status,
    fields,
    framing,
    // Chunks from a server of HTTP/1.0 are a mistake, and where they end is not sure (RFC 9112 section 6.1).
    lasts: framing !== "close" && isKept(isRecent, fields) && (isRecent || framing !== "chunked"),
    restMs: restOf(fields["keep-alive"]),
  }
}

/** @throws MalformedAnswer where CR and LF do not come together */
function lineEnd(text: string, from: number): number {
  const cr = text.indexOf("\r", from)
  const end = cr === -1 ? text.length : cr
  const lf = text.indexOf("\n", from)
  if (lf !== (cr === -1 ? -1 : end + 1)) throw new MalformedAnswer("a line of the head ends with half a line end")
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
  if (name === "") throw new MalformedAnswer("a line of the head is no header field")
  const value = trimmed(text, colon + 1, end)
  const before = fields[name]
  if (name === "set-cookie") fields[name] = before === undefined ? [value] : [...before, value]
  else fields[name] = before === undefined ? value : `${before}, ${value}`
}

/** Without the white space around it (RFC 9110 section 5.6.3). */
function trimmed(text: string, first: number, last: number): string {
  let from = first
  let to = last
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

/** RFC 9112 section 6.3, for answers to GET and POST. */
function framingOf(status: number, fields: HeaderFields): Framing {
  if (status < 200 || status === 204 || status === 304) return 0
  const coding = fields["transfer-encoding"]
  const length = fields["content-length"]
  if (typeof coding === "string") {
    if (coding.toLowerCase() !== "chunked") throw new MalformedAnswer("the transfer coding is not known")
    // An attempt to smuggle an answer past somebody looks like this (RFC 9112 section 6.3, rule 3).
    if (length !== undefined) throw new MalformedAnswer("both a length and a transfer coding are given")
    return "chunked"
  }
  if (typeof length !== "string") return "close"
  if (LENGTH.test(length)) return Number(length)
  const told = length.split(",").map((part) => trimmed(part, 0, part.length))
  const [first = ""] = told
  if (!LENGTH.test(first) || told.some((part) => part !== first)) throw new MalformedAnswer("the length is no number")
  return Number(first)
}

function isKept(isRecent: boolean, fields: HeaderFields): boolean {
  const { connection } = fields
  if (typeof connection !== "string") return isRecent
  const options = connection
    .toLowerCase()
    .split(",")
    .map((option) => option.trim())
  return !options.includes("close") && (isRecent || options.includes("keep-alive"))
}

function restOf(value: HeaderFields[string] | undefined): number | null {
  const seconds = typeof value === "string" ? /(?:^|[,;\s])timeout=(\d{1,6})/i.exec(value)?.[1] : undefined
  return seconds === undefined ? null : Number(seconds) * 1000
}
