import type { ClientError } from "./ports.ts"

/** What the client gets who left before there was an answer (nginx's code); nobody reads it. */
export const CLIENT_GONE = 499

/** Should a provider fail to word even its own failure. */
export const SPEECHLESS: ClientError = { status: 500, body: '{"error":{"message":"Internal error."}}' }

/** The client's answer for an error in its API's shape. */
export function reply(error: ClientError): Response {
  const headers: Record<string, string> = { "content-type": error.contentType ?? "application/json" }
  if (error.retryAfter !== undefined) headers["retry-after"] = String(Math.max(0, Math.ceil(error.retryAfter)))
  return new Response(error.body, { status: error.status, headers })
}

/** Bytes as `Response` wants them typed: a view of the same memory, unless that is shared between threads. */
export function bodyOf(body: Uint8Array | string): Uint8Array<ArrayBuffer> | string {
  if (typeof body === "string") return body
  const { buffer, byteOffset, length } = body
  return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(body)
}
