/**
 * The fake's accounts and the tokens it has issued. Every refresh rotates; a refresh token seen twice revokes its whole family,
 * as the real issuer does (spec codex 1.9).
 */
import { createHash, randomBytes, randomUUID } from "node:crypto"
import type { Fault } from "./faults.ts"

export const CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"

const AUTH_CLAIM = "https://api.openai.com/auth"

export interface LimitWindow {
  usedPercent: number
  windowMinutes: number
  /** Seconds since the epoch. */
  resetAt: number
}

export interface FakeAccount {
  readonly sub: string
  readonly accountId: string
  email: string
  plan: string
  fedramp: boolean
  /** Models this account may use; null for all of the catalogue. */
  models: readonly string[] | null
  primary: LimitWindow
  secondary: LimitWindow
  /** Seconds since the epoch until which usage says that the limit is reached: a usage_limit fault said so. Null: it is not. */
  limitedUntil: number | null
  /** Faults waiting for the next requests of this account, first in first out. */
  readonly faults: Fault[]
  /** The newest refresh token of the newest family: what an operator would hand to Pollux. */
  refreshToken: string
  /** Successful refreshes so far. */
  refreshes: number
}

export interface IssuedTokens {
  readonly id_token: string
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly token_type: "Bearer"
  readonly scope: string
}

interface Family {
  readonly account: FakeAccount
  revoked: boolean
}

export type Bearer =
  | { readonly kind: "ok"; readonly account: FakeAccount }
  | { readonly kind: "unknown" | "expired" | "revoked" }

export type Redeemed =
  | { readonly kind: "ok"; readonly tokens: IssuedTokens }
  | { readonly kind: "reused" | "revoked" | "unknown" }

export interface AccountOptions {
  readonly email?: string
  readonly sub?: string
  readonly accountId?: string
  readonly plan?: string
  readonly fedramp?: boolean
  readonly models?: readonly string[] | null
}

export class Accounts {
  readonly all: FakeAccount[] = []
  readonly #refresh = new Map<string, { family: Family; spent: boolean }>()
  readonly #access = new Map<string, { account: FakeAccount; expiresAt: number; revoked: boolean }>()
  readonly #now: () => number
  /** Lifetime of the access tokens issued from now on, in seconds. */
  accessSeconds: number

  constructor(now: () => number, accessSeconds: number) {
    this.#now = now
    this.accessSeconds = accessSeconds
  }

  add(options: AccountOptions = {}): FakeAccount {
    const number = this.all.length + 1
    const nowSeconds = Math.floor(this.#now() / 1000)
    const account: FakeAccount = {
      sub: options.sub ?? `auth0|user-${number}`,
      accountId: options.accountId ?? randomUUID(),
      email: options.email ?? `person${number}@example.com`,
      plan: options.plan ?? "plus",
      fedramp: options.fedramp ?? false,
      models: options.models ?? null,
      primary: { usedPercent: 12, windowMinutes: 300, resetAt: nowSeconds + 3 * 3600 },
      secondary: { usedPercent: 34, windowMinutes: 10_080, resetAt: nowSeconds + 4 * 86_400 },
      limitedUntil: null,
      faults: [],
      refreshToken: "",
      refreshes: 0,
    }
    account.refreshToken = this.#newRefreshToken({ account, revoked: false })
    this.all.push(account)
    return account
  }

  /** A complete token set in a family of its own, as a login gives it. */
  login(account: FakeAccount): IssuedTokens {
    return this.#issue({ account, revoked: false })
  }

  /** Spends a refresh token. Spending one twice revokes every refresh token descended from the same login. */
  redeem(token: string): Redeemed {
    const known = this.#refresh.get(token)
    if (known === undefined) return { kind: "unknown" }
    if (known.spent) {
      known.family.revoked = true
      return { kind: "reused" }
    }
    if (known.family.revoked) return { kind: "revoked" }
    known.spent = true
    known.family.account.refreshes += 1
    return { kind: "ok", tokens: this.#issue(known.family) }
  }

  bearer(authorization: string | undefined): Bearer {
    const token = /^Bearer (.+)$/.exec(authorization ?? "")?.[1]
    const known = token === undefined ? undefined : this.#access.get(token)
    if (known === undefined) return { kind: "unknown" }
    if (known.revoked) return { kind: "revoked" }
    if (known.expiresAt <= this.#now()) return { kind: "expired" }
    return { kind: "ok", account: known.account }
  }

  /** Every access token of the account is refused from now on (401 token_expired); its refresh tokens live. */
  expireAccess(account: FakeAccount): void {
    for (const entry of this.#access.values()) if (entry.account === account) entry.expiresAt = 0
  }

  /** The session is over: access and refresh tokens are dead (401 token_invalidated, refresh_token_invalidated). */
  revoke(account: FakeAccount): void {
    for (const entry of this.#access.values()) if (entry.account === account) entry.revoked = true
    for (const entry of this.#refresh.values()) if (entry.family.account === account) entry.family.revoked = true
  }

  /** Whether the token would still be taken. Does not spend it. */
  isLive(refreshToken: string): boolean {
    const known = this.#refresh.get(refreshToken)
    return known !== undefined && !known.spent && !known.family.revoked
  }

  #issue(family: Family): IssuedTokens {
    const { account } = family
    const issuedAt = Math.floor(this.#now() / 1000)
    const expiresAt = issuedAt + this.accessSeconds
    const auth = {
      chatgpt_account_id: account.accountId,
      chatgpt_plan_type: account.plan,
      chatgpt_user_id: `user-${account.sub.slice(-8)}`,
      user_id: `user-${account.sub.slice(-8)}`,
      organizations: [{ id: "org-fake", is_default: true, role: "owner", title: "Personal" }],
      groups: [],
      ...(account.fedramp ? { chatgpt_account_is_fedramp: true } : {}),
    }
    const base = { iss: "https://auth.openai.com", sub: account.sub, iat: issuedAt, [AUTH_CLAIM]: auth }
    const idToken = jwt({ ...base, aud: [CLIENT_ID], exp: issuedAt + 3600, email: account.email, email_verified: true })
    const accessToken = jwt({
      ...base,
      aud: ["https://api.openai.com/v1"],
      exp: expiresAt,
      jti: randomUUID(),
      "https://api.openai.com/profile": { email: account.email, email_verified: true },
    })
    this.#access.set(accessToken, { account, expiresAt: expiresAt * 1000, revoked: false })
    account.refreshToken = this.#newRefreshToken(family)
    return {
      id_token: idToken,
      access_token: accessToken,
      refresh_token: account.refreshToken,
      expires_in: this.accessSeconds,
      token_type: "Bearer",
      scope: "openid profile email offline_access",
    }
  }

  #newRefreshToken(family: Family): string {
    const token = `rt_${randomBytes(24).toString("base64url")}`
    this.#refresh.set(token, { family, spent: false })
    return token
  }
}

function jwt(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const head = `${part({ alg: "RS256", typ: "JWT", kid: "fake" })}.${part(claims)}`
  return `${head}.${createHash("sha256").update(head).digest("base64url")}`
}
