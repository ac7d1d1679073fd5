/** One API request -> the call that the relay serves, or the error it deserves (spec codex 0, 3, 8.2). */
import { saysJson } from "../../http/body.ts"
import type { ApiContext } from "../../http/ports.ts"
import type { ClientError } from "../../relay/ports.ts"
import type { Span } from "../../relay/span.ts"
import type { CodexCall } from "./call.ts"
import { callerOf } from "./caller.ts"
import { hasReference } from "./items.ts"
import { text } from "./json.ts"
import { localError, openaiError } from "./refusal.ts"
import { isLite, normalise, normaliseCompact, parseBody } from "./request.ts"
import { cacheKeyOf, sessionHeader, sessionNames } from "./sessions.ts"
import { forwardedHeaders, turnStateOf } from "./upstream.ts"
import { newer } from "./version.ts"

export interface AcceptDeps {
  readonly modelList: readonly string[]
  readonly clientVersion: string
  /** Parameters that the backend has refused for a model. */
  readonly refused: (model: string) => readonly string[]
}

/** The backend's own words for it advise `store: true`, which it refuses. */
const NO_ITEMS = openaiError(400, {
  message:
    "item_reference is not available: the backend stores no items. Send the items themselves " +
    "(in the AI SDK: providerOptions.openai.store = false).",
  type: "invalid_request_error",
  code: "item_reference_not_available",
  param: "input",
})

export type Accepted =
  | { readonly call: CodexCall; readonly dropped: readonly string[]; readonly error: null }
  | { readonly call: null; readonly error: ClientError }

/** Why a request is refused before its body is read, or null. */
export function refuseUnread({ request }: ApiContext): ClientError | null {
  if (saysJson(request.headers)) return null
  return localError(400, "INVALID_REQUEST", "invalid request: the content type must be application/json")
}

/** @throws HttpError invalid_json, invalid_request */
export function accept(context: ApiContext, source: Span, endpoint: CodexCall["endpoint"], deps: AcceptDeps): Accepted {
  const parsed = parseBody(source)
  const { body } = parsed
  const { headers } = context.request
  if (typeof body.model !== "string" || body.model.trim() === "") {
    return refused("INVALID_MODEL", "missing or empty model")
  }
  const { models } = context.principal
  // The list's own text, of which the hash is known wherever something is looked up by it.
  const model = deps.modelList[deps.modelList.indexOf(body.model)]
  if (model === undefined || (models !== null && !models.includes(model))) {
    return refused("UNSUPPORTED_MODEL", "unsupported model (exact match required)")
  }
  const caller = callerOf(headers)
  const lite = endpoint === "responses" && isLite(headers, body)
  if (!lite && hasReference(body.input)) return { call: null, error: NO_ITEMS }
  const session = sessionHeader(headers)
  const refusedNames = deps.refused(model)
  const normalised =
    endpoint === "compact"
      ? normaliseCompact(parsed, refusedNames)
      : normalise(parsed, lite, refusedNames, cacheKeyOf(session))
  const call: CodexCall = {
    model,
    stream: endpoint === "responses" && body.stream === true,
    sessions: sessionNames(headers, body, session),
    endpoint,
    body: normalised.body,
    headers: forwardedHeaders(headers, text(body.prompt_cache_key), lite, session),
    turnState: turnStateOf(headers),
    caller,
    version: newer(deps.clientVersion, caller.version),
    parametersDropped: 0,
  }
  return { call, dropped: normalised.dropped, error: null }
}

function refused(code: string, message: string): Accepted {
  return { call: null, error: localError(400, code, message) }
}
