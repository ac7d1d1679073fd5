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
 * kind takes its place, so what is kept is bounded by the size of the pool.
 */
export class Ledger {
  readonly #unwritten = new Map<string, { readonly id: number; readonly change: StateChange }>()
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
    for (const change of changes) {
      const key = `${entry.id} ${change.set} ${scopeOf(change)}`
      if (change.set === "clear") this.forget(entry.id)
      // A kept change must not overtake a newer one of its kind.
      this.#unwritten.delete(key)
      try {
        this.source.note(entry.id, change, this.clock.wall())
      } catch (error) {
        this.#unwritten.set(key, { id: entry.id, change })
        this.#fail(error)
      }
    }
  }

  /** Drops what is kept for a credential that was removed or added anew. */
  forget(id: number): void {
    for (const [key, kept] of this.#unwritten) if (kept.id === id) this.#unwritten.delete(key)
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
    if (this.#unwritten.size > 0) {
      this.log.error("changes to credentials could not be stored before the stop", { lost: this.#unwritten.size })
    }
  }

  #again(): void {
    for (const [key, { id, change }] of [...this.#unwritten]) {
      try {
        this.source.note(id, change, this.clock.wall())
        this.#unwritten.delete(key)
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
      kept: this.#unwritten.size,
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
