import type { HeaderFields } from "../../relay/headers.ts"

/** Reason phrases (RFC 9110 section 15); a status without one is as good. */
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  422: "Unprocessable Content",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
}

/** Ours to say. */
const FRAMING: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "transfer-encoding",
  "date",
  "keep-alive",
])

export interface AnswerHead {
  readonly status: number
  /** Names in lower case. */
  readonly fields: HeaderFields
  /** Where the body ends: a number of bytes, the last chunk, or the connection's end; null for an answer that has none by its status. */
  readonly framing: number | "chunked" | "close" | null
  /** Whether the connection carries another request after this one. */
  readonly lasts: boolean
  /** The client knows HTTP/1.1, where connections last unless somebody says otherwise. */
  readonly recent: boolean
  /** A Date field's line, with its end. */
  readonly date: string
}

/** An answer's head as it goes over the connection, blank line included; Latin-1. @throws TypeError for a field that could be read as several */
export function answerHead({ status, fields, framing, lasts, recent, date }: AnswerHead): string {
  let text = `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${lines(fields)}${date}`
  const options = connection(fields, lasts, recent)
  if (options !== "") text += line("connection", options)
  if (typeof framing === "number") return `${text}content-length: ${framing}\r\n\r\n`
  return framing === "chunked" ? `${text}transfer-encoding: chunked\r\n\r\n` : `${text}\r\n`
}

/** What is to be said of the connection, beside what the fields name in it (an upgrade). */
function connection(fields: HeaderFields, lasts: boolean, recent: boolean): string {
  const named = typeof fields.connection === "string" ? fields.connection : ""
  const ours = lasts ? (recent ? "" : "keep-alive") : closes(fields) ? "" : "close"
  return named === "" || ours === "" ? named + ours : `${named}, ${ours}`
}

/** Whether the fields say that the connection ends with this answer. */
export function closes({ connection }: HeaderFields): boolean {
  return typeof connection === "string" && /(?:^|,)\s*close\s*(?:,|$)/i.test(connection)
}

/** What could end a line, or a text, for some reader; and what, cut down to single bytes, may become such. */
const BREAKS = /[\r\n\0\u0100-\uffff]/

function lines(fields: HeaderFields): string {
  let text = ""
  for (const name in fields) {
    const value = fields[name]
    if (value === undefined || FRAMING.has(name)) continue
    if (typeof value === "string") text += line(name, value)
    else for (const one of value) text += line(name, one)
  }
  return text
}

function line(name: string, value: string): string {
  // One after the other: a text of both would be put together for this alone.
  if (BREAKS.test(name) || BREAKS.test(value)) {
    throw new TypeError(`the answer's field ${JSON.stringify(name)} holds a line end`)
  }
  return `${name}: ${value}\r\n`
}
