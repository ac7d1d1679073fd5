import type { Clock, Random } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { LateChange, QuotaWindow, StateChange } from "../store/types.ts"
import { Chore } from "./due.ts"
import type { Entry } from "./entry.ts"
import type { CredentialPool } from "./pool.ts"
import type { CredentialSource } from "./ports.ts"
import { delayAfter } from "./refresh.ts"

/** Late changes are written together this long after the first one, in milliseconds. */
const BATCH = 2_000
const RETRY_FIRST = 1_000
const RETRY_MOST = 60_000
/** Late session bindings kept while the database cannot be written; the oldest go first. */
const MOST_SESSIONS = 50_000

/**
 * The scheduler's pen: durable changes at once, late ones in batches. Nothing here throws: what cannot be written now is kept
 * and tried again, with an error in the log, while memory goes on serving. A change that replaces an unwritten one of the same
 * kind takes its place, so what is kept is bounded by the size of the pool. Changes of one credential are written in the order in
 * which they came: one of another kind may say the opposite (cleared, then cooling again).
 */
export class Ledger {
  /** By credential, then by kind; oldest first. */
  readonly #unwritten = new Map<number, Map<string, StateChange>>()
  readonly #leased = new Map<number, number>()
  readonly #quotas = new Map<number, readonly QuotaWindow[]>()
  readonly #plans = new Map<number, string>()
  readonly #sessions = new Map<string, LateChange>()
  readonly #batch: Chore
  readonly #retry: Chore
  #failures = 0

  constructor(
    readonly pool: CredentialPool,
    readonly source: CredentialSource,
    readonly clock: Clock,
    readonly log: Log,
    readonly random: Random,
  ) {
    this.#batch = new Chore(() => this.flush())
    this.#retry = new Chore(() => this.#again())
  }

  /** Writes `changes` of one credential durably; keeps those that cannot be written. */
  note(entry: Entry, changes: readonly StateChange[]): void {
    const { id } = entry
    for (const change of changes) {
      const key = `${change.set} ${scopeOf(change)}`
      // A kept change must not overtake a newer one of its kind.
      this.#unwritten.get(id)?.delete(key)
      try {
        this.catchUp(id)
        this.source.note(id, change, this.clock.wall())
      } catch (error) {
        const kept = this.#unwritten.get(id) ?? new Map<string, StateChange>()
        this.#unwritten.set(id, kept.set(key, change))
        this.#fail(error)
      }
    }
  }

  /** Writes what is kept for a credential, so that a newer write finds it done. Throws when the store does. */
  catchUp(id: number): void {
    const kept = this.#unwritten.get(id)
    if (kept === undefined) return
    for (const [key, change] of kept) {
      this.source.note(id, change, this.clock.wall())
      kept.delete(key)
    }
    this.#unwritten.delete(id)
  }

  /** Drops what is kept for a credential that was removed or added anew. */
  forget(id: number): void {
    this.#unwritten.delete(id)
    this.#leased.delete(id)
    this.#quotas.delete(id)
    this.#plans.delete(id)
  }

  leased(id: number, at: number): void {
    this.#leased.set(id, at)
    this.#arm()
  }

  quotas(id: number, windows: readonly QuotaWindow[]): void {
    this.#quotas.set(id, windows)
    this.#arm()
  }

  plan(id: number, plan: string): void {
    this.#plans.set(id, plan)
    this.#arm()
  }

  session(session: string, change: LateChange): void {
    this.#sessions.delete(session)
    this.#sessions.set(session, change)
    this.#arm()
  }

  /** Writes the late changes now. */
  flush(): void {
    this.pool.heap.remove(this.#batch)
    const changes: LateChange[] = [...this.#sessions.values()]
    for (const [id, at] of this.#leased) changes.push({ late: "leased", id, at })
    for (const [id, windows] of this.#quotas) changes.push({ late: "quota", id, windows })
    for (const [id, plan] of this.#plans) changes.push({ late: "plan", id, plan })
    if (changes.length === 0) return
    try {
      this.source.flush(changes, this.clock.wall())
    } catch (error) {
      for (const session of this.#sessions.keys()) {
        if (this.#sessions.size <= MOST_SESSIONS) break
        this.#sessions.delete(session)
      }
      this.#fail(error)
      return
    }
    this.#sessions.clear()
    this.#leased.clear()
    this.#quotas.clear()
    this.#plans.clear()
  }

  /** Last attempt to write everything; what still cannot be written is lost, and the log says so. */
  close(): void {
    this.#again()
    this.pool.heap.remove(this.#retry)
    if (this.#kept > 0) {
      this.log.error("changes to credentials could not be stored before the stop", { lost: this.#kept })
    }
  }

  get #kept(): number {
    let count = 0
    for (const kept of this.#unwritten.values()) count += kept.size
    return count
  }

  #again(): void {
    for (const id of [...this.#unwritten.keys()]) {
      try {
        this.catchUp(id)
      } catch (error) {
        this.#fail(error)
      }
    }
    this.flush()
    if (!this.#retry.pending) this.#failures = 0
  }

  #fail(error: unknown): void {
    if (this.#retry.pending) return
    this.#failures++
    const delay = delayAfter(this.#failures, RETRY_FIRST, RETRY_MOST, this.random)
    this.pool.heap.set(this.#retry, this.clock.mono() + delay)
    this.log.error("a change could not be stored; it is kept in memory and tried again", {
      error: error instanceof Error ? error.message : String(error),
      retry_in_ms: Math.round(delay),
      kept: this.#kept,
    })
  }

  #arm(): void {
    if (!this.#batch.pending && !this.#retry.pending) this.pool.heap.set(this.#batch, this.clock.mono() + BATCH)
  }
}

function scopeOf(change: StateChange): string {
  switch (change.set) {
    case "cooldown":
      return change.cooldown.scope
    case "cooldown_over":
      return change.scope
    case "mark":
      return change.mark.model
    case "mark_over":
      return change.model
    default:
      return ""
  }
}
