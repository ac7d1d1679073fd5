import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomState } from "oauth4webapi"
import type { Clock, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { maskEmail, redact } from "../observe/redact.ts"
import type { Pool } from "../scheduler/ports.ts"
import type { SeedOutcome, TokenSet } from "../store/types.ts"
import { limitKey } from "./address.ts"
import { pollDevice } from "./device.ts"
import { LOGIN_LIFETIME_MS, type Login, type LoginResult, LoginTable, secretDigest } from "./login-table.ts"
import { type Exchanged, HttpError, type OAuthProvider } from "./ports.ts"
import { randomId } from "./request-id.ts"
import { within } from "./within.ts"

/** Longest time that exchanging a code may take, in milliseconds. */
const EXCHANGE_MS = 60_000

export interface LoginDeps {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

/** A provider as logins see it. */
export interface LoginTarget {
  readonly oauth: OAuthProvider
  readonly pool: Pool
}

export interface Begun {
  readonly login: Login
  readonly url: URL
  /** What the browser must show again; null for a login begun with the key. */
  readonly cookie: string | null
}

export interface DeviceBegun {
  readonly login: Login
  readonly userCode: string
  readonly verificationUrl: string
  readonly intervalMs: number
}

/** Logins from their beginning to a credential or a reason. What is begun is carried through, whoever stops listening. */
export class Logins {
  readonly table = new LoginTable()
  readonly #deps: LoginDeps
  readonly #waiting = new Map<string, { readonly ended: Promise<void>; readonly end: () => void }>()
  readonly #timers = new Map<string, () => void>()
  readonly #onEnd: (provider: string) => void

  /** @param onEnd called after any login of a provider has ended */
  constructor(deps: LoginDeps, onEnd: (provider: string) => void) {
    this.#deps = deps
    this.#onEnd = onEnd
  }

  /**
   * Begins a login that a browser finishes.
   * @throws HttpError rate_limited when too many are under way
   */
  async begin(
    { oauth }: LoginTarget,
    how: {
      readonly kind: "browser" | "key"
      readonly address: string
      readonly account: string | null
      /** Asked at the last moment: it may open a port, which stays open as long as a login is under way. */
      readonly redirectUri: () => string
    },
  ): Promise<Begun> {
    const id = randomId()
    const state = `${id}${generateRandomState()}`
    const verifier = generateRandomCodeVerifier()
    const cookie = how.kind === "browser" ? generateRandomState() : null
    const challenge = await calculatePKCECodeChallenge(verifier)
    const redirectUri = how.redirectUri()
    const login: Login = {
      ...this.#lifetime(LOGIN_LIFETIME_MS),
      id,
      provider: oauth.name,
      kind: how.kind,
      address: limitKey(how.address),
      account: how.account,
      redirectUri,
      state: secretDigest(state),
      cookie: cookie === null ? null : secretDigest(cookie),
      verifier,
    }
    this.#enter(login)
    return { login, url: oauth.authorizeUrl({ state, challenge, redirectUri }), cookie }
  }

  /**
   * Begins a login that a person finishes on another device.
   * @throws HttpError not_implemented, unavailable, rate_limited
   */
  async beginDevice(target: LoginTarget, account: string | null): Promise<DeviceBegun> {
    const { device, name } = target.oauth
    if (device === null) {
      throw new HttpError({ kind: "not_implemented", message: `${name} has no device login; use the browser login` })
    }
    const started = await within(this.#deps.timers, EXCHANGE_MS, (signal) => device.start(signal)).catch(
      (error: unknown) => {
        this.#deps.log.warn("device login could not be started", { provider: name, error: String(error) })
        return { kind: "failed" as const, message: "the provider could not be reached" }
      },
    )
    if ("kind" in started) throw new HttpError({ kind: "unavailable", message: redact(started.message) })
    const login: Login = {
      ...this.#lifetime(Math.min(started.expiresInMs, LOGIN_LIFETIME_MS)),
      id: randomId(),
      provider: name,
      kind: "device",
      address: "",
      account,
      state: null,
      cookie: null,
      verifier: "",
      redirectUri: "",
    }
    this.#enter(login)
    const stop = pollDevice({
      device,
      started,
      timers: this.#deps.timers,
      log: this.#deps.log,
      wanted: () => this.table.isIdle(login),
      won: (exchanged) => {
        if (this.table.claim(login)) void this.#carry(target, login, async () => exchanged)
      },
    })
    const expiry = this.#timers.get(login.id)
    this.#timers.set(login.id, () => {
      stop()
      expiry?.()
    })
    const { userCode, verificationUrl, intervalMs } = started
    return { login, userCode, verificationUrl, intervalMs }
  }

  /** Finishes a login with the code that came back. False when somebody has already. Does not wait. */
  finish(target: LoginTarget, login: Login, code: string): boolean {
    if (!this.table.claim(login)) return false
    const { verifier, redirectUri } = login
    void this.#carry(target, login, () =>
      within(this.#deps.timers, EXCHANGE_MS, (signal) =>
        target.oauth.exchange({ code, verifier, redirectUri }, signal),
      ),
    )
    return true
  }

  /** The login that a state belongs to, as long as nobody has come back for it. */
  unclaimed(provider: string, state: string): Login | null {
    return this.table.byState(provider, state, this.#deps.clock.mono())
  }

  /** Ends a login that was refused at the provider. */
  fail(login: Login, code: string, message: string): void {
    if (this.table.claim(login)) this.#end(login, { status: "failed", code, message, url: null })
  }

  /** The result once there is one, or null after `ms` milliseconds. */
  async result(login: Login, ms: number): Promise<LoginResult | null> {
    const waiting = this.#waiting.get(login.id)
    if (waiting !== undefined && ms > 0) {
      const late = Promise.withResolvers<void>()
      const cancel = this.#deps.timers.after(ms, late.resolve)
      await Promise.race([waiting.ended, late.promise])
      cancel()
    }
    return this.table.find(login.provider, login.id)?.result ?? null
  }

  /** Ends what nobody has come back for: from now on nobody can, and who waits for it need not hold the drain up. */
  drain(): void {
    const message = "Pollux was stopped before the login was finished; begin anew once it runs again"
    for (const login of this.table.idle()) this.fail(login, "STOPPED", message)
  }

  close(): void {
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
  }

  #lifetime(ms: number): { readonly expiresAt: number; readonly expires: number } {
    return { expiresAt: this.#deps.clock.mono() + ms, expires: this.#deps.clock.wall() + ms }
  }

  #enter(login: Login): void {
    const now = this.#deps.clock.mono()
    const admission = this.table.add(login, now)
    if (!admission.taken) {
      this.#onEnd(login.provider)
      const retryAfter = admission.waitMs / 1000
      throw new HttpError({ kind: "rate_limited", message: "too many logins are under way", retryAfter })
    }
    if (admission.displaced !== null) this.fail(admission.displaced, "DISPLACED", "too many logins were under way")
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.set(login.id, { ended: promise, end: resolve })
    const expire = () => this.fail(login, "EXPIRED", "the login was not finished in time")
    this.#timers.set(login.id, this.#deps.timers.after(login.expiresAt - now, expire))
    this.#deps.log.info("login begun", { provider: login.provider, login: login.id, kind: login.kind })
  }

  /** From the provider's answer to the pool's. Never rejects. */
  async #carry(target: LoginTarget, login: Login, exchange: () => Promise<Exchanged>): Promise<void> {
    try {
      const exchanged = await exchange()
      if (exchanged.kind === "failed") {
        const { code, message } = exchanged
        this.#end(login, { status: "failed", code, message: redact(message), url: null })
      } else {
        this.#end(login, resultOf(await this.#adopt(target, login, exchanged.tokens)))
      }
    } catch (error) {
      this.#deps.log.error("login failed", { provider: login.provider, login: login.id, error: String(error) })
      const message = `the provider could not be reached; the log has the details under ${login.id}`
      this.#end(login, { status: "failed", code: "TOKEN_EXCHANGE_FAILED", message, url: null })
    }
  }

  async #adopt({ pool }: LoginTarget, login: Login, tokens: TokenSet): Promise<SeedOutcome> {
    const outcome = await pool.tokens(tokens, login.account)
    if (outcome.kind !== "pending") return outcome
    return (await pool.outcome(outcome.id, this.#deps.clock.mono() + LOGIN_LIFETIME_MS)) ?? outcome
  }

  #end(login: Login, result: LoginResult): void {
    this.table.end(login, result)
    this.#timers.get(login.id)?.()
    this.#timers.delete(login.id)
    this.#waiting.get(login.id)?.end()
    this.#waiting.delete(login.id)
    const fields = { provider: login.provider, login: login.id }
    if (result.status === "done") this.#deps.log.info("login done", { ...fields, credential: result.credential })
    else this.#deps.log.warn("login failed", { ...fields, reason: result.code, message: result.message })
    this.#onEnd(login.provider)
  }
}

function resultOf(outcome: SeedOutcome): LoginResult {
  switch (outcome.kind) {
    case "adopted": {
      const email = outcome.email === null ? null : maskEmail(outcome.email)
      return { status: "done", credential: outcome.credential, email }
    }
    case "known":
      return { status: "done", credential: outcome.credential, email: null }
    case "pending":
      return { status: "done", credential: null, email: null }
    case "failed":
      return { status: "failed", code: outcome.reason, message: redact(outcome.detail), url: outcome.url }
  }
}
