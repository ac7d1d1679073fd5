/** The head of an HTTP/1.1 answer (RFC 9112), read strictly: what two readers could understand differently is refused. Pure. */
import type { HeaderFields } from "../headers.ts"
import { isKept, LINE_END, lineEnd, MalformedMessage, NO_NUMBER, parseFields, trimmed } from "./field-lines.ts"
import type { KnownFields } from "./known-fields.ts"

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

/** A higher minor version is read as 1.1 (RFC 9112 section 2.3). */
const STATUS_LINE = /^HTTP\/1\.(\d) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
/** How nearly all heads begin, and what the pattern would find in that. */
const USUAL = "HTTP/1.1 200 OK\r\n"
const USUAL_PARTS = [USUAL, "1", "200"] as const
const LENGTH = /^\d{1,15}$/

/**
 * @param text everything before the blank line, as Latin-1
 * @param known those met in heads before
 * @throws MalformedMessage
 */
export function parseHead(text: string, known: KnownFields): Head {
  const isUsual = text.startsWith(USUAL)
  const end = isUsual ? USUAL.length - LINE_END : lineEnd(text, 0)
  const [, minor, code] = isUsual ? USUAL_PARTS : (STATUS_LINE.exec(text.slice(0, end)) ?? [])
  if (code === undefined) throw new MalformedMessage("the first line is no status line")
  const { fields, length } = parseFields(text, end, known)
  const status = Number(code)
  const isRecent = minor !== "0"
  const framing = framingOf(status, fields, length)
  return {
    status,
    fields,
    framing,
    // Chunks from a server of HTTP/1.0 are a mistake, and where they end is not sure (RFC 9112 section 6.1).
    lasts: framing !== "close" && isKept(isRecent, fields) && (isRecent || framing !== "chunked"),
    restMs: restOf(fields["keep-alive"]),
  }
}

/** RFC 9112 section 6.3, for answers to GET and POST. */
function framingOf(status: number, fields: HeaderFields, length: number | null): Framing {
  if (status < 200 || status === 204 || status === 304) return 0
  const coding = fields["transfer-encoding"]
  if (typeof coding === "string") {
    if (coding.toLowerCase() !== "chunked") throw new MalformedMessage("the transfer coding is not known")
    // An attempt to smuggle an answer past somebody looks like this (RFC 9112 section 6.3, rule 3).
    if (length !== null) throw new MalformedMessage("both a length and a transfer coding are given")
    return "chunked"
  }
  if (length === null) return "close"
  if (length !== NO_NUMBER) return length
  const told = String(fields["content-length"]).split(",").map(trimmed)
  const [first = ""] = told
  if (!LENGTH.test(first) || told.some((part) => part !== first)) throw new MalformedMessage("the length is no number")
  return Number(first)
}

function restOf(value: HeaderFields[string] | undefined): number | null {
  const seconds = typeof value === "string" ? /(?:^|[,;\s])timeout=(\d{1,6})/i.exec(value)?.[1] : undefined
  return seconds === undefined ? null : Number(seconds) * 1000
}
