/** Client body -> upstream body (spec codex 3). The body is parsed once and serialised at most once. */

import { isTooDeep } from "../../http/nesting.ts"
import { HttpError } from "../../http/ports.ts"
import type { HeaderReader } from "../../relay/ports.ts"
import { type Span, strictTextOf, viewOf } from "../../relay/span.ts"
import {
  FIELD_RULES,
  type FieldContext,
  type FieldRule,
  hasTools,
  isCompactField,
  LITE_RULES,
  missingCompactFields,
  missingFields,
  missingLiteFields,
} from "./fields.ts"
import { flipped } from "./flip.ts"
import { hasOrphanOutput } from "./items.ts"
import { isObject, type Json } from "./json.ts"

/** The client's body, understood as far as it must be. */
export interface Parsed {
  readonly body: Json
  readonly text: string
  readonly source: Span
}

export interface Normalised {
  readonly body: Uint8Array<ArrayBuffer> | string
  /** Names of fields that were left out, for the log. */
  readonly dropped: readonly string[]
}

const BOM = 0xef
const NOTHING: readonly string[] = []
const nothing = (): boolean => false

/** @throws HttpError invalid_json (not UTF-8, not JSON, nested too deeply), invalid_request (not an object) */
export function parseBody(source: Span): Parsed {
  let text: string
  let value: unknown
  if (isTooDeep(source)) throw new HttpError({ kind: "invalid_json", message: "invalid JSON" })
  try {
    text = strictTextOf(source)
    value = JSON.parse(text)
  } catch {
    throw new HttpError({ kind: "invalid_json", message: "invalid JSON" })
  }
  if (!isObject(value)) throw new HttpError({ kind: "invalid_request", message: "invalid request" })
  return { body: value, text, source }
}

/**
 * The upstream body of `POST /responses`.
 * @param refused names the backend has refused for this model before
 * @param cacheKey the session's name, used as prompt_cache_key where the client gives none
 * @throws HttpError invalid_request: `previous_response_id` with an input that makes no sense without it
 */
export function normalise(
  parsed: Parsed,
  lite: boolean,
  refused: readonly string[],
  cacheKey: string | null,
): Normalised {
  const { body } = parsed
  if (lite) return rewritten(parsed, LITE_RULES, missingLiteFields(body), { hasTools: false }, nothing)
  refuseForeignHistory(body)
  const context: FieldContext = { hasTools: hasTools(body) }
  const missing = missingFields(body, context, cacheKey, refused)
  return rewritten(
    parsed,
    FIELD_RULES,
    missing,
    context,
    refused.length === 0 ? nothing : (name) => refused.includes(name),
  )
}

/** The upstream body of `POST /responses/compact`. */
export function normaliseCompact(parsed: Parsed, refused: readonly string[]): Normalised {
  const { body } = parsed
  const context: FieldContext = { hasTools: hasTools(body) }
  const isDropped = (name: string): boolean => !isCompactField(name) || refused.includes(name)
  return rewritten(parsed, FIELD_RULES, missingCompactFields(body), context, isDropped)
}

/** Whether body and header agree that this is a responses-lite request (spec codex 3.2): only both together are forwarded. */
export function isLite(headers: HeaderReader, body: Json): boolean {
  if (!isObject(body.reasoning) || body.reasoning.context !== "all_turns") return false
  return headers.get("x-openai-internal-codex-responses-lite") === "true"
}

/** The backend keeps no responses, so a turn that builds on one must bring its history itself. */
function refuseForeignHistory(body: Json): void {
  if (typeof body.previous_response_id !== "string" || !Array.isArray(body.input)) return
  if (!hasOrphanOutput(body.input)) return
  const message =
    "previous_response_id is not available: the backend stores no responses. " +
    "Send the whole conversation in `input`, the function calls that its outputs answer included."
  throw new HttpError({ kind: "invalid_request", message })
}

function rewritten(
  parsed: Parsed,
  rules: typeof FIELD_RULES,
  missing: Readonly<Record<string, unknown>>,
  context: FieldContext,
  isDropped: (name: string) => boolean,
): Normalised {
  const { body, text, source } = parsed
  /** The new body, once a field has changed. */
  let changed: Record<string, unknown> | null = null
  /** Flags that are turned over. */
  const flags: Record<string, boolean> = {}
  const dropped: string[] = []
  for (const name in body) {
    const value = body[name]
    const next = isDropped(name) ? undefined : applied(rules.get(name), value, context)
    if (next === undefined) dropped.push(name)
    if (next === value) continue
    if (typeof value === "boolean" && typeof next === "boolean") {
      flags[name] = next
      continue
    }
    // Own members all, also one that is called `__proto__`; those that are undefined are not written.
    changed ??= { ...missing, ...body }
    changed[name] = next
  }
  const edited = changed === null ? withFlags(text, flags) : null
  if (edited === null) return { body: JSON.stringify({ ...(changed ?? { ...missing, ...body }), ...flags }), dropped }
  if (!isEmpty(missing)) return { body: inFront(edited, JSON.stringify(missing).slice(1, -1)), dropped: NOTHING }
  // The backend takes no byte order mark.
  const isClean = edited === text && source.bytes[source.from] !== BOM
  return { body: isClean ? owned(viewOf(source)) : edited, dropped: NOTHING }
}

function withFlags(text: string, flags: Readonly<Record<string, boolean>>): string | null {
  let edited: string | null = text
  for (const name in flags) edited = edited === null ? null : flipped(edited, name, flags[name] === false)
  return edited
}

function applied(rule: FieldRule | undefined, value: unknown, context: FieldContext): unknown {
  return rule === undefined ? value : rule(value, context)
}

/** The client's text with fields put in front of its first one: everything else keeps its bytes. */
function inFront(text: string, additions: string): string {
  const open = text.indexOf("{")
  const rest = text.slice(open + 1)
  return /^\s*\}/.test(rest) ? `{${additions}${rest}` : `{${additions},${rest}`
}

function isEmpty(object: object): boolean {
  for (const _ in object) return false
  return true
}

/** The same bytes, typed as what fetch takes; copied only if they lie in shared memory. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes)
}
