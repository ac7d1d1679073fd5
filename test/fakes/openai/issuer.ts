/** The fake's token issuer: authorize page, code exchange with PKCE, rotating refresh, device login (spec codex 1). */
import { createHash, randomBytes } from "node:crypto"
import { type Accounts, CLIENT_ID, type FakeAccount, type IssuedTokens } from "./accounts.ts"
import { type Exchange, sleep } from "./exchange.ts"
import type { TokenFault } from "./faults.ts"
import { isObject } from "./rules.ts"

const LOGIN_REDIRECTS: ReadonlySet<string> = new Set([
  "http://localhost:1455/auth/callback",
  "http://localhost:1457/auth/callback",
])

interface Code {
  readonly account: FakeAccount
  readonly challenge: string
  readonly redirectUri: string
}

interface Device {
  readonly userCode: string
  account: FakeAccount | null
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface IssuerState {
  readonly accounts: Accounts
  /** Who presses "continue" on the authorize page; null refuses with access_denied. */
  visitor: FakeAccount | null
  /** `error_description` sent when there is no visitor. */
  denial: string
  /** Redirects beside the two registered ones. */
  readonly redirects: Set<string>
  readonly tokenFaults: TokenFault[]
}

export class Issuer {
  readonly #codes = new Map<string, Code>()
  readonly #devices = new Map<string, Device>()

  constructor(
    private readonly state: IssuerState,
    private readonly origin: () => string,
  ) {}

  /** Says yes to a device login, as the person at the browser. */
  approve(userCode: string, account: FakeAccount): boolean {
    for (const device of this.#devices.values()) {
      if (device.userCode === userCode) {
        device.account = account
        return true
      }
    }
    return false
  }

  authorize(exchange: Exchange, rawQuery: string) {
    const query = exchange.record.query
    const bad = (text: string) => exchange.send(400, `AuthApiFailure: ${text}`, { "content-type": "text/plain" })
    if (rawQuery.includes("+")) return bad("scope is not percent-encoded")
    const wanted: readonly (readonly [string, string])[] = [
      ["response_type", "code"],
      ["client_id", CLIENT_ID],
      ["code_challenge_method", "S256"],
      ["id_token_add_organizations", "true"],
      ["codex_cli_simplified_flow", "true"],
    ]
    for (const [name, value] of wanted) if (query.get(name) !== value) return bad(`${name} must be ${value}`)
    if (!(query.get("scope") ?? "").split(" ").includes("offline_access")) return bad("offline_access is missing")
    const redirectUri = query.get("redirect_uri") ?? ""
    if (!LOGIN_REDIRECTS.has(redirectUri) && !this.state.redirects.has(redirectUri)) return bad("redirect_uri mismatch")
    const challenge = query.get("code_challenge") ?? ""
    const state = query.get("state") ?? ""
    if (!/^[\w-]{43}$/.test(challenge) || state.length < 16) return bad("code_challenge or state is too weak")
    const back = new URL(redirectUri)
    if (this.state.visitor === null) {
      back.searchParams.set("error", "access_denied")
      back.searchParams.set("error_description", this.state.denial)
    } else {
      const code = `ac_${randomBytes(18).toString("base64url")}`
      this.#codes.set(code, { account: this.state.visitor, challenge, redirectUri })
      back.searchParams.set("code", code)
      back.searchParams.set("scope", query.get("scope") ?? "")
    }
    back.searchParams.set("state", state)
    exchange.send(302, "", { location: back.href })
  }

  async token(exchange: Exchange): Promise<void> {
    const fault = this.state.tokenFaults.shift()
    if (fault?.kind === "delay") await sleep(fault.ms)
    if (fault?.kind === "drop_before") return exchange.reset()
    if (fault?.kind === "status") {
      const headers = { "content-type": "application/json", ...fault.headers }
      return exchange.send(
        fault.status,
        typeof fault.body === "string" ? fault.body : JSON.stringify(fault.body ?? {}),
        headers,
      )
    }
    const answer = this.#answer(exchange)
    if (fault?.kind === "hold") await fault.release
    if (fault?.kind === "drop_after") return exchange.reset()
    const fields = fault?.kind === "fields" ? fault.fields : {}
    const body = Object.fromEntries(Object.entries({ ...answer.body, ...fields }).filter(([, value]) => value !== null))
    exchange.json(answer.status, body)
  }

  deviceUserCode(exchange: Exchange) {
    const { json } = exchange.record
    if (!isObject(json) || json.client_id !== CLIENT_ID)
      return exchange.json(400, { error: { code: "invalid_client" } })
    const handle = `deviceauth_${randomBytes(12).toString("hex")}`
    const userCode = `${randomBytes(2).toString("hex")}-${randomBytes(3).toString("hex")}`.toUpperCase()
    this.#devices.set(handle, { userCode, account: null })
    const expires = new Date(Date.now() + 15 * 60_000).toISOString()
    exchange.json(200, { device_auth_id: handle, user_code: userCode, interval: "5", expires_at: expires })
  }

  deviceToken(exchange: Exchange) {
    const { json } = exchange.record
    const handle = isObject(json) ? String(json.device_auth_id) : ""
    const device = this.#devices.get(handle)
    if (device === undefined || !isObject(json) || json.user_code !== device.userCode) {
      return exchange.json(400, { error: { code: "deviceauth_invalid", message: "Unknown device code" } })
    }
    if (device.account === null) {
      const message = "Device authorization is unknown. Please try again."
      return exchange.json(403, { error: { code: "deviceauth_authorization_unknown", message } })
    }
    const verifier = randomBytes(48).toString("base64url")
    const challenge = createHash("sha256").update(verifier).digest("base64url")
    const code = `ac_${randomBytes(18).toString("base64url")}`
    this.#codes.set(code, { account: device.account, challenge, redirectUri: `${this.origin()}/deviceauth/callback` })
    this.#devices.delete(handle)
    exchange.json(200, { authorization_code: code, code_challenge: challenge, code_verifier: verifier })
  }

  #answer(exchange: Exchange): Answer {
    const { headers, body, json } = exchange.record
    const refuse = (status: number, code: string, message: string): Answer => ({
      status,
      body: { error: { message, type: "invalid_request_error", param: null, code } },
    })
    const ok = (tokens: IssuedTokens): Answer => ({ status: 200, body: { ...tokens } })
    if (headers["content-type"]?.startsWith("application/json")) {
      if (!isObject(json)) return refuse(400, "invalid_request", "Malformed body")
      if (json.client_id !== CLIENT_ID) return refuse(400, "invalid_client", "Unknown client")
      if (json.grant_type !== "refresh_token") return refuse(400, "unsupported_grant_type", "Unsupported grant")
      if (json.scope !== undefined) return refuse(400, "invalid_scope", "Scope may not be narrowed")
      return this.#refresh(String(json.refresh_token), ok, refuse)
    }
    const form = new URLSearchParams(body)
    if (form.get("client_id") !== CLIENT_ID) return refuse(400, "invalid_client", "Unknown client")
    if (form.get("grant_type") !== "authorization_code")
      return refuse(400, "unsupported_grant_type", "Unsupported grant")
    const code = this.#codes.get(form.get("code") ?? "")
    this.#codes.delete(form.get("code") ?? "")
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url")
    if (code === undefined || code.challenge !== challenge || code.redirectUri !== form.get("redirect_uri")) {
      return refuse(400, "invalid_grant", "Invalid authorization code")
    }
    return ok(this.state.accounts.login(code.account))
  }

  #refresh(
    token: string,
    ok: (tokens: IssuedTokens) => Answer,
    refuse: (status: number, code: string, message: string) => Answer,
  ): Answer {
    const redeemed = this.state.accounts.redeem(token)
    switch (redeemed.kind) {
      case "ok":
        return ok(redeemed.tokens)
      case "reused":
        return refuse(
          401,
          "refresh_token_reused",
          "Your refresh token has already been used to generate a new access token. Please try signing in again.",
        )
      case "revoked":
        return refuse(
          401,
          "refresh_token_invalidated",
          "Your refresh token has been invalidated. Please try signing in again.",
        )
      case "unknown":
        return refuse(401, "token_expired", "Could not validate your token. Please try signing in again.")
    }
  }
}
