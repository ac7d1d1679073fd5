/** What a refusal of the token endpoint means (spec codex 1.8): by code, never by wording. Pure. */
import { redact } from "../../observe/redact.ts"
import { retryAfterMs } from "../../relay/retry-after.ts"
import type { Refreshed } from "../../scheduler/ports.ts"
import { readError } from "./errors.ts"

type Class = "permanent" | "ban" | "ours" | "transient"

const CLASSES: Readonly<Record<string, Class>> = {
  refresh_token_expired: "permanent",
  refresh_token_reused: "permanent",
  refresh_token_invalidated: "permanent",
  invalid_grant: "permanent",
  token_invalidated: "permanent",
  token_revoked: "permanent",
  token_expired: "permanent",
  app_session_terminated: "permanent",
  account_session_expired: "permanent",
  account_auth_invalidated: "permanent",
  account_deactivated: "ban",
  account_suspended: "ban",
  account_deleted: "ban",
  invalid_client: "ours",
  unauthorized_client: "ours",
  unsupported_grant_type: "ours",
  invalid_scope: "ours",
  server_error: "transient",
  temporarily_unavailable: "transient",
  rate_limit_exceeded: "transient",
}

/** Pause after a page of Cloudflare's or a throttled refresh without a stated one, in milliseconds. */
const THROTTLED_MS = 60_000
const LONGEST_PAUSE_MS = 5 * 60_000
const DETAIL_LENGTH = 300

export function classifyRefusal(status: number, headers: Headers, body: string, now: number): Refreshed {
  const error = readError(body, headers)
  const detail = redact(error.message ?? error.code ?? `status ${status}`).slice(0, DETAIL_LENGTH)
  // A gateway in trouble answers with a page, too: only a refusal that is one is Cloudflare's.
  const isPage = headers.get("cf-mitigated") !== null || (error.form === "html" && status < 500)
  const reason = isPage ? "challenge" : (error.code ?? `status_${status}`).slice(0, 64)
  switch (classOf(status, isPage ? null : error.code, isPage)) {
    case "permanent":
      return { kind: "permanent", reason, detail, ban: false }
    case "ban":
      return { kind: "permanent", reason, detail, ban: true }
    case "ours":
      return { kind: "ours", reason, detail }
    case "transient":
      return { kind: "transient", reason, detail, retryAfterMs: pause(status, headers, isPage, now) }
  }
}

function classOf(status: number, code: string | null, isPage: boolean): Class {
  if (isPage || status >= 500) return "transient"
  const known = code !== null && Object.hasOwn(CLASSES, code) ? CLASSES[code] : undefined
  return known ?? (status === 401 ? "permanent" : "transient")
}

function pause(status: number, headers: Headers, isPage: boolean, now: number): number | null {
  const stated = retryAfterMs(headers.get("retry-after"), now)
  if (isPage) return Math.max(THROTTLED_MS, Math.min(stated ?? 0, LONGEST_PAUSE_MS))
  if (stated !== null) return Math.min(stated, LONGEST_PAUSE_MS)
  return status === 429 || status < 500 ? THROTTLED_MS : null
}
