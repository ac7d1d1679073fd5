import { LRUCache } from "lru-cache"
import { RateLimiterMemory } from "rate-limiter-flexible"

/** Length of every window here. */
const MINUTE_SECONDS = 60

/** Distinct names counted apart; beyond it, newcomers share one count, so that no flood of addresses fills the memory. */
const TRACKED = 10_000

/** Counts events per name over a minute; tells when to come back once a limit is passed. */
export class MinuteCounter {
  // The limit is compared here, not there: it may differ per name, and a reload may change it.
  readonly #counts = new RateLimiterMemory({ points: 1, duration: MINUTE_SECONDS })
  readonly #names = new LRUCache<string, true>({ max: TRACKED, ttl: MINUTE_SECONDS * 1000 })

  /** Counts one event. Resolves to null within the limit, else to the seconds until the count starts anew. */
  async over(name: string, limit: number): Promise<number | null> {
    const count = await this.#counts.penalty(this.#tracked(name))
    return count.consumedPoints <= limit ? null : Math.max(1, Math.ceil(count.msBeforeNext / 1000))
  }

  #tracked(name: string): string {
    if (this.#names.has(name)) return name
    if (this.#names.size >= TRACKED) this.#names.purgeStale()
    if (this.#names.size >= TRACKED) return "*"
    this.#names.set(name, true)
    return name
  }
}
