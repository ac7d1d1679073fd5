/** What the scheduler needs from the store and from a provider, and what it offers to the rooms above. */
import type { HaltSignal } from "../observe/halt.ts"
import type {
  Binding,
  Identity,
  LastError,
  LateChange,
  ParkReason,
  QuotaWindow,
  Seed,
  SeedHint,
  SeedOutcome,
  SeedRecord,
  StateChange,
  Stored,
  TokenSet,
} from "../store/types.ts"

/** The persistent side of one provider's pool. Every method is synchronous and durable on return unless it says otherwise. */
export interface CredentialSource {
  load(): readonly Stored[]
  /** Seeds without a final outcome, oldest first. */
  pendingSeeds(): readonly Seed[]
  /** One of `pendingSeeds`, or null when it is not pending. */
  pendingSeed(id: string): Seed | null
  seedRecords(limit: number): readonly SeedRecord[]
  seedOutcome(id: string): SeedOutcome | null
  /**
   * Records seeds. One that equals a stored refresh token, or one of a credential's last 32 spent tokens, is recorded as
   * `known` and never sent; one already recorded as pending keeps its id; one that failed before becomes pending again.
   */
  addSeeds(hints: readonly SeedHint[], now: number): readonly SeedOutcome[]
  /** Before a seed's refresh is sent. */
  intendSeed(id: string, now: number): void
  /** The seed's refresh was answered: its new tokens are kept with it until it is adopted or failed. */
  holdSeed(id: string, tokens: TokenSet, now: number): void
  failSeed(id: string, reason: string, detail: string, url: string | null, now: number): void
  /**
   * One transaction: upsert on (sub, account) with status 1, cooldowns, marks and parking cleared, the old refresh token
   * remembered as spent, the seed (if any) recorded as adopted.
   */
  adopt(seed: string | null, tokens: TokenSet, who: Identity, now: number): Stored
  /** Before a refresh is sent: a restart that finds this row treats the token as ambiguous. */
  intend(id: number, now: number): void
  /**
   * Compare-and-swap on the old refresh token. `superseded`: the row holds another refresh token, nothing was written.
   * @throws when the database cannot be written; the caller keeps the tokens in memory and tries again.
   */
  rotate(
    id: number,
    witness: string,
    tokens: TokenSet,
    who: Partial<Identity> | null,
    now: number,
  ): "stored" | "superseded"
  /** The row as it stands, or null when it is gone. */
  read(id: number): Stored | null
  /**
   * Standing, dead refresh and clear are durable on return; cooldowns, marks and errors, which come in storms, survive the
   * death of the process, but a power cut can take the last moments of them.
   */
  note(id: number, change: StateChange, now: number): void
  /** Changes that may wait; one transaction. */
  flush(changes: readonly LateChange[], now: number): void
  bindings(limit: number): readonly Binding[]
  remove(id: number): void
}

/** What a provider's token endpoint says. */
export type Refreshed =
  | { readonly kind: "ok"; readonly tokens: TokenSet; readonly who: Partial<Identity> | null }
  /** The refresh token is dead. `ban`: the account is gone too. */
  | { readonly kind: "permanent"; readonly reason: string; readonly detail: string; readonly ban: boolean }
  /** Surely not spent: try again. `retryAfterMs` if the answer named a time. */
  | {
      readonly kind: "transient"
      readonly reason: string
      readonly detail: string
      readonly retryAfterMs: number | null
    }
  /** Sent, no answer: the token may be spent. */
  | { readonly kind: "ambiguous"; readonly reason: string }
  /** Our own fault (client id refused): no credential is touched, an operator is told. */
  | { readonly kind: "ours"; readonly reason: string; readonly detail: string }

export type Identified =
  | { readonly kind: "ok"; readonly who: Identity }
  | { readonly kind: "refused"; readonly reason: string; readonly detail: string; readonly url: string | null }
  | {
      readonly kind: "transient"
      readonly reason: string
      readonly detail: string
      readonly retryAfterMs: number | null
    }

export interface Refresher {
  refresh(refreshToken: string, signal: AbortSignal): Promise<Refreshed>
  /** Whose tokens these are; may onboard the account, which can take minutes. */
  identify(tokens: TokenSet, account: string | null, signal: AbortSignal): Promise<Identified>
  /** How long before its expiry a token is renewed, in milliseconds; the scheduler takes the smaller of this and 20 % of the lifetime. */
  readonly leadMs: number
}

/** What the upstream answers when it is asked how much of a credential's quota is left. */
export type QuotaReading =
  | {
      readonly kind: "ok"
      readonly windows: readonly QuotaWindow[]
      readonly plan: string | null
      /** The whole account is out of quota until this wall time; null when it is not. */
      readonly limitedUntil: number | null
      /** Models that the answer speaks about in particular, with the same meaning; it says nothing about others. */
      readonly models: ReadonlyMap<string, number | null>
    }
  /** Nothing is known, and nothing follows from it. */
  | { readonly kind: "failed"; readonly reason: string }

/** Asks for quotas without spending any. */
export interface QuotaReader {
  /** One request to the upstream. Should resolve in every case; a rejection counts as failed. */
  quotas(token: string, identity: Identity, signal: AbortSignal): Promise<QuotaReading>
  /** By how much a cooldown grows that a reading confirms before its stated reset: milliseconds per time in a row, the last repeats. */
  readonly probe: readonly number[]
}

/** The right to use one credential for one attempt. Secret: carries the access token. */
export interface Lease {
  readonly id: number
  readonly credential: number
  readonly model: string
  readonly token: string
  /** Counts the token sets this credential has had; a report about an older one causes no refresh. */
  readonly generation: number
  readonly identity: Identity
  /** Whether this session was served by this credential before. */
  readonly sticky: boolean
}

export interface Ask {
  readonly model: string
  /** Names of the session, best first; see relay `sessionsOf`. Empty: no affinity. */
  readonly sessions: readonly string[]
  /** Credentials this request may not have any more. */
  readonly exclude: ReadonlySet<number>
  /** Credentials to take only if there is no other (they failed by a 5xx or a network fault). */
  readonly avoid: ReadonlySet<number>
  /** Only this credential (retry on the same one, waiting for its refresh), whatever `exclude` and `avoid` say; or null. */
  readonly only: number | null
  /** Monotonic deadline for waiting. */
  readonly deadline: number
  readonly signal: HaltSignal
}

export type Refusal =
  | { readonly why: "empty" }
  /** Nothing left that was not tried already by this request. */
  | { readonly why: "exhausted" }
  | {
      readonly why: "all_cooling"
      /** Wall time at which the first one is due. */
      readonly until: number
      /** True when every usable credential waits for a stated quota reset. */
      readonly quota: boolean
      readonly plan: string | null
    }
  | { readonly why: "unsupported"; readonly model: string }
  /** A refresh did not end before the deadline. */
  | { readonly why: "timeout" }
  /** Too many requests wait already. */
  | { readonly why: "overloaded" }
  | { readonly why: "closed" }
  | { readonly why: "aborted" }

export type Acquired =
  | { readonly lease: Lease; readonly refusal: null }
  | { readonly lease: null; readonly refusal: Refusal }

/** What a failed attempt does to its credential. Ladders are milliseconds per strike in a row; the last step repeats; a success resets. */
export type Action =
  | { readonly do: "none" }
  | {
      readonly do: "cool"
      readonly scope: "all" | readonly string[]
      /** Wall time of the stated reset. */
      readonly until: number
      readonly cause: string
      readonly quota: boolean
      /** Caps the wait, so that a lying reset time is re-probed. */
      readonly probe?: readonly number[]
    }
  | {
      readonly do: "backoff"
      readonly scope: "all" | readonly string[]
      readonly ladder: readonly number[]
      readonly cause: string
      /** Strikes in a row before the first step applies (default 1). */
      readonly after?: number
      /** What follows when the ladder is exhausted; default: the last step repeats. */
      readonly then?: "ban"
    }
  | {
      readonly do: "lacks"
      readonly model: string
      readonly until: number
      /** Believed only once another credential has served the same request. */
      readonly tentative: boolean
    }
  | { readonly do: "refresh"; readonly generation: number }
  /** Ask anew whose tokens these are (project gone or wrong); parked as `then` if that changes nothing. */
  | { readonly do: "identify"; readonly then: ParkAction }
  | ParkAction
  | { readonly do: "ban"; readonly reason: string; readonly detail: string }

export interface ParkAction {
  readonly do: "park"
  readonly reason: ParkReason
  readonly detail: string
  readonly url: string | null
  /** When to try again by itself; absent: never. */
  readonly recheck?: readonly number[]
}

/** How a lease ended, for bookkeeping only; faults are reported apart. */
export interface LeaseEnd {
  readonly served: boolean
  readonly quotas: readonly QuotaWindow[]
  readonly plan: string | null
  /**
   * Names to bind to the credential: the ask's sessions and the id of the response, once a part of the answer went to the client,
   * even if it broke afterwards. Empty when nothing did.
   */
  readonly bind: readonly string[]
}

/** One credential as shown to people: masked, no secret. */
export interface CredentialView {
  readonly id: number
  readonly email: string | null
  readonly account: string
  readonly plan: string | null
  readonly state: "ready" | "cooling" | "refreshing" | "expired" | "parked" | "disabled" | "banned"
  readonly reason: string | null
  readonly detail: string | null
  readonly url: string | null
  /** Wall time, or null. */
  readonly until: number | null
  readonly inFlight: number
  readonly expiresAt: number | null
  readonly refreshDead: string | null
  readonly ambiguousRefresh: boolean
  readonly cooldowns: readonly {
    readonly scope: string
    readonly until: number
    readonly stated: number
    readonly cause: string
  }[]
  readonly lacks: readonly { readonly model: string; readonly until: number }[]
  readonly quotas: readonly QuotaWindow[]
  readonly lastError: LastError | null
  readonly lastLeasedAt: number | null
}

export interface Explanation {
  readonly id: number
  readonly email: string | null
  readonly usable: boolean
  /** One sentence: why, or why not, until when. */
  readonly why: string
  readonly until: number | null
  readonly sticky: boolean
}

export interface PoolCounts {
  readonly ready: number
  readonly cooling: number
  readonly refreshing: number
  readonly expired: number
  readonly parked: number
  readonly disabled: number
  readonly banned: number
  readonly inFlight: number
  readonly waiting: number
  readonly pendingSeeds: number
}

export type PoolEvent =
  | { readonly event: "credential"; readonly at: number; readonly credential: CredentialView }
  | { readonly event: "removed"; readonly at: number; readonly id: number }
  | { readonly event: "seed"; readonly at: number; readonly outcome: SeedOutcome }

/** What an operator's verb did. */
export type AdminResult =
  | { readonly kind: "ok"; readonly credential: CredentialView | null }
  | { readonly kind: "not_found" }
  | { readonly kind: "failed"; readonly reason: string }

/** The scheduler of one provider, as the rooms above see it. */
export interface Pool {
  /** Handled in the caller's turn: a lease or a refusal at once, or a promise when it is worth waiting. Never rejects. */
  acquire(ask: Ask): Acquired | Promise<Acquired>
  /** Reports a fault; returns at once. */
  report(lease: Lease, action: Action, error: LastError | null): void
  /** Ends a lease; exactly once each. */
  release(lease: Lease, end: LeaseEnd): void
  /**
   * Seeds are stored when this returns.
   * @throws SeedsFull when too many wait already, what the store throws when it cannot be written; nothing was taken then
   */
  seeds(hints: readonly SeedHint[]): readonly SeedOutcome[]
  /** Tokens from a login: identified, stored and in rotation when it resolves. */
  tokens(tokens: TokenSet, account: string | null): Promise<SeedOutcome>
  /** The seed's outcome, waiting for a final one until the monotonic deadline. */
  outcome(id: string, deadline: number): Promise<SeedOutcome | null>
  list(): readonly CredentialView[]
  seedRecords(limit: number): readonly SeedRecord[]
  counts(): PoolCounts
  /** Ready credentials per model of the list. */
  ready(model: string): number
  explain(model: string, session: string | null): readonly Explanation[]
  disable(id: number): AdminResult
  enable(id: number): AdminResult
  remove(id: number): AdminResult
  clear(id: number): AdminResult
  refresh(id: number): Promise<AdminResult>
  /**
   * Calls `listener` after each turn that changed something; returns what ends it. While anybody listens for more than seeds, each
   * change of a credential is described, which costs some microseconds a request.
   */
  subscribe(listener: (event: PoolEvent) => void, only?: "seed"): () => void
  /** Stops timers and workers; a refresh in flight is awaited up to `graceMs`, so that its tokens are stored. */
  close(graceMs: number): Promise<void>
}
