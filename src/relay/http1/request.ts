import type { UpstreamInit } from "../ports.ts"
import type { Origin } from "./origin.ts"

/** Bodies up to this size, in bytes, go out in one write with their head. */
const ONE_WRITE_BYTES = 64 * 1024

const NO_BODY = "Content-Length: 0\r\n"

/** A request as it goes over the connection. */
export interface RequestBytes {
  /** The head, with the body behind it where that is small; as a text, which the socket encodes as UTF-8 by itself, where both are. */
  readonly head: Uint8Array | string
  /** A body that is not in `head`. */
  readonly body: Uint8Array | null
}

/**
 * @param path the request's target, with its query
 * @throws TypeError a field that could be read as more than one, or that is not ASCII: none of ours is such
 */
export function requestBytes({ host }: Origin, path: string, init: UpstreamInit): RequestBytes {
  const { method, headers, body } = init
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\n`
  for (const name in headers) {
    const value = headers[name] ?? ""
    if (isUnsafe(name) || isUnsafe(value)) throw new TypeError(`the header ${JSON.stringify(name)} cannot be sent`)
    head += `${name}: ${value}\r\n`
  }
  // Cut down to single bytes, such a character may become a line end.
  if (Buffer.byteLength(head) !== head.length) throw new TypeError("a header that is not ASCII cannot be sent")
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

function isUnsafe(text: string): boolean {
  return text.includes("\n") || text.includes("\r") || text.includes("\0")
}
