import type { Log } from "../observe/ports.ts"
import type { SeedOutcome } from "../store/types.ts"
import type { Now } from "./entry.ts"
import type { CredentialPool } from "./pool.ts"
import type { PoolEvent } from "./ports.ts"
import { viewOf } from "./view.ts"

type Listener = (event: PoolEvent) => void

/**
 * Tells listeners what changed, after the turn in which it did: one event per credential and turn. What nobody listens for costs
 * nothing: nearly every answer changes its credential (quotas), and only an open feed wants to hear of that.
 */
export class Events {
  readonly #listeners = new Set<Listener>()
  readonly #seedListeners = new Set<Listener>()
  #queue: PoolEvent[] = []

  constructor(
    readonly pool: CredentialPool,
    readonly log: Log,
  ) {}

  subscribe(listener: Listener, only?: "seed"): () => void {
    // A wrapper of its own, so that the same function may listen twice.
    const own: Listener = (event) => listener(event)
    if (only === "seed") {
      this.#seedListeners.add(own)
      return () => void this.#seedListeners.delete(own)
    }
    this.#listeners.add(own)
    this.pool.changed ??= new Set()
    return () => {
      this.#listeners.delete(own)
      if (this.#listeners.size === 0) this.pool.changed = null
    }
  }

  removed(id: number, now: Now): void {
    if (this.#listeners.size > 0) this.#queue.push({ event: "removed", at: now.wall, id })
  }

  seed(outcome: SeedOutcome, now: Now): void {
    if (this.#listeners.size + this.#seedListeners.size > 0) this.#queue.push({ event: "seed", at: now.wall, outcome })
  }

  /** Hands out what has gathered. */
  deliver(now: Now): void {
    const { changed } = this.pool
    if (changed !== null && changed.size > 0) {
      const entries = [...changed]
      changed.clear()
      for (const entry of entries) {
        if (entry.gone) continue
        this.#queue.push({ event: "credential", at: now.wall, credential: viewOf(entry, this.pool, now) })
      }
    }
    if (this.#queue.length === 0) return
    const events = this.#queue
    this.#queue = []
    for (const event of events) {
      const listeners = event.event === "seed" ? [...this.#listeners, ...this.#seedListeners] : [...this.#listeners]
      for (const listener of listeners) {
        try {
          listener(event)
        } catch (error) {
          this.log.error("a listener of the scheduler failed", {
            error: error instanceof Error ? error.message : String(error),
          })
        }
      }
    }
  }
}
