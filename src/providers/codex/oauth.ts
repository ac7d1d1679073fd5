/** Login with ChatGPT: authorize URL, code exchange, refresh (spec codex 1). */
import type { CodexSettings } from "../../config/types.ts"
import type { Exchanged, OAuthProvider } from "../../http/ports.ts"
import type { Clock, Live } from "../../observe/clock.ts"
import { redact } from "../../observe/redact.ts"
import { codeOf, networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import type { Refreshed, Refresher } from "../../scheduler/ports.ts"
import type { TokenSet } from "../../store/types.ts"
import { callerOf } from "./caller.ts"
import { createDeviceFlow } from "./device.ts"
import { readError } from "./errors.ts"
import { expiryOf, identify, identityOf } from "./identity.ts"
import { type Json, parseObject, text } from "./json.ts"
import { classifyRefusal } from "./refresh-rules.ts"
import { identityHeaders } from "./upstream.ts"

/** Public client id of the Codex CLI; it has no secret. */
export const CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
const SCOPE = "openid profile email offline_access"
/** How long before its expiry a token is renewed; access tokens live about ten days. */
const LEAD_MS = 24 * 3_600_000
const NOBODY = callerOf(new Headers())

export interface OAuthDeps {
  readonly settings: Live<CodexSettings>
  readonly fetcher: Fetcher
  readonly clock: Clock
}

export function createOAuth(deps: OAuthDeps): OAuthProvider {
  return {
    name: "codex",
    callbackPaths: ["/auth/callback", "/codex/auth/callback"],
    // The only redirects registered for the client id (spec codex 1.1).
    loopbackPorts: [1455, 1457],
    redirectPath: "/auth/callback",
    authorizeUrl: ({ state, challenge, redirectUri }) => {
      const { authUrl, originator } = deps.settings.current
      return authorizeUrl(authUrl, originator, state, challenge, redirectUri)
    },
    exchange: (p, signal) => exchangeCode(deps, p, signal),
    device: createDeviceFlow(deps, CLIENT_ID, (p, signal) => exchangeCode(deps, p, signal)),
    explain: explainDenial,
  }
}

function authorizeUrl(base: string, originator: string, state: string, challenge: string, redirectUri: string): URL {
  const parameters: readonly (readonly [string, string])[] = [
    ["response_type", "code"],
    ["client_id", CLIENT_ID],
    ["redirect_uri", redirectUri],
    ["scope", SCOPE],
    ["code_challenge", challenge],
    ["code_challenge_method", "S256"],
    ["id_token_add_organizations", "true"],
    ["codex_cli_simplified_flow", "true"],
    ["originator", originator],
    // Asks which account to use, so that several can be added from one browser.
    ["prompt", "login"],
    ["state", state],
  ]
  const url = new URL(base)
  // Not URLSearchParams: it writes spaces as "+", which the page refuses (spec codex 1.2).
  const query = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")
  url.search = url.search === "" ? query : `${url.search}&${query}`
  return url
}

/** One sentence about an `error=` answer of the authorize page, or null for a general one. */
function explainDenial(error: string, description: string | null): string | null {
  if (description?.includes("missing_codex_entitlement") === true) {
    return "This ChatGPT workspace has no access to Codex: ask its administrator to enable it, or choose another workspace."
  }
  return error === "access_denied" ? "The login was refused or cancelled on the provider's page." : null
}

/** Form-encoded, as the official client does it (RFC 6749 4.1.3, RFC 7636 4.5). */
async function exchangeCode(
  { settings, fetcher, clock }: OAuthDeps,
  p: { readonly code: string; readonly verifier: string; readonly redirectUri: string },
  signal: AbortSignal,
): Promise<Exchanged> {
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    code: p.code,
    redirect_uri: p.redirectUri,
    client_id: CLIENT_ID,
    code_verifier: p.verifier,
  }).toString()
  const headers = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" }
  let status: number
  let answer: string
  try {
    const response = await fetcher(settings.current.tokenUrl, { method: "POST", headers, body, signal })
    status = response.status
    answer = await response.text()
  } catch (error) {
    return failed("TOKEN_EXCHANGE_FAILED", `The token endpoint could not be reached: ${networkFailure(error).detail}.`)
  }
  if (status < 200 || status > 299) {
    const { message, code } = readError(answer)
    const said = redact(message ?? code ?? "no reason given").slice(0, 300)
    return failed("TOKEN_EXCHANGE_FAILED", `The token endpoint answered ${status}: ${said}`)
  }
  const tokens = tokensOf(parseObject(answer), null, clock.wall())
  if (tokens === null) return failed("TOKEN_EXCHANGE_FAILED", "The token endpoint's answer carries no access token.")
  if (tokens.refreshToken === "") {
    return failed("MISSING_REFRESH_TOKEN", "The token endpoint's answer carries no refresh token.")
  }
  if (tokens.idToken === null) return failed("MISSING_ID_TOKEN", "The token endpoint's answer carries no id token.")
  return { kind: "ok", tokens }
}

function failed(code: string, message: string): Exchanged {
  return { kind: "failed", code, message }
}

export function createRefresher({ settings, fetcher, clock }: OAuthDeps): Refresher {
  return {
    leadMs: LEAD_MS,
    identify: (tokens) => Promise.resolve(identify(tokens)),
    async refresh(refreshToken, signal): Promise<Refreshed> {
      if (signal.aborted) return transient("aborted", "The refresh was given up before it was sent.")
      const { tokenUrl, clientVersion, originator } = settings.current
      // JSON without a scope, as the official client: a narrower scope could take away what was granted (spec codex 1.5).
      const body = JSON.stringify({ client_id: CLIENT_ID, grant_type: "refresh_token", refresh_token: refreshToken })
      const headers = {
        ...identityHeaders(NOBODY, clientVersion, originator),
        "content-type": "application/json",
        accept: "application/json",
      }
      let response: Response
      try {
        response = await fetcher(tokenUrl, { method: "POST", headers, body, signal })
      } catch (error) {
        return unsent(error, signal)
      }
      let answer: string
      try {
        answer = await response.text()
      } catch (error) {
        return { kind: "ambiguous", reason: `the answer broke (${codeOf(error)})` }
      }
      const now = clock.wall()
      if (!response.ok) return classifyRefusal(response.status, response.headers, answer, now)
      const tokens = tokensOf(parseObject(answer), refreshToken, now)
      if (tokens === null) return { kind: "ambiguous", reason: "the answer carries no access token" }
      return { kind: "ok", tokens, who: changes(tokens) }
    },
  }
}

/** Only what surely never left is safe to send again (spec codex 1.8). */
function unsent(error: unknown, signal: AbortSignal): Refreshed {
  if (signal.aborted) return { kind: "ambiguous", reason: "no answer in time" }
  const { stage, detail } = networkFailure(error)
  return stage === "reset" || stage === "unknown" ? { kind: "ambiguous", reason: detail } : transient(stage, detail)
}

function transient(reason: string, detail: string): Refreshed {
  return { kind: "transient", reason, detail, retryAfterMs: null }
}

/** E-mail and plan as the new tokens tell them; who they belong to does not change. */
function changes(tokens: TokenSet): { email?: string | null; plan?: string | null } | null {
  const { email, plan } = identityOf(tokens.idToken, tokens.accessToken)
  if (email === undefined && plan === undefined) return null
  return { ...(email === undefined ? {} : { email }), ...(plan === undefined ? {} : { plan }) }
}

/** A missing refresh token means that the old one stays (RFC 6749 6). Null without an access token. */
function tokensOf(answer: Json | null, oldRefreshToken: string | null, now: number): TokenSet | null {
  const accessToken = text(answer?.access_token)
  if (answer === null || accessToken === null) return null
  return {
    accessToken,
    refreshToken: text(answer.refresh_token) ?? oldRefreshToken ?? "",
    expiresAt: expiryOf(accessToken, answer.expires_in, now),
    idToken: text(answer.id_token),
  }
}
