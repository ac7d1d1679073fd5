import type { Clock, Timers } from "../../../src/observe/clock.ts"

/** A clock and timers that move only when told to. */
export class HandTime implements Clock, Timers {
  #now = 1_000
  #next = 0
  readonly #tasks = new Map<number, { readonly due: number; readonly task: () => void }>()

  mono(): number {
    return this.#now
  }

  wall(): number {
    return 1_790_000_000_000 + this.#now
  }

  after(ms: number, task: () => void): () => void {
    const id = this.#next++
    this.#tasks.set(id, { due: this.#now + ms, task })
    return () => this.#tasks.delete(id)
  }

  /** Moves on, running what falls due in order. */
  advance(ms: number): void {
    const target = this.#now + ms
    for (;;) {
      const [id, first] = [...this.#tasks].sort((a, b) => a[1].due - b[1].due)[0] ?? []
      if (id === undefined || first === undefined || first.due > target) break
      this.#tasks.delete(id)
      this.#now = Math.max(this.#now, first.due)
      first.task()
    }
    this.#now = target
  }

  get pending(): number {
    return this.#tasks.size
  }
}
