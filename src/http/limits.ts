import { LRUCache } from "lru-cache"
// Not the package's index: that loads a limiter for each of a dozen databases.
import RateLimiterMemory from "rate-limiter-flexible/lib/RateLimiterMemory.js"

/** Length of every window here. */
const MINUTE_SECONDS = 60

/** Distinct names counted apart; beyond it, newcomers share one count, so that no flood of addresses fills the memory. */
const TRACKED = 10_000

/** Counts events per name over a minute; tells when to come back once a limit is passed. */
export class MinuteCounter {
  #table: Table | null = null

  /** Counts one event. Resolves to null within the limit, else to the seconds until the count starts anew. */
  async over(name: string, limit: number): Promise<number | null> {
    // Made with the first event: the names' table takes its whole space at once, and many a server never needs it.
    this.#table ??= new Table()
    const count = await this.#table.counts.penalty(this.#table.tracked(name))
    return count.consumedPoints <= limit ? null : Math.max(1, Math.ceil(count.msBeforeNext / 1000))
  }
}

class Table {
  // The limit is compared by the counter, not there: it may differ per name, and a reload may change it.
  readonly counts = new RateLimiterMemory({ points: 1, duration: MINUTE_SECONDS })
  readonly #names = new LRUCache<string, true>({ max: TRACKED, ttl: MINUTE_SECONDS * 1000 })

  tracked(name: string): string {
    if (this.#names.has(name)) return name
    if (this.#names.size >= TRACKED) this.#names.purgeStale()
    if (this.#names.size >= TRACKED) return "*"
    this.#names.set(name, true)
    return name
  }
}
