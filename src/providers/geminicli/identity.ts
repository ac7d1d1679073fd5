/** Whose tokens these are: the Google account, and the Cloud project it serves with. */
import { decodeJwt } from "jose"
import type { Live } from "../../observe/clock.ts"
import { networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import { retryAfterMs } from "../../relay/retry-after.ts"
import type { Identified } from "../../scheduler/ports.ts"
import type { TokenSet } from "../../store/types.ts"
import { isObject, parseJson, textOr } from "./json.ts"
import { Onboarding, type OnboardingDeps } from "./onboarding.ts"
import { userAgent } from "./upstream.ts"

export interface Claims {
  readonly sub: string
  readonly email: string | null
}

/** The account an id_token names. Its signature is not checked: it came from Google itself, over TLS (OpenID Connect 3.1.3.7). */
export function claimsOf(idToken: string | null): Claims | null {
  if (idToken === null) return null
  try {
    const { sub, email } = decodeJwt(idToken)
    return textOr(sub) === null ? null : { sub: textOr(sub) ?? "", email: textOr(email) }
  } catch {
    return null
  }
}

const GOOGLE_TOKEN_HOST = "oauth2.googleapis.com"

/** Google serves it apart from its token endpoint; anything else stands for both. */
export function userinfoUrl(tokenUrl: string): string {
  const { origin, hostname } = new URL(tokenUrl)
  return `${hostname === GOOGLE_TOKEN_HOST ? "https://www.googleapis.com" : origin}/oauth2/v2/userinfo`
}

export interface IdentityDeps extends OnboardingDeps {
  readonly settings: Live<{ readonly apiUrl: string; readonly tokenUrl: string; readonly clientVersion: string }>
}

/** @param account the Cloud project the operator asked for, or null. May take minutes. */
export async function identify(
  deps: IdentityDeps,
  tokens: TokenSet,
  account: string | null,
  signal: AbortSignal,
): Promise<Identified> {
  const claims = claimsOf(tokens.idToken) ?? (await askUserinfo(deps, tokens.accessToken, signal))
  if ("kind" in claims) return claims
  const set = await new Onboarding(deps, tokens.accessToken, account, signal).run()
  if (set.kind !== "ok") return set
  return { kind: "ok", who: { ...claims, account: set.project, plan: set.plan } }
}

async function askUserinfo(
  deps: {
    readonly settings: Live<{ readonly tokenUrl: string; readonly clientVersion: string }>
    readonly fetcher: Fetcher
    readonly clock: OnboardingDeps["clock"]
  },
  token: string,
  signal: AbortSignal,
): Promise<Claims | Exclude<Identified, { kind: "ok" }>> {
  const transient = (detail: string, retryAfterMs: number | null = null): Identified & { kind: "transient" } => ({
    kind: "transient",
    reason: "userinfo",
    detail,
    retryAfterMs,
  })
  try {
    const response = await deps.fetcher(userinfoUrl(deps.settings.current.tokenUrl), {
      method: "GET",
      headers: {
        authorization: `Bearer ${token}`,
        accept: "application/json",
        "user-agent": userAgent(deps.settings.current.clientVersion, null),
      },
      signal,
    })
    const body = parseJson(await response.text())
    const sub = isObject(body) ? (textOr(body.id) ?? textOr(body.sub)) : null
    if (response.ok && sub !== null) return { sub, email: isObject(body) ? textOr(body.email) : null }
    const wait = retryAfterMs(response.headers.get("retry-after"), deps.clock.wall())
    return transient(`Google's userinfo endpoint answered ${response.status} without an account.`, wait)
  } catch (error) {
    return transient(`Google's userinfo endpoint could not be reached: ${networkFailure(error).detail}.`)
  }
}
