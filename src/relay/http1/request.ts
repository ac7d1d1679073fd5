import type { UpstreamInit } from "../ports.ts"
import type { Origin } from "./origin.ts"

/** Bodies up to this size, in bytes, go out in one write with their head. */
const ONE_WRITE_BYTES = 64 * 1024

/** A request as it goes over the connection. */
export interface RequestBytes {
  /** The head, with the body behind it where that is small. */
  readonly head: Buffer
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
  const length = body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.length
  head += body === undefined ? "\r\n" : `Content-Length: ${length}\r\n\r\n`
  const headLength = head.length
  if (Buffer.byteLength(head) !== headLength) throw new TypeError("a header that is not ASCII cannot be sent")
  if (body === undefined) return { head: Buffer.from(head), body: null }
  if (length > ONE_WRITE_BYTES)
    return { head: Buffer.from(head), body: typeof body === "string" ? Buffer.from(body) : body }
  // Not out of Node's shared pool: the connection may keep it for a while.
  const bytes = Buffer.allocUnsafeSlow(headLength + length)
  bytes.write(head, 0, "latin1")
  if (typeof body === "string") bytes.write(body, headLength, "utf8")
  else bytes.set(body, headLength)
  return { head: bytes, body: null }
}

function isUnsafe(text: string): boolean {
  return text.includes("\n") || text.includes("\r") || text.includes("\0")
}
