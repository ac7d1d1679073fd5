/**
 * What is kept about credentials. Provider-neutral: `account` is the second half of a credential's identity,
 * the Cloud project for one provider and the workspace for the other. All times are wall-clock milliseconds.
 */

/** A complete answer of a token endpoint. Secret: never logged, never listed. */
export interface TokenSet {
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresAt: number
  /** Raw id_token (JWT) when the answer carried one; used to identify, never stored. */
  readonly idToken: string | null
}

export interface Identity {
  readonly sub: string
  readonly account: string
  readonly email: string | null
  /** Plan or tier name as the provider spells it; an open string. */
  readonly plan: string | null
}

/** Why a credential is out of rotation for something that an operator can act on. */
export type ParkReason = "needs_login" | "needs_verification" | "ineligible" | "service_disabled"

export type Standing =
  | { readonly kind: "active" }
  | {
      readonly kind: "parked"
      readonly reason: ParkReason
      /** One sentence for people, free of secrets. */
      readonly detail: string
      /** Where the operator acts (validation or activation page), newest one. */
      readonly url: string | null
      readonly since: number
      /** When it is tried again by itself, or null for never. */
      readonly until: number | null
      /** How often in a row it was parked for this reason; picks the step of the recheck ladder. */
      readonly strikes: number
    }
  | { readonly kind: "disabled"; readonly since: number }
  | { readonly kind: "banned"; readonly reason: string; readonly detail: string; readonly since: number }

/** Scope of a cooldown or mark: one model, or every model. */
export const ALL_MODELS = "*"

export interface Cooldown {
  /** A model id or ALL_MODELS. */
  readonly scope: string
  readonly until: number
  /** What the upstream claimed, when the deadline was capped to re-probe earlier; else equal to `until`. */
  readonly stated: number
  readonly cause: string
  readonly strikes: number
  /** True when it waits for a stated quota reset, false for a backoff. */
  readonly quota: boolean
}

/** The upstream said that this credential does not have this model. */
export interface ModelMark {
  readonly model: string
  readonly until: number
}

export interface QuotaWindow {
  /** Limit family, e.g. "codex" or a model id. */
  readonly family: string
  /** "primary", "secondary", or the provider's own name. */
  readonly name: string
  /** 0 to 100. */
  readonly usedPercent: number
  readonly windowMinutes: number | null
  readonly resetsAt: number | null
  readonly seenAt: number
}

export interface LastError {
  readonly at: number
  readonly status: number | null
  readonly cause: string
  /** Redacted, at most 300 characters. */
  readonly message: string
}

export interface Stored {
  readonly id: number
  readonly identity: Identity
  readonly accessToken: string | null
  readonly refreshToken: string
  readonly expiresAt: number
  readonly standing: Standing
  /** Set when the token endpoint refused the refresh token for good; the access token may still serve. */
  readonly refreshDead: string | null
  readonly cooldowns: readonly Cooldown[]
  readonly marks: readonly ModelMark[]
  readonly quotas: readonly QuotaWindow[]
  readonly lastError: LastError | null
  readonly lastLeasedAt: number | null
  /** When a refresh was begun whose answer was never recorded: the stored token may be spent. */
  readonly intentAt: number | null
}

export interface SeedHint {
  readonly refreshToken: string
  /** Cloud project or workspace the operator asked for. */
  readonly account: string | null
}

export interface Seed extends SeedHint {
  readonly id: string
  readonly attempts: number
  /** Set when its refresh was begun before a restart and never answered. */
  readonly intentAt: number | null
  /**
   * Tokens already won for this seed but not yet identified (onboarding still running, or failed for a passing reason):
   * kept durably, since the refresh token handed in may be spent.
   */
  readonly tokens: TokenSet | null
}

export type SeedOutcome =
  | { readonly kind: "pending"; readonly id: string }
  | { readonly kind: "adopted"; readonly id: string; readonly credential: number; readonly email: string | null }
  /** The token is, or was, that of a credential we have: nothing was sent upstream. */
  | {
      readonly kind: "known"
      readonly id: string
      readonly credential: number | null
      /** What was asked for and not done; told once, never stored. */
      readonly detail?: string
    }
  | {
      readonly kind: "failed"
      readonly id: string
      readonly reason: string
      readonly detail: string
      readonly url: string | null
    }

/** A seed as `resource:list` shows it. */
export interface SeedRecord {
  readonly outcome: SeedOutcome
  readonly createdAt: number
  readonly updatedAt: number
}

/** One durable change to a credential's state. */
export type StateChange =
  | { readonly set: "standing"; readonly standing: Standing }
  | { readonly set: "refresh_dead"; readonly reason: string | null }
  | { readonly set: "cooldown"; readonly cooldown: Cooldown }
  | { readonly set: "cooldown_over"; readonly scope: string }
  | { readonly set: "mark"; readonly mark: ModelMark }
  | { readonly set: "mark_over"; readonly model: string }
  | { readonly set: "error"; readonly error: LastError }
  /** A refresh ended without new tokens and surely without spending the old one. */
  | { readonly set: "intent_over" }
  /** Cooldowns, marks, parking, dead refresh, last error: all gone (operator says "try again"). */
  | { readonly set: "clear" }

/** What may wait and be lost by a crash: written in batches. */
export type LateChange =
  | { readonly late: "leased"; readonly id: number; readonly at: number }
  | { readonly late: "quota"; readonly id: number; readonly windows: readonly QuotaWindow[] }
  | { readonly late: "plan"; readonly id: number; readonly plan: string }
  | { readonly late: "bind"; readonly session: string; readonly id: number; readonly at: number }
  | { readonly late: "unbind"; readonly session: string }

export interface Binding {
  readonly session: string
  readonly credential: number
  readonly usedAt: number
}
