import type { Entry } from "./entry.ts"
import { Deadline } from "./heap.ts"
import type { Acquired, Ask } from "./ports.ts"

/** A request that waits for a lease. */
export class Waiter extends Deadline {
  readonly kind = "waiter"
  next: Waiter | null = null
  prev: Waiter | null = null
  queued = false
  /** Called when its asker goes away. */
  onAbort: (() => void) | null = null

  constructor(
    readonly ask: Ask,
    /** Monotonic time since which it waits. */
    readonly since: number,
    /** The credential that its session prefers, as long as it is worth waiting for. */
    public bound: Entry | null,
    readonly answer: (acquired: Acquired) => void,
  ) {
    super()
  }
}

interface Line {
  first: Waiter | null
  last: Waiter | null
  size: number
}

/** Requests that wait, per model first come, first served; `limit` in all. Adding and removing are O(1). */
export class Waiters {
  readonly #lines = new Map<string, Line>()
  #size = 0

  constructor(readonly limit: number) {}

  get size(): number {
    return this.#size
  }

  get full(): boolean {
    return this.#size >= this.limit
  }

  /** How many wait for `model`. */
  count(model: string): number {
    return this.#lines.get(model)?.size ?? 0
  }

  add(waiter: Waiter): void {
    if (waiter.queued) return
    const model = waiter.ask.model
    let line = this.#lines.get(model)
    if (line === undefined) {
      line = { first: null, last: null, size: 0 }
      this.#lines.set(model, line)
    }
    waiter.prev = line.last
    waiter.next = null
    if (line.last === null) line.first = waiter
    else line.last.next = waiter
    line.last = waiter
    line.size++
    this.#size++
    waiter.queued = true
  }

  remove(waiter: Waiter): void {
    if (!waiter.queued) return
    const model = waiter.ask.model
    const line = this.#lines.get(model)
    if (line === undefined) return
    if (waiter.prev === null) line.first = waiter.next
    else waiter.prev.next = waiter.next
    if (waiter.next === null) line.last = waiter.prev
    else waiter.next.prev = waiter.prev
    waiter.queued = false
    line.size--
    this.#size--
    if (line.size === 0) this.#lines.delete(model)
  }

  /** All waiters, model by model, in order of arrival; the visited one may be removed. */
  each(visit: (waiter: Waiter) => void): void {
    for (const line of [...this.#lines.values()]) {
      let waiter = line.first
      while (waiter !== null) {
        const next: Waiter | null = waiter.next
        visit(waiter)
        waiter = next
      }
    }
  }
}
