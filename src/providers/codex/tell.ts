/** What the client hears of an upstream's failure (spec codex 6.2, 6.3, 6.6). */
import type { ClientError } from "../../relay/ports.ts"
import { retryAfterMs } from "../../relay/retry-after.ts"
import type { Case } from "./case.ts"
import { isObject, parseObject } from "./json.ts"
import { localError, noCredential, openaiError } from "./refusal.ts"
import { scrub, scrubJson } from "./scrub.ts"

/** The upstream's own error: word for word where it has the API's form, else put into it. Never the upstream's 401. */
export function upstreamsOwn(facts: Case): ClientError {
  const { error, failure, lease, body } = facts
  const status = facts.status === 401 ? 503 : facts.status
  const retryAfter = retrySeconds(facts)
  if (failure.kind === "status" && hasApiForm(body)) {
    return { status, body: scrubJson(body, lease), ...(retryAfter === undefined ? {} : { retryAfter }) }
  }
  const message = scrub(error.message ?? error.code ?? `The upstream answered ${status}.`, lease)
  const type = error.type ?? (status >= 500 ? "server_error" : "invalid_request_error")
  return openaiError(status, { message, type, code: error.code, param: error.param }, retryAfter)
}

/** The pool has no working credential: what was wrong with this one is not the client's business. */
export function poolFault(): ClientError {
  return noCredential()
}

export function serverError(facts: Case): ClientError {
  const { error, failure, lease } = facts
  if (failure.kind === "network") {
    const message = `Upstream service error: it could not be reached: ${failure.stage}, ${failure.detail}.`
    return localError(502, "UPSTREAM_ERROR", message)
  }
  const said = error.form === "html" ? null : error.message
  const message = said === null ? "Upstream service error." : `Upstream service error: ${scrub(said, lease)}`
  return localError(502, "UPSTREAM_ERROR", message, retrySeconds(facts))
}

/** Codex clients never retry `server_is_overloaded`, so the code is one that they do retry (spec codex 5). */
export function overloaded(facts: Case): ClientError {
  const message = scrub(facts.error.message ?? "The upstream service is overloaded.", facts.lease)
  return openaiError(503, { message, type: "server_error", code: "server_error" }, retrySeconds(facts) ?? 5)
}

export function upstreamTimeout(): ClientError {
  return localError(504, "UPSTREAM_ERROR", "The upstream service did not answer in time.")
}

export function streamIncomplete(): ClientError {
  return openaiError(502, {
    message: "Upstream stream protocol error.",
    type: "UPSTREAM_ERROR",
    code: "stream_incomplete",
  })
}

export function challenged(): ClientError {
  const message = "Cloudflare challenged the proxy's address. Requests are held back for a while."
  return localError(503, "upstream_challenge", message, 30)
}

function retrySeconds(facts: Case): number | undefined {
  const ms = retryAfterMs(facts.headers?.get("retry-after") ?? null, facts.context.now)
  return ms === null ? undefined : Math.ceil(ms / 1000)
}

function hasApiForm(body: string): boolean {
  const error = parseObject(body)?.error
  return isObject(error) && typeof error.message === "string"
}
