import { LRUCache } from "lru-cache"
import type { Clock } from "../observe/clock.ts"
import type { Binding } from "../store/types.ts"
import type { Ledger } from "./ledger.ts"

/** A name nobody used for so long is forgotten, in milliseconds: as long as the slowest conversation may pause. */
const IDLE = 4 * 3_600_000
/** A use is stored again only if the stored one is older, in milliseconds. */
const STORE_EVERY = 10 * 60_000

export interface AffinityLimits {
  /** Names that were asked for again. */
  readonly settled: number
  /** Names seen once. */
  readonly probation: number
}

export const AFFINITY_LIMITS: AffinityLimits = { settled: 16_384, probation: 16_384 }

type Table = LRUCache<string, Place>

interface Tables {
  readonly settled: Table
  readonly probation: Table
}

interface Place {
  credential: number
  /** Monotonic time of the use that was stored. */
  storedAt: number
}

/**
 * Which credential served a session before. Two bounded LRU tables with an idle limit: a name seen once waits in probation, so that
 * one-shot names cannot push out sessions that come back; one that is asked for again is settled. Settled bindings are stored
 * (in batches) and survive a restart, since prompt caches and encrypted reasoning belong to the account.
 */
export class Affinity {
  #tables: Tables | null = null
  /** The time, monotonic, as it was asked for when the current call began: the tables would ask for it three times. */
  #now = 0

  constructor(
    readonly clock: Clock,
    readonly ledger: Pick<Ledger, "session">,
    readonly limits: AffinityLimits = AFFINITY_LIMITS,
  ) {}

  get size(): number {
    return this.#tables === null ? 0 : this.#settled.size + this.#probation.size
  }

  get #settled(): Table {
    return (this.#tables ?? this.#make()).settled
  }

  get #probation(): Table {
    return (this.#tables ?? this.#make()).probation
  }

  /** With the first name: the tables take their whole space at once, which a start without bindings need not wait for. */
  #make(): Tables {
    const { ledger, limits } = this
    const idle = { ttl: IDLE, ttlResolution: 0, updateAgeOnGet: true, perf: { now: () => this.#now + 1 } }
    this.#tables = {
      settled: new LRUCache({
        ...idle,
        max: limits.settled,
        dispose: (_place, session, why) => {
          if (why === "evict" || why === "expire" || why === "delete")
            ledger.session(session, { late: "unbind", session })
        },
      }),
      probation: new LRUCache({ ...idle, max: limits.probation }),
    }
    return this.#tables
  }

  /** Takes over stored bindings; those idle for too long by the wall clock are left out. */
  load(bindings: readonly Binding[], has: (credential: number) => boolean): void {
    const wall = this.clock.wall()
    const mono = this.#look()
    const live = bindings.filter((binding) => has(binding.credential) && wall - binding.usedAt < IDLE)
    live.sort((a, b) => a.usedAt - b.usedAt)
    for (const { session, credential, usedAt } of live) {
      const storedAt = mono - Math.max(0, wall - usedAt)
      this.#settled.set(session, { credential, storedAt }, { start: storedAt + 1 })
    }
  }

  /** The credential of the first name that has one, or null. A name in probation is settled by this. */
  find(sessions: readonly string[]): number | null {
    this.#look()
    for (const session of sessions) {
      const settled = this.#settled.get(session)
      if (settled !== undefined) {
        this.#store(session, settled)
        return settled.credential
      }
      const fresh = this.#probation.get(session)
      if (fresh === undefined) continue
      this.#probation.delete(session)
      this.#settle(session, fresh.credential)
      return fresh.credential
    }
    return null
  }

  /** The credential of `session` without counting as a use. */
  peek(session: string): number | null {
    this.#look()
    return (this.#settled.peek(session) ?? this.#probation.peek(session))?.credential ?? null
  }

  /** `session` was served by `credential`. `keep` decides whether it stays with the one that it is bound to. */
  bind(session: string, credential: number, keep: (bound: number) => boolean): void {
    this.#look()
    const settled = this.#settled.get(session)
    if (settled !== undefined) {
      if (settled.credential !== credential && !keep(settled.credential)) this.#settle(session, credential)
      else this.#store(session, settled)
      return
    }
    const fresh = this.#probation.peek(session)
    if (fresh === undefined) {
      this.#probation.set(session, { credential, storedAt: 0 })
      return
    }
    this.#probation.delete(session)
    this.#settle(session, fresh.credential !== credential && !keep(fresh.credential) ? credential : fresh.credential)
  }

  forget(session: string): void {
    this.#settled.delete(session)
    this.#probation.delete(session)
  }

  #look(): number {
    this.#now = this.clock.mono()
    return this.#now
  }

  #settle(session: string, credential: number): void {
    const place = { credential, storedAt: Number.NEGATIVE_INFINITY }
    this.#settled.set(session, place)
    this.#store(session, place)
  }

  #store(session: string, place: Place): void {
    if (this.#now - place.storedAt < STORE_EVERY) return
    place.storedAt = this.#now
    this.ledger.session(session, { late: "bind", session, id: place.credential, at: this.clock.wall() })
  }
}
