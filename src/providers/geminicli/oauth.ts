/** Google's OAuth for installed apps (RFC 6749, RFC 7636): authorize URL, code exchange, refresh. */
import type { Exchanged, OAuthProvider } from "../../http/ports.ts"
import type { Clock, Live } from "../../observe/clock.ts"
import { redact } from "../../observe/redact.ts"
import { networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import { retryAfterMs } from "../../relay/retry-after.ts"
import type { Refreshed } from "../../scheduler/ports.ts"
import type { TokenSet } from "../../store/types.ts"
import { claimsOf } from "./identity.ts"
import { isObject, type JsonObject, parseJson, textOr } from "./json.ts"
import { userAgent } from "./upstream.ts"

/** The official client's public identity as an installed app; its "secret" is public by design (Google, OAuth for native apps). */
export const OAUTH_CLIENT_ID = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"
const OAUTH_CLIENT_SECRET = "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"

const SCOPES = ["cloud-platform", "userinfo.email", "userinfo.profile"].map(
  (name) => `https://www.googleapis.com/auth/${name}`,
)

export const CALLBACK_PATH = "/oauth2callback"

/** Lifetime taken when an answer names none: short, so that little is lost. */
const UNKNOWN_LIFETIME_S = 300

export interface OAuthDeps {
  readonly settings: Live<{ readonly authUrl: string; readonly tokenUrl: string; readonly clientVersion: string }>
  readonly fetcher: Fetcher
  readonly clock: Clock
}

/** What the token endpoint said: tokens, an OAuth error code, or nothing that can be trusted. */
type TokenAnswer =
  | { readonly kind: "tokens"; readonly body: JsonObject; readonly accessToken: string }
  | { readonly kind: "refused"; readonly status: number; readonly code: string; readonly description: string }
  | { readonly kind: "unclear"; readonly status: number; readonly retryAfterMs: number | null }
  /** `sent` false: surely not. */
  | { readonly kind: "unanswered"; readonly sent: boolean; readonly detail: string }

/** Stages of a network failure at which the request was surely not written. */
const UNSENT = new Set(["dns", "connect", "tls", "proxy"])

async function ask(deps: OAuthDeps, form: Readonly<Record<string, string>>, signal: AbortSignal): Promise<TokenAnswer> {
  let response: Response
  let text: string
  try {
    response = await deps.fetcher(deps.settings.current.tokenUrl, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        accept: "application/json",
        "user-agent": userAgent(deps.settings.current.clientVersion, null),
      },
      body: new URLSearchParams({
        ...form,
        client_id: OAUTH_CLIENT_ID,
        client_secret: OAUTH_CLIENT_SECRET,
      }).toString(),
      signal,
    })
  } catch (error) {
    const { stage, detail } = networkFailure(error)
    return { kind: "unanswered", sent: !UNSENT.has(stage), detail }
  }
  try {
    text = await response.text()
  } catch (error) {
    return { kind: "unanswered", sent: true, detail: networkFailure(error).detail }
  }
  return readAnswer(response.status, response.headers, text, deps.clock.wall())
}

/** Pure. Errors count only as an OAuth error code in an answer of the 4xx class; wording is never looked at. */
export function readAnswer(status: number, headers: Headers, text: string, now: number): TokenAnswer {
  const body = parseJson(text)
  const unclear: TokenAnswer = {
    kind: "unclear",
    status,
    retryAfterMs: retryAfterMs(headers.get("retry-after"), now),
  }
  if (!isObject(body)) return unclear
  const accessToken = textOr(body.access_token)
  if (status >= 200 && status < 300) return accessToken === null ? unclear : { kind: "tokens", body, accessToken }
  const code = textOr(body.error)
  if (
    code === null ||
    !/^[\w.-]{1,64}$/.test(code) ||
    status < 400 ||
    status >= 500 ||
    status === 408 ||
    status === 429
  )
    return unclear
  const description = [textOr(body.error_description), textOr(body.error_subtype)].filter((part) => part !== null)
  return { kind: "refused", status, code, description: redact(description.join(" ")).slice(0, 300) }
}

/** @param before the refresh token in use, kept when the answer brings no new one */
function tokenSet(body: JsonObject, accessToken: string, before: string, now: number): TokenSet {
  const lifetime = Number(body.expires_in)
  const seconds = Number.isFinite(lifetime) && lifetime > 0 ? lifetime : UNKNOWN_LIFETIME_S
  return {
    accessToken,
    refreshToken: textOr(body.refresh_token) ?? before,
    expiresAt: now + seconds * 1_000,
    idToken: textOr(body.id_token),
  }
}

/** Codes that say that the refresh token is dead for good (RFC 6749 5.2, and Google's own). */
const DEAD = new Set(["invalid_grant", "unauthorized_client", "access_denied", "admin_policy_enforced"])
/** Codes that say that our request or our client is wrong: no credential is to blame. */
const OURS = new Set([
  "invalid_client",
  "deleted_client",
  "disabled_client",
  "invalid_request",
  "invalid_scope",
  "unsupported_grant_type",
])

export async function refresh(deps: OAuthDeps, refreshToken: string, signal: AbortSignal): Promise<Refreshed> {
  const answer = await ask(deps, { grant_type: "refresh_token", refresh_token: refreshToken }, signal)
  switch (answer.kind) {
    case "tokens": {
      const tokens = tokenSet(answer.body, answer.accessToken, refreshToken, deps.clock.wall())
      const claims = claimsOf(tokens.idToken)
      return { kind: "ok", tokens, who: claims?.email == null ? null : { email: claims.email } }
    }
    case "refused": {
      const { code, description } = answer
      const detail = description === "" ? `The token endpoint answered ${code}.` : description
      if (DEAD.has(code)) return { kind: "permanent", reason: code, detail, ban: false }
      if (OURS.has(code)) return { kind: "ours", reason: code, detail }
      return { kind: "transient", reason: code, detail, retryAfterMs: null }
    }
    case "unclear":
      return {
        kind: "transient",
        reason: `http_${answer.status}`,
        detail: `The token endpoint answered ${answer.status} without tokens.`,
        retryAfterMs: answer.retryAfterMs,
      }
    case "unanswered":
      return answer.sent
        ? { kind: "ambiguous", reason: answer.detail }
        : { kind: "transient", reason: "network", detail: answer.detail, retryAfterMs: null }
  }
}

async function exchange(
  deps: OAuthDeps,
  p: { readonly code: string; readonly verifier: string; readonly redirectUri: string },
  signal: AbortSignal,
): Promise<Exchanged> {
  const failed = (code: string, message: string): Exchanged => ({ kind: "failed", code, message })
  const form = {
    grant_type: "authorization_code",
    code: p.code,
    code_verifier: p.verifier,
    redirect_uri: p.redirectUri,
  }
  const answer = await ask(deps, form, signal)
  switch (answer.kind) {
    case "tokens": {
      if (textOr(answer.body.refresh_token) === null)
        return failed(
          "MISSING_REFRESH_TOKEN",
          "Google gave no refresh token; remove the app's access and log in again.",
        )
      return { kind: "ok", tokens: tokenSet(answer.body, answer.accessToken, "", deps.clock.wall()) }
    }
    case "refused":
      return failed("TOKEN_EXCHANGE_FAILED", `Google refused the code: ${answer.code} ${answer.description}`.trim())
    case "unclear":
      return failed("TOKEN_EXCHANGE_FAILED", `The token endpoint answered ${answer.status} without tokens.`)
    case "unanswered":
      return failed("TOKEN_EXCHANGE_FAILED", `The token endpoint could not be reached: ${answer.detail}.`)
  }
}

function authorizeUrl(
  authUrl: string,
  p: { readonly state: string; readonly challenge: string; readonly redirectUri: string },
): URL {
  const url = new URL(authUrl)
  const parameters = {
    client_id: OAUTH_CLIENT_ID,
    redirect_uri: p.redirectUri,
    response_type: "code",
    scope: SCOPES.join(" "),
    access_type: "offline",
    // Google gives a refresh token at the first consent only, unless asked to show it again.
    prompt: "consent",
    state: p.state,
    code_challenge: p.challenge,
    code_challenge_method: "S256",
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url
}

/** What the errors of Google's consent page mean (developers.google.com, OAuth 2.0 errors). */
const CONSENT_ERRORS: Readonly<Record<string, string>> = {
  access_denied: "Access was refused on Google's consent page.",
  admin_policy_enforced: "The Workspace administrator does not allow this app; ask for it to be trusted.",
  org_internal: "The app is limited to another organisation.",
  disallowed_useragent: "Google does not accept this browser for logins; use another one.",
  redirect_uri_mismatch: "Google does not accept the address to return to; open the login on localhost.",
}

export const googleOAuth = (deps: OAuthDeps): OAuthProvider => ({
  name: "geminicli",
  callbackPaths: [CALLBACK_PATH],
  loopbackPorts: [],
  redirectPath: CALLBACK_PATH,
  authorizeUrl: (p) => authorizeUrl(deps.settings.current.authUrl, p),
  exchange: (p, signal) => exchange(deps, p, signal),
  device: null,
  explain: (error) => (Object.hasOwn(CONSENT_ERRORS, error) ? (CONSENT_ERRORS[error] ?? null) : null),
})
