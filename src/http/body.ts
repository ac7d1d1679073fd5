import type { HeaderReader } from "../relay/ports.ts"
import { spanOf } from "../relay/span.ts"
import { codingOf, decode } from "./coding.ts"
import { isTooDeep } from "./nesting.ts"
import { type ClientRequest, HttpError } from "./ports.ts"

/** Largest request body in bytes, counted after decoding. */
export const BODY_LIMIT = 30 * 1024 * 1024

/** The client went away before its last byte. */
export const ENDED_EARLY = { kind: "bad_request", message: "the request body ended early" } as const

/** Hears when the last byte of a request is in our hands. */
export interface Receiver {
  receivedAll(): void
}

/**
 * The whole body, decoded.
 * @param limit largest size in bytes, before and after decoding
 * @throws HttpError too_large, unsupported_media, bad_request (damaged, or the client stopped sending)
 */
export async function readBody(
  request: ClientRequest,
  limit: number = BODY_LIMIT,
  receiver?: Receiver,
): Promise<Uint8Array> {
  const { headers, length } = request
  const encoding = headers.get("content-encoding")
  const coding = encoding === null ? null : codingOf(encoding)
  if (length !== null && length > limit) throw tooLarge()
  let bytes: Uint8Array
  try {
    // With a declared length the server itself stops there, and one buffer is half as dear as a stream (platform spec 4.5).
    bytes = await (length === null ? collect(request, limit) : request.bytes())
  } catch (error) {
    throw error instanceof HttpError ? error : new HttpError(ENDED_EARLY)
  }
  receiver?.receivedAll()
  return coding === null ? bytes : decode(bytes, coding, limit)
}

async function collect(request: ClientRequest, limit: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0)
  const reader = request.body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const chunk = await reader.read()
    if (chunk.done) break
    size += chunk.value.byteLength
    if (size > limit) {
      await reader.cancel().catch(() => undefined)
      throw tooLarge()
    }
    chunks.push(chunk.value)
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

function tooLarge(): HttpError {
  return new HttpError({ kind: "too_large", message: "request body too large" })
}

const UTF8 = new TextDecoder("utf-8", { fatal: true })

/**
 * A body as JSON, of any shape.
 * @throws HttpError invalid_json, also for what is not UTF-8 or nested too deeply
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (isTooDeep(spanOf(bytes))) throw new HttpError({ kind: "invalid_json", message: "invalid JSON" })
  try {
    return JSON.parse(UTF8.decode(bytes))
  } catch {
    throw new HttpError({ kind: "invalid_json", message: "invalid JSON" })
  }
}

/**
 * A JSON object's own members; an absent body counts as an empty object.
 * @throws HttpError invalid_json, invalid_request
 */
export function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.byteLength === 0) return {}
  const value = parseJson(bytes)
  if (!isObject(value)) throw new HttpError({ kind: "invalid_request", message: "expected a JSON object" })
  return value
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** An own member of an object handed in by a client: nothing inherited is ever read. */
export function member(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** Whether a request's content type is JSON, or not stated. */
export function saysJson(headers: HeaderReader): boolean {
  const type = headers.get("content-type")
  return type === null || /^\s*application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)
}
