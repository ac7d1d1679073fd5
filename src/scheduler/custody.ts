import type { Random } from "../observe/clock.ts"
import type { Log, LogFields } from "../observe/ports.ts"
import { Chore } from "./due.ts"
import type { Now } from "./entry.ts"
import type { CredentialPool } from "./pool.ts"
import { delayAfter } from "./refresh.ts"

const RETRY_FIRST = 250
const RETRY_MOST = 30_000

interface Kept {
  readonly write: (now: Now) => void
  readonly fields: LogFields
  readonly chore: Chore
  failures: number
}

/**
 * Writes that carry the only copy of something: won tokens, the fate of a seed. Each is tried until the store takes it, with an
 * alarm in the log; it is never dropped. Whatever must not happen before the write (publishing tokens) belongs into `write`, after it.
 */
export class Custody {
  readonly #kept = new Set<Kept>()

  constructor(
    readonly pool: CredentialPool,
    readonly log: Log,
    readonly random: Random,
  ) {}

  /** How many writes the store has not taken yet. */
  get size(): number {
    return this.#kept.size
  }

  /** Runs `write` now, and again until it does not throw. */
  store(write: (now: Now) => void, fields: LogFields, now: Now): void {
    const kept: Kept = { write, fields, failures: 0, chore: new Chore((later) => this.#attempt(kept, later)) }
    this.#attempt(kept, now)
  }

  /** One last attempt for everything; what the store still refuses is lost with the process, and the log says so. */
  close(now: Now): void {
    for (const kept of [...this.#kept]) this.#attempt(kept, now)
    if (this.#kept.size > 0) {
      this.log.error("tokens could not be stored before the stop: these credentials may have to log in again", {
        lost: this.#kept.size,
      })
    }
  }

  #attempt(kept: Kept, now: Now): void {
    try {
      kept.write(now)
    } catch (error) {
      kept.failures++
      this.#kept.add(kept)
      const delay = delayAfter(kept.failures, RETRY_FIRST, RETRY_MOST, this.random)
      this.pool.heap.set(kept.chore, now.mono + delay)
      this.log.error("tokens could not be stored; they are kept in memory and tried again", {
        ...kept.fields,
        failures: kept.failures,
        retry_in_ms: Math.round(delay),
        error: error instanceof Error ? error.message : String(error),
      })
      return
    }
    this.#kept.delete(kept)
    this.pool.heap.remove(kept.chore)
    if (kept.failures > 0) this.log.info("tokens are stored after all", { ...kept.fields, failures: kept.failures })
  }
}
