/** Whose tokens these are (spec codex 1.6). JWTs come over TLS from their issuer, so their claims are read without a signature check. */
import { decodeJwt } from "jose"
import type { Identified } from "../../scheduler/ports.ts"
import type { Identity, TokenSet } from "../../store/types.ts"
import { isObject, type Json, number, text } from "./json.ts"

export interface Claims {
  readonly sub: string | null
  readonly account: string | null
  readonly email: string | null
  readonly plan: string | null
  /** Wall milliseconds, or null. */
  readonly expiresAt: number | null
  readonly fedramp: boolean
}

const AUTH = "https://api.openai.com/auth"
const PROFILE = "https://api.openai.com/profile"
/** Lifetime assumed when nobody says one, in milliseconds. */
const DEFAULT_LIFETIME = 3_600_000

/** Null when the text is no JWT. */
export function claimsOf(jwt: string): Claims | null {
  let claims: Json
  try {
    claims = decodeJwt(jwt)
  } catch {
    return null
  }
  const auth = isObject(claims[AUTH]) ? claims[AUTH] : {}
  const profile = isObject(claims[PROFILE]) ? claims[PROFILE] : {}
  const exp = number(claims.exp)
  return {
    sub: text(claims.sub),
    account: text(auth.chatgpt_account_id),
    email: text(claims.email) ?? text(profile.email),
    plan: text(auth.chatgpt_plan_type),
    expiresAt: exp === null || exp <= 0 ? null : exp * 1000,
    fedramp: auth.chatgpt_account_is_fedramp === true,
  }
}

/** The id_token's word first, the access token's where it says nothing. */
export function identityOf(idToken: string | null, accessToken: string): Partial<Identity> {
  const first = idToken === null ? null : claimsOf(idToken)
  const second = claimsOf(accessToken)
  const sub = first?.sub ?? second?.sub ?? null
  const account = first?.account ?? second?.account ?? null
  const email = first?.email ?? second?.email ?? null
  const plan = first?.plan ?? second?.plan ?? null
  return {
    ...(sub === null ? {} : { sub }),
    ...(account === null ? {} : { account }),
    ...(email === null ? {} : { email }),
    ...(plan === null ? {} : { plan }),
  }
}

export function identify(tokens: TokenSet): Identified {
  const { sub, account, email, plan } = identityOf(tokens.idToken, tokens.accessToken)
  if (sub !== undefined && account !== undefined) {
    return { kind: "ok", who: { sub, account, email: email ?? null, plan: plan ?? null } }
  }
  const missing = sub === undefined ? "no user (sub)" : "no ChatGPT workspace (chatgpt_account_id)"
  const detail = `The login's tokens name ${missing}: this account has no access to Codex.`
  return { kind: "refused", reason: "no_identity", detail, url: null }
}

/** The smaller of the token's own `exp` and the answer's `expires_in` (seconds); an hour from now when neither is known. */
export function expiryOf(accessToken: string, expiresIn: unknown, now: number): number {
  const own = claimsOf(accessToken)?.expiresAt ?? null
  const seconds = number(expiresIn)
  const told = seconds === null || seconds <= 0 ? null : now + seconds * 1000
  if (own === null) return told ?? now + DEFAULT_LIFETIME
  return told === null ? own : Math.min(own, told)
}
