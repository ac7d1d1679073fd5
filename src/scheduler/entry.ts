import { ALL_MODELS, type Identity, type LastError, type QuotaWindow, type Standing } from "../store/types.ts"
import { Deadline } from "./heap.ts"
import type { Lease } from "./ports.ts"
import { Strikes } from "./strikes.ts"

/** Both faces of the clock, read once per message. */
export interface Now {
  readonly mono: number
  readonly wall: number
}

/** A cooldown in force. */
export class Rest extends Deadline {
  readonly kind = "rest"
  /**
   * It waits for a quota, and ends before the reset that was stated for that. Found out when it begins: later the system clock,
   * by which resets are stated, may have been set.
   */
  early = false
  constructor(
    readonly entry: Entry,
    /** A model or ALL_MODELS. */
    readonly scope: string,
    /** Wall time that the upstream claimed. */
    public stated: number,
    public cause: string,
    public quota: boolean,
    public strikes: number,
  ) {
    super()
  }
}

/** The credential does not have a model, until then. */
export class Mark extends Deadline {
  readonly kind = "mark"
  constructor(
    readonly entry: Entry,
    readonly model: string,
  ) {
    super()
  }
}

/** A time in a credential's own life: its token expires, is to be renewed, its parking is to be looked at again. */
export class Moment extends Deadline {
  constructor(
    readonly kind: "expiry" | "renew" | "parole",
    readonly entry: Entry,
  ) {
    super()
  }
}

/** How the renewal of a credential's tokens stands. */
export type Renewal =
  /** Nothing under way; may be asked for. */
  | "idle"
  /** Waits in a lane. */
  | "queued"
  /** Sent, or answered and not yet stored. */
  | "flying"
  /** Failed for now: tried again at the entry's `renew` moment. */
  | "backoff"

export type Shown = "ready" | "cooling" | "refreshing" | "expired" | "parked" | "disabled" | "banned"

/** One credential in memory: plain state, changed by the pool and the actor's parts only. */
export class Entry {
  identity: Identity
  accessToken: string | null = null
  refreshToken = ""
  /** Wall milliseconds, as the provider said. */
  expiresAt = 0
  generation = 1
  standing: Standing = { kind: "active" }
  refreshDead: string | null = null
  lastError: LastError | null = null
  lastErrorStored = 0
  quotas: readonly QuotaWindow[] = []

  /** The access token is there, not expired and was not refused. */
  alive = false
  /** The access token was refused by the upstream, whatever its expiry says. */
  refused = false
  /** Refusals of fresh tokens in a row, without a success in between. */
  refusals = 0
  /** Asked anew whose tokens these are. */
  identifying = false
  /** A refresh was sent whose answer nobody saw. */
  ambiguous = false
  renewal: Renewal = "idle"
  /** Failed renewals in a row. */
  renewalFailures = 0
  /** Parked before, free again for a probe; a success makes it lasting. */
  onParole = false
  /** Its proactive renewal was left out because nobody used it. */
  dormant = false
  gone = false

  inFlight = 0
  /** Monotonic time of the last lease, -Infinity for never. */
  leasedAt = Number.NEGATIVE_INFINITY
  /** Monotonic time of the last lease that was handed to the store. */
  leasedNoted = Number.NEGATIVE_INFINITY
  lastLeasedWall: number | null = null
  /** Leases up to this one were given out before the credential was added anew or cleared: their faults no longer matter. */
  amnesty = 0

  /** Written by the pool's `settle` only. */
  signature = -1
  shown: Shown = "expired"
  /** Whether `shown` is counted already. */
  counted = false

  readonly rests = new Map<string, Rest>()
  readonly marks = new Map<string, Mark>()
  /** Scopes for which the store holds a cooldown, in force or over. */
  readonly storedRests = new Set<string>()
  readonly strikes = new Strikes()
  readonly expiry = new Moment("expiry", this)
  readonly renew = new Moment("renew", this)
  readonly parole = new Moment("parole", this)

  constructor(
    readonly id: number,
    readonly slot: number,
    identity: Identity,
  ) {
    this.identity = identity
  }

  get active(): boolean {
    return this.standing.kind === "active"
  }

  /** Could be leased for every model that nothing holds back in particular. */
  get open(): boolean {
    return this.standing.kind === "active" && this.alive && !this.identifying && !this.rests.has(ALL_MODELS)
  }

  /** Something holds back this model in particular. */
  blocks(model: string): boolean {
    return (this.rests.size > 0 && this.rests.has(model)) || (this.marks.size > 0 && this.marks.has(model))
  }

  /** The cooldown that ends last among those that concern `model`, or null. */
  restOf(model: string): Rest | null {
    if (this.rests.size === 0) return null
    const all = this.rests.get(ALL_MODELS) ?? null
    const one = this.rests.get(model) ?? null
    if (all === null) return one
    return one === null || one.at <= all.at ? all : one
  }

  /** A renewal could be begun now. */
  get renewable(): boolean {
    return this.renewal === "idle" && this.refreshDead === null && !this.gone
  }
}

/** A lease given out by this scheduler; carries its entry, so that an id reused by the store can never be mistaken. */
export class IssuedLease implements Lease {
  readonly credential: number
  readonly token: string
  readonly generation: number
  readonly identity: Identity
  ended = false

  constructor(
    readonly id: number,
    readonly entry: Entry,
    readonly model: string,
    token: string,
    readonly sticky: boolean,
  ) {
    this.credential = entry.id
    this.token = token
    this.generation = entry.generation
    this.identity = entry.identity
  }
}

/** Wall time of a monotonic one. */
export function wallOf(mono: number, now: Now): number {
  return Math.round(now.wall + (mono - now.mono))
}
