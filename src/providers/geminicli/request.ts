/** A client's body as Cloud Code takes it. Bytes stay as they came unless something has to change. */

import { isTooDeep } from "../../http/nesting.ts"
import { copied } from "../../observe/copied.ts"
import type { HeaderReader, Pieces } from "../../relay/ports.ts"
import { sessionsOf } from "../../relay/sessions.ts"
import { spanOf } from "../../relay/span.ts"
import type { Form, GeminiCall, Verb } from "./call.ts"
import { type Change, locate } from "./changes.ts"
import { applyEdits, isObject, isObjectAt, type JsonObject, memberOf, skipSpace, textOr } from "./json.ts"
import { normalise } from "./normalise.ts"
import { findHoles, type Signatures, withoutSignatures } from "./signatures.ts"
import type { Wrapper } from "./wrapper.ts"

/** Strict: what is not UTF-8 is not JSON (RFC 8259 8.1). A BOM stays, and is refused by the parser. */
const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export interface Asked {
  readonly model: string
  readonly verb: Verb
  readonly form: Form
  /** Names of the session that the client sent in headers. */
  readonly sessions: readonly string[]
  readonly promptId: Uint8Array
}

export type Parsed =
  | { readonly call: GeminiCall; readonly fault: null }
  | {
      readonly call: null
      readonly fault: { readonly kind: "invalid_json" | "invalid_request"; readonly message: string }
    }

const fail = (kind: "invalid_json" | "invalid_request", message: string): Parsed => ({
  call: null,
  fault: { kind, message },
})

/**
 * Proves that the body is exactly one JSON object, so that nothing in it can reach out of its place in the envelope, and puts it
 * into the form that Cloud Code accepts.
 */
export function parseRequest(body: Uint8Array, asked: Asked): Parsed {
  const value = isTooDeep(spanOf(body)) ? undefined : parseStrictly(body)
  if (value === undefined) return fail("invalid_json", "invalid JSON")
  if (!isObject(value)) return fail("invalid_request", "the request body must be a JSON object")
  const place = asked.verb === "countTokens" ? countedPart(body, value) : { bytes: body, value }
  const changes = changesOf(place.value, asked)
  const named = textOr(place.value.session_id)
  const request = changed(place.bytes, changes)
  const final = changes.length === 0 ? place.value : parseStrictly(request)
  return {
    call: {
      model: asked.model,
      stream: asked.verb === "streamGenerateContent",
      sessions: named === null ? asked.sessions : sessionsOf([...asked.sessions, named]),
      verb: asked.verb,
      form: asked.form,
      request,
      holes: asked.verb === "countTokens" || !isObject(final) ? [] : findHoles(asked.model, final),
      promptId: asked.promptId,
      amended: "none",
    },
    fault: null,
  }
}

function parseStrictly(body: Uint8Array): unknown {
  try {
    return JSON.parse(STRICT.decode(body))
  } catch {
    return undefined
  }
}

function changed(bytes: Uint8Array, changes: readonly Change[]): Uint8Array {
  return changes.length === 0 ? bytes : applyEdits(bytes, locate(bytes, skipSpace(bytes, 0), changes))
}

function changesOf(request: JsonObject, asked: Asked): readonly Change[] {
  const changes = normalise(request)
  if (asked.verb === "countTokens") return [...changes, ...countChanges(request, asked.model)]
  const session = asked.sessions[0]
  if (session === undefined || Object.hasOwn(request, "session_id")) return changes
  return [...changes, { path: [], op: "insert", member: `"session_id":${JSON.stringify(session)}` }]
}

/** The Gemini API takes the request to count as the body or as its `generateContentRequest`. */
function countedPart(bytes: Uint8Array, value: JsonObject): { bytes: Uint8Array; value: JsonObject } {
  for (const key of ["generateContentRequest", "generate_content_request"]) {
    const inner = value[key]
    if (!isObject(inner)) continue
    const member = memberOf(bytes, skipSpace(bytes, 0), key)
    if (member !== null) return { bytes: bytes.subarray(member.value.start, member.value.end), value: inner }
  }
  return { bytes, value }
}

/** What has no tokens to count, and is refused by some versions of countTokens (spec 4.4). */
const NOT_COUNTED = new Set(["safetySettings", "safety_settings", "labels", "session_id"])

function countChanges(request: JsonObject, model: string): Change[] {
  const dropped = Object.keys(request).filter((key) => NOT_COUNTED.has(key))
  return [
    ...dropped.map((key): Change => ({ path: [key], op: "remove" })),
    { path: [], op: "insert", member: `"model":${JSON.stringify(`models/${model}`)}` },
  ]
}

/** The envelope to send with a credential. */
export function envelopeFor(
  call: GeminiCall,
  who: { readonly project: string; readonly credential: number },
  signatures: Signatures,
  wrapper: Wrapper,
): Pieces {
  if (call.verb === "countTokens") return wrapper.count(call.request)
  const request =
    call.holes.length === 0
      ? call.request
      : changed(call.request, signatures.fill(call.model, call.holes, who.credential))
  return wrapper.request({ model: call.model, project: who.project, promptId: call.promptId }, request)
}

/** The same call with no signature left that could be refused; null if there was nothing to change. */
export function withDummySignatures(call: GeminiCall): GeminiCall | null {
  if (call.amended !== "none" || call.verb === "countTokens") return null
  const request = parseStrictly(call.request)
  const changes = isObject(request) ? withoutSignatures(call.model, request) : []
  if (changes.length === 0 && call.holes.length === 0) return null
  // Holes were filled when it was sent; from now on the dummy stands in them, or nothing.
  return { ...call, request: changed(call.request, changes), holes: [], amended: "signatures" }
}

/** countTokens as the official client sends it: the model and the contents alone. Null if that is what was sent. */
export function narrowCount(call: GeminiCall): GeminiCall | null {
  if (call.verb !== "countTokens" || call.amended !== "none") return null
  const request = parseStrictly(call.request)
  if (!isObject(request) || !isObjectAt(call.request, skipSpace(call.request, 0))) return null
  const changes = Object.keys(request)
    .filter((key) => key !== "model" && key !== "contents")
    .map((key): Change => ({ path: [key], op: "remove" }))
  return changes.length === 0 ? null : { ...call, request: changed(call.request, changes), amended: "count" }
}

/** Whether the request names files or caches of some account: then a refusal may be about those, not about the credential. */
export function namesResources(call: GeminiCall): boolean {
  const request = Buffer.from(call.request.buffer, call.request.byteOffset, call.request.byteLength)
  return ['"fileUri"', '"file_uri"', '"cachedContent"'].some((name) => request.includes(name))
}

const NOTHING = new Uint8Array(0)
const A_RESOURCE = new TextEncoder().encode('"fileUri"')

/** The call without its body, as long as a stream runs that no further attempt can follow: verdicts on its end stay the same. */
export function trimmed(call: GeminiCall): GeminiCall {
  return { ...call, request: namesResources(call) ? A_RESOURCE : NOTHING, promptId: NOTHING }
}

const NO_SESSIONS: readonly string[] = []

/** Names of the session that the client sent in headers, best first. */
export function sessionHeaders(headers: HeaderReader): readonly string[] {
  const named = headers.get("session-id")
  const underscored = headers.get("session_id")
  const own = headers.get("x-session-id")
  if (named === null && underscored === null && own === null) return NO_SESSIONS
  // The scheduler remembers them for hours.
  return sessionsOf([named, underscored, own]).map(copied)
}
