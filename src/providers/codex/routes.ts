/** The Codex API as clients see it (DESIGN section 5, spec codex 0 and 8). */

import { type AnyElysia, Elysia } from "elysia"
import type { CodexSettings } from "../../config/types.ts"
import { type Answered, type ApiContext, HttpError, type RouteTools, type Taking } from "../../http/ports.ts"
import type { Live } from "../../observe/clock.ts"
import type { Log } from "../../observe/ports.ts"
import type { Relay } from "../../relay/ports.ts"
import { reply } from "../../relay/reply.ts"
import type { Span } from "../../relay/span.ts"
import type { Pool } from "../../scheduler/ports.ts"
import { accept, refuseUnread } from "./accept.ts"
import type { CodexCall } from "./call.ts"
import { type Catalogues, modelList } from "./models.ts"
import { openaiError } from "./refusal.ts"

export interface RouteDeps {
  readonly tools: RouteTools
  readonly relay: Relay<CodexCall>
  readonly pool: Pool
  readonly settings: Live<CodexSettings>
  readonly log: Log
  readonly catalogues: Catalogues
  /** Parameters that the backend has refused for a model. */
  readonly refused: (model: string) => readonly string[]
}

const RESPONSES = "/codex/v1/responses"
const NO_WEBSOCKET = { "content-type": "application/json", connection: "Upgrade, close", upgrade: "websocket" }
const COMPACT = `${RESPONSES}/compact`
const MODELS = "/codex/v1/models"
/** Bodies are read by the guarded handlers, with their own limits. */
const UNPARSED = { parse: "none" } as const

export function codexRoutes(deps: RouteDeps): AnyElysia {
  const { api, posted } = deps.tools
  const only = (allow: string) =>
    api(() => {
      throw new HttpError({ kind: "method_not_allowed", message: `only ${allow} is allowed here`, allow })
    })
  return new Elysia()
    .post(
      RESPONSES,
      posted((context) => serve(context, "responses", deps), { method: "POST", path: RESPONSES }),
      UNPARSED,
    )
    .get(
      RESPONSES,
      api(() => noWebSocket()),
    )
    .all(RESPONSES, only("POST"), UNPARSED)
    .post(
      COMPACT,
      posted((context) => serve(context, "compact", deps)),
      UNPARSED,
    )
    .all(COMPACT, only("POST"), UNPARSED)
    .get(
      MODELS,
      api((context) => models(context, deps)),
    )
    .all(MODELS, only("GET, HEAD"), UNPARSED)
}

function serve(context: ApiContext, endpoint: CodexCall["endpoint"], deps: RouteDeps): Taking | Answered {
  const unread = refuseUnread(context)
  return unread === null ? { take: (body) => take(context, body, endpoint, deps) } : reply(unread)
}

/** @throws HttpError invalid_json, invalid_request */
function take(
  context: ApiContext,
  body: Span,
  endpoint: CodexCall["endpoint"],
  deps: RouteDeps,
): Answered | Promise<Answered> {
  const { settings, refused, relay, log } = deps
  const { modelList, clientVersion } = settings.current
  const accepted = accept(context, body, endpoint, { modelList, clientVersion, refused })
  if (accepted.call === null) return reply(accepted.error)
  const { call, dropped } = accepted
  if (dropped.length > 0) log.debug("fields_dropped", { request_id: context.inbound.id, fields: dropped })
  return relay.serve(call, context.inbound)
}

async function models({ query, principal }: ApiContext, deps: RouteDeps): Promise<Response> {
  const listed = deps.settings.current.modelList
  const allowed = principal.models === null ? listed : listed.filter((model) => principal.models?.includes(model))
  const version = query.get("client_version")
  if (version === null) return Response.json(modelList(allowed))
  const { body, etag } = await deps.catalogues.forVersion(version, deps.pool, allowed)
  const headers: Record<string, string> = { "content-type": "application/json" }
  if (etag !== null) headers.etag = etag
  return new Response(body, { headers })
}

/**
 * Only 426, and at once, makes the CLI fall back to POST without going through its retries (spec codex 8.3). RFC 9110 15.5.22 wants
 * an Upgrade field in it, and 7.8 names it in Connection; there is no other protocol that it could name.
 */
function noWebSocket(): Response {
  const message = "WebSocket is not available here: use POST, or set supports_websockets = false for this provider."
  const code = "websocket_not_supported"
  const { status, body } = openaiError(426, { message, type: "invalid_request_error", code })
  return new Response(body, { status, headers: NO_WEBSOCKET })
}
