import type { Clock, Timers } from "./clock.ts"
import { Buckets } from "./tally.ts"

/** How often the event loop is asked how late it is, in milliseconds. */
const SAMPLE_MS = 250
/** A timer is late by the time the loop was busy with something else. Seconds. */
const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]

/** How late the event loop runs its timers; sampled until it is closed. A histogram, so that no scraper resets it for the others. */
export class LoopLag {
  /** Seconds. */
  readonly buckets = new Buckets(LAG_BUCKETS)
  #cancel = () => {}

  constructor(
    readonly clock: Clock,
    readonly timers: Timers,
  ) {
    this.#sample()
  }

  close(): void {
    this.#cancel()
  }

  #sample(): void {
    const due = this.clock.mono() + SAMPLE_MS
    this.#cancel = this.timers.after(SAMPLE_MS, () => {
      this.buckets.observe(Math.max(0, this.clock.mono() - due) / 1000)
      this.#sample()
    })
  }
}
