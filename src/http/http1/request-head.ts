/** The head of a client's request (RFC 9112), read strictly: what two readers could understand differently is refused. Pure. */
import { copied } from "../../observe/copied.ts"
import type { HeaderFields } from "../../relay/headers.ts"
import {
  isKept,
  lineEnd,
  MalformedMessage,
  NO_NUMBER,
  parseFields,
  TooManyFields,
} from "../../relay/http1/field-lines.ts"
import type { KnownFields } from "../../relay/http1/known-fields.ts"
import type { Target } from "../target.ts"
import { Refusal } from "./refusal.ts"

/** Largest head that is read, in bytes. */
export const HEAD_BYTES = 16 * 1024
/** Most field lines in one. */
export const MOST_FIELDS = 200

export interface RequestHead {
  readonly method: string
  readonly target: Target
  /** By name in lower case; fields that came several times are joined by ", ", but for `set-cookie`. */
  readonly fields: HeaderFields
  /** Where the body ends (RFC 9112 section 6.3): a number of bytes, 0 for no body, or the last chunk. */
  readonly framing: number | "chunked"
  /** Whether the client wants to send another request over the connection (RFC 9112 section 9.3). */
  readonly lasts: boolean
  /** HTTP/1.1 or later: knows chunks. */
  readonly recent: boolean
  /** Waits for a 100 before it sends its body (RFC 9110 section 10.1.1). */
  readonly expects: boolean
}

/** What the first line says. */
interface FirstLine {
  readonly text: string
  readonly method: string
  readonly target: Target
  readonly recent: boolean
}

/** A higher minor version is read as 1.1 (RFC 9112 section 2.3). */
const FIRST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/
const ABSOLUTE = /^https?:\/\/([^/?]+)/i
/** A host and its port (RFC 3986 section 3.2.2); no user, no path, no second one. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[\w.~!$&'()*+;=%-]*)(?::\d{0,5})?$/i
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/
/** A path that means what it says: nothing in it is written otherwise by the rules for URLs (WHATWG URL 4.4). */
const PLAIN = /^\/[\w!$&()*+,;=:@~./-]*$/

/** Of RFC 9110 section 9, and PATCH (RFC 5789). What two bytes too many make of one is none of them (checks B3). */
const METHODS: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "PATCH",
])

const MOST_KNOWN = 512
/** Longest first line that is kept, in characters. */
const KNOWN_LENGTH = 256

/** Reads heads; keeps first lines that it has met, since clients ask for the same few things again and again. */
export class RequestHeads {
  private readonly known = new Map<string, FirstLine>()
  private last: FirstLine | null = null

  /** @param fields those met in heads before */
  constructor(private readonly fields: KnownFields) {}

  /**
   * @param text everything before the blank line, as Latin-1
   * @throws Refusal
   */
  read(text: string): RequestHead {
    try {
      return this.parsed(text)
    } catch (error) {
      if (error instanceof TooManyFields) throw new Refusal(431, error.message)
      throw error instanceof MalformedMessage ? new Refusal(400, error.message) : error
    }
  }

  private parsed(text: string): RequestHead {
    const end = lineEnd(text, 0)
    const { method, target, recent } = this.firstLine(text, end)
    if (CONTROLS.test(text)) throw new Refusal(400, "the head holds a control character")
    const { fields, length } = parseFields(text, end, this.fields, MOST_FIELDS)
    checkHost(fields.host, recent)
    return {
      method,
      target,
      fields,
      framing: framingOf(fields, length, recent),
      lasts: isKept(recent, fields),
      recent,
      expects: recent && expectation(fields.expect),
    }
  }

  /** @param end where the line does */
  private firstLine(head: string, end: number): FirstLine {
    const { last } = this
    if (last !== null && last.text.length === end && head.startsWith(last.text)) return last
    const text = head.slice(0, end)
    // A query may hold a key.
    if (end > KNOWN_LENGTH || text.includes("?")) return parseFirstLine(text)
    let line = this.known.get(text)
    if (line === undefined) {
      line = parseFirstLine(copied(text))
      if (this.known.size >= MOST_KNOWN) this.known.clear()
      this.known.set(line.text, line)
    }
    this.last = line
    return line
  }
}

/** @throws Refusal */
function parseFirstLine(text: string): FirstLine {
  const [, method = "", raw = "", major, minor] = FIRST_LINE.exec(text) ?? []
  if (method === "") throw new Refusal(400, "the first line is no request line of HTTP/1.1")
  if (major !== "1") throw new Refusal(505, "only HTTP/1.1 is spoken here")
  if (!METHODS.has(method)) throw new Refusal(501, "the method is not known here")
  const target = parseTarget(raw)
  if (target === null) throw new Refusal(400, "the request's target is not valid: a path is expected")
  return { text, method, target, recent: minor !== "0" }
}

/** The origin form, or the absolute form without its host, which decides nothing (checks B6); null for all others. */
function parseTarget(raw: string): Target | null {
  const path = raw.startsWith("/") ? raw : withoutHost(raw)
  if (path === null || path.includes("#")) return null
  const mark = path.indexOf("?")
  const before = mark === -1 ? path : path.slice(0, mark)
  const isPlain = PLAIN.test(before) && !before.includes("/.")
  return {
    path: isPlain ? before : new URL(`http://localhost${before}`).pathname,
    query: mark === -1 ? "" : path.slice(mark + 1),
  }
}

/** What is left of an absolute target without its scheme and host, with the slash that may be left out. */
function withoutHost(raw: string): string | null {
  const [start = "", host = ""] = ABSOLUTE.exec(raw) ?? []
  if (host === "" || !HOST.test(host)) return null
  const rest = raw.slice(start.length)
  return rest.startsWith("/") ? rest : `/${rest}`
}

/** One in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112 section 3.2). @throws Refusal */
function checkHost(host: HeaderFields[string] | undefined, recent: boolean): void {
  if (host === undefined && !recent) return
  if (typeof host !== "string" || !HOST.test(host)) throw new Refusal(400, "one valid Host is expected")
}

/** RFC 9112 section 6.3. @throws Refusal */
function framingOf(fields: HeaderFields, length: number | null, recent: boolean): number | "chunked" {
  const coding = fields["transfer-encoding"]
  if (coding !== undefined) {
    // An attempt to smuggle a request past somebody looks like this (rules 3 and 4).
    if (length !== null) throw new Refusal(400, "both a length and a transfer coding are given")
    if (!recent) throw new Refusal(400, "HTTP/1.0 has no transfer codings")
    if (typeof coding !== "string" || coding.toLowerCase() !== "chunked") {
      throw new Refusal(400, "the transfer coding is not known: chunked is expected")
    }
    return "chunked"
  }
  if (length === NO_NUMBER) throw new Refusal(400, "one Content-Length is expected, and a number")
  return length ?? 0
}

/** @throws Refusal */
function expectation(expect: HeaderFields[string] | undefined): boolean {
  if (expect === undefined) return false
  if (expect === "100-continue" || String(expect).toLowerCase() === "100-continue") return true
  throw new Refusal(417, "of all expectations only 100-continue is met")
}
