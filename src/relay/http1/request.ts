import type { UpstreamInit } from "../ports.ts"
import type { Target } from "./origin.ts"

/** Bodies up to this size, in bytes, go out in one write with their head. */
const ONE_WRITE_BYTES = 64 * 1024

const NONE: Readonly<Record<string, string>> = {}
const NO_BODY = "Content-Length: 0\r\n"

/** A request as it goes over the connection. */
export interface RequestBytes {
  /** The head, with the body behind it where that is small; as a text, which the socket encodes as UTF-8 by itself, where both are. */
  readonly head: Uint8Array | string
  /** A body that is not in `head`. */
  readonly body: Uint8Array | null
}

/** Makes requests into bytes. */
export class RequestWriter {
  /** What follows the method, up to and with the shared headers: looked through once. */
  private readonly begun = new WeakMap<object, WeakMap<Target, string>>()

  /** @throws TypeError a field that could be read as more than one, or that is not ASCII: none of ours is such */
  bytes(target: Target, { method, headers, shared = NONE, body }: UpstreamInit): RequestBytes {
    let head = `${method} ${this.beginning(target, shared)}${fieldLines(headers)}`
    // One that could have a body says that it has none (RFC 9110 section 8.6).
    if (body === undefined) return { head: `${head}${method === "POST" ? NO_BODY : ""}\r\n`, body: null }
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length
    head += `Content-Length: ${length}\r\n\r\n`
    if (length > ONE_WRITE_BYTES) return { head, body: typeof body === "string" ? Buffer.from(body) : body }
    if (typeof body === "string") return { head: head + body, body: null }
    const bytes = Buffer.allocUnsafe(head.length + length)
    bytes.write(head, 0, "latin1")
    bytes.set(body, head.length)
    return { head: bytes, body: null }
  }

  private beginning(target: Target, shared: Readonly<Record<string, string>>): string {
    let texts = this.begun.get(shared)
    if (texts === undefined) {
      texts = new WeakMap()
      this.begun.set(shared, texts)
    }
    let text = texts.get(target)
    if (text === undefined) {
      const { path, origin } = target
      text = `${path} HTTP/1.1\r\n${fieldLines({ Host: origin.host, Connection: "keep-alive", ...shared })}`
      texts.set(target, text)
    }
    return text
  }
}

/** @throws TypeError */
function fieldLines(headers: Readonly<Record<string, string>>): string {
  let text = ""
  let lines = 0
  for (const name in headers) {
    text += `${name}: ${headers[name]}\r\n`
    lines++
  }
  if (!isMadeOf(lines, text)) throw new TypeError("a header with a line end or NUL in it cannot be sent")
  // Cut down to single bytes, such a character may become a line end.
  if (Buffer.byteLength(text) !== text.length) throw new TypeError("a header that is not ASCII cannot be sent")
  return text
}

/** Whether a text has so many lines, which end as they should and nowhere else: a value cannot have brought one of its own. */
function isMadeOf(lines: number, text: string): boolean {
  let from = 0
  for (let i = 0; i < lines; i++) {
    const end = text.indexOf("\r", from)
    if (end === -1 || text.indexOf("\n", from) !== end + 1) return false
    from = end + 2
  }
  return from === text.length && !text.includes("\0")
}
