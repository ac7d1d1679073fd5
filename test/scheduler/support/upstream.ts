import type { Identified, Refreshed, Refresher } from "../../../src/scheduler/ports.ts"
import type { TokenSet } from "../../../src/store/types.ts"
import type { HandTime } from "./time.ts"

interface Call<T> {
  readonly token: string
  readonly signal: AbortSignal
  readonly answer: (outcome: T) => void
  readonly fail: (error: unknown) => void
}

/** A token endpoint under a test's thumb: each call waits until the test answers it, or is answered by a standing rule. */
export class HandRefresher implements Refresher {
  leadMs = 300_000
  /** Calls not answered yet. */
  readonly refreshes: Call<Refreshed>[] = []
  readonly identifies: (Call<Identified> & { readonly account: string | null })[] = []
  /** Every refresh token sent, in order. */
  readonly sent: string[] = []
  /** When set, answers refreshes at once. */
  rule: ((token: string) => Refreshed) | null = null
  identifyRule: ((tokens: TokenSet, account: string | null) => Identified) | null = null
  /** Most refreshes that waited at the same time. */
  peak = 0
  #number = 0

  constructor(readonly time: HandTime) {}

  refresh(token: string, signal: AbortSignal): Promise<Refreshed> {
    this.sent.push(token)
    if (this.rule !== null) return Promise.resolve(this.rule(token))
    return new Promise((answer, fail) => {
      this.refreshes.push({ token, signal, answer, fail })
      this.peak = Math.max(this.peak, this.refreshes.length)
    })
  }

  identify(tokens: TokenSet, account: string | null, signal: AbortSignal): Promise<Identified> {
    if (this.identifyRule !== null) return Promise.resolve(this.identifyRule(tokens, account))
    return new Promise((answer, fail) => {
      this.identifies.push({ token: tokens.accessToken, account, signal, answer, fail })
    })
  }

  /** Answers the oldest waiting refresh with new tokens, or with `outcome`. */
  answer(outcome: Refreshed = this.fresh()): void {
    const call = this.refreshes.shift()
    if (call === undefined) throw new Error("no refresh is waiting")
    call.answer(outcome)
  }

  /** A new token set that lives for `lifeMs`. */
  fresh(lifeMs = 3_600_000): Refreshed {
    return { kind: "ok", tokens: this.tokens(lifeMs), who: null }
  }

  tokens(lifeMs = 3_600_000): TokenSet {
    const number = ++this.#number
    return {
      accessToken: `new-access${number}`,
      refreshToken: `new-refresh${number}`,
      expiresAt: this.time.wall() + lifeMs,
      idToken: null,
    }
  }
}

export const PERMANENT: Refreshed = { kind: "permanent", reason: "invalid_grant", detail: "Token revoked.", ban: false }
export const AMBIGUOUS: Refreshed = { kind: "ambiguous", reason: "reset" }
export const OURS: Refreshed = { kind: "ours", reason: "invalid_client", detail: "The client is unknown." }
export function transient(retryAfterMs: number | null = null): Refreshed {
  return { kind: "transient", reason: "server_error", detail: "HTTP 500", retryAfterMs }
}
