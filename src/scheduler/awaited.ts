import type { Entry } from "./entry.ts"

/** Renewals that a request may be waiting for: those that stand in the first lane, or were sent. */
export class Awaited {
  readonly #entries = new Set<Entry>()
  /** Those of them that were sent, and when (monotonic milliseconds), in that order. */
  readonly #sent = new Map<Entry, number>()

  get size(): number {
    return this.#entries.size
  }

  has(entry: Entry): boolean {
    return this.#entries.has(entry)
  }

  /** Somebody waits for it. */
  add(entry: Entry): void {
    this.#entries.add(entry)
  }

  /** It was sent, at `mono`. */
  send(entry: Entry, mono: number): void {
    this.#entries.add(entry)
    // Behind all others, also if it was sent before.
    this.#sent.delete(entry)
    this.#sent.set(entry, mono)
  }

  delete(entry: Entry): void {
    this.#entries.delete(entry)
    this.#sent.delete(entry)
  }

  /** Those that were sent at `since` (monotonic milliseconds) or before. */
  *slow(since: number): Iterable<Entry> {
    for (const [entry, at] of this.#sent) {
      if (at > since) return
      yield entry
    }
  }
}
