import { timingSafeEqual } from "node:crypto"
import { LRUCache } from "lru-cache"

/** How long a login may take, in milliseconds. */
export const LOGIN_LIFETIME_MS = 15 * 60_000

/** Logins under way at once: in all, and begun without a key from one address. */
export const MOST_LOGINS = 256
export const MOST_LOGINS_PER_ADDRESS = 16

/** Characters of a login's id, which are also the first of its state. */
export const ID_LENGTH = 16

/** How a login ended, as it may be shown. */
export type LoginResult =
  | { readonly status: "done"; readonly credential: number | null; readonly email: string | null }
  | { readonly status: "failed"; readonly code: string; readonly message: string; readonly url: string | null }

/** A login that somebody has begun. Secret: the verifier, the digests' originals are not kept at all. */
export interface Login {
  readonly id: string
  readonly provider: string
  /** `browser`: begun by a visitor, bound to a cookie; `key`: begun with the key; `device`: nobody comes back. */
  readonly kind: "browser" | "key" | "device"
  /** What a browser login counts under: see `limitKey`. */
  readonly address: string
  readonly account: string | null
  /** SHA-256 of the state and of the cookie's value; null where there is none. */
  readonly state: Uint8Array | null
  readonly cookie: Uint8Array | null
  readonly verifier: string
  readonly redirectUri: string
  /** Monotonic, and the same on the wall. */
  readonly expiresAt: number
  readonly expires: number
}

/** Whether a login was taken in, and if not, the milliseconds until there is room. */
export type Admission =
  | { readonly taken: true; readonly displaced: Login | null }
  | { readonly taken: false; readonly waitMs: number }

interface Entry {
  readonly login: Login
  claimed: boolean
}

/** Logins under way, and how the latest ones ended. Memory only: a restart ends every login. */
export class LoginTable {
  readonly #open = new Map<string, Entry>()
  readonly #ended = new LRUCache<string, { readonly login: Login; readonly result: LoginResult }>({ max: MOST_LOGINS })

  /**
   * Takes a login in. One begun with the key displaces the oldest unclaimed one begun without when the table is full, so that
   * visitors cannot keep the operator out; the caller ends the displaced one.
   */
  add(login: Login, now: number): Admission {
    if (login.kind === "browser") {
      const same = [...this.#open.values()].filter(
        (entry) => entry.login.kind === "browser" && entry.login.address === login.address,
      )
      if (same.length >= MOST_LOGINS_PER_ADDRESS) return { taken: false, waitMs: untilFirst(same, now) }
    }
    let displaced: Login | null = null
    if (this.#open.size >= MOST_LOGINS) {
      const entries = [...this.#open.values()]
      const oldest = entries.find((entry) => entry.login.kind === "browser" && !entry.claimed)
      if (login.kind === "browser" || oldest === undefined) return { taken: false, waitMs: untilFirst(entries, now) }
      displaced = oldest.login
    }
    this.#open.set(login.id, { login, claimed: false })
    return { taken: true, displaced }
  }

  /** The login that a state belongs to, if it is still to be finished. Compared in constant time. */
  byState(provider: string, state: string, now: number): Login | null {
    const entry = this.#open.get(state.slice(0, ID_LENGTH))
    if (entry === undefined || entry.claimed || entry.login.provider !== provider) return null
    if (entry.login.expiresAt <= now || !matches(entry.login.state, state)) return null
    return entry.login
  }

  /** Takes a login for finishing: true exactly once. */
  claim(login: Login): boolean {
    const entry = this.#open.get(login.id)
    if (entry === undefined || entry.claimed) return false
    entry.claimed = true
    return true
  }

  end(login: Login, result: LoginResult): void {
    if (!this.#open.delete(login.id)) return
    this.#ended.set(login.id, { login, result })
  }

  /** Under way and unclaimed: nobody has come back yet. */
  isIdle(login: Login): boolean {
    return this.#open.get(login.id)?.claimed === false
  }

  /** Every login that nobody has come back for yet. */
  idle(): readonly Login[] {
    return [...this.#open.values()].filter((entry) => !entry.claimed).map((entry) => entry.login)
  }

  /** A provider's login by its id, with its result once it has ended. */
  find(provider: string, id: string): { readonly login: Login; readonly result: LoginResult | null } | null {
    const open = this.#open.get(id)
    const found = open === undefined ? (this.#ended.get(id) ?? null) : { login: open.login, result: null }
    return found?.login.provider === provider ? found : null
  }

  /** Logins of a provider under way that come back by a redirect. */
  returning(provider: string): number {
    let count = 0
    for (const { login } of this.#open.values()) {
      if (login.provider === provider && login.kind !== "device") count += 1
    }
    return count
  }

  get size(): number {
    return this.#open.size
  }
}

/** Whether `text` is what the digest was made of, in a time that tells nothing about either. */
export function matches(expected: Uint8Array | null, text: string): boolean {
  return expected !== null && timingSafeEqual(expected, secretDigest(text))
}

export function secretDigest(text: string): Uint8Array {
  const digest = new Uint8Array(32)
  Bun.SHA256.hash(text, digest)
  return digest
}

function untilFirst(entries: readonly Entry[], now: number): number {
  return Math.max(1_000, Math.min(...entries.map((entry) => entry.login.expiresAt)) - now)
}
