/** Second tries of one call with less in it, or with another version (spec codex 6.2). Null: it would be the same call again. */
import type { CodexCall } from "./call.ts"
import { stripEncrypted, stripIds, without } from "./items.ts"
import { type Json, parseObject } from "./json.ts"
import { compareVersions } from "./version.ts"

/** Most parameters taken out of one call, one attempt each. */
const MAX_PARAMETERS = 3

export function withoutParameter(call: CodexCall, name: string): CodexCall | null {
  const body = bodyOf(call)
  if (body === null || !(name in body) || call.parametersDropped >= MAX_PARAMETERS) return null
  return { ...call, body: JSON.stringify(without(body, name)), parametersDropped: call.parametersDropped + 1 }
}

export function withoutEncrypted(call: CodexCall): CodexCall | null {
  return withInput(call, stripEncrypted)
}

export function withoutIds(call: CodexCall): CodexCall | null {
  return withInput(call, stripIds)
}

export function withVersion(call: CodexCall, version: string): CodexCall | null {
  return compareVersions(version, call.version) > 0 ? { ...call, version } : null
}

/** The call without its body, as long as a stream runs that no further attempt can follow. */
export function trimmed(call: CodexCall): CodexCall {
  return { ...call, body: "" }
}

function withInput(call: CodexCall, strip: (input: readonly unknown[]) => readonly unknown[] | null): CodexCall | null {
  const body = bodyOf(call)
  if (body === null || !Array.isArray(body.input)) return null
  const input = strip(body.input)
  return input === null ? null : { ...call, body: JSON.stringify({ ...body, input }) }
}

/** The sent body, parsed anew: amending is rare, so no call carries a second form of its body. */
function bodyOf(call: CodexCall): Json | null {
  return parseObject(typeof call.body === "string" ? call.body : new TextDecoder().decode(call.body))
}
