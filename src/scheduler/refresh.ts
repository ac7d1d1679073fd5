import type { Clock } from "../observe/clock.ts"
import type { Now } from "./entry.ts"
import type { Refreshed } from "./ports.ts"

/** Order in which token refreshes are sent. */
export const LANE = { waiting: 0, proactive: 1, seeds: 2 } as const
const LANES = 3
const OUTSIDE = -1

/** Something to refresh. */
export abstract class RefreshJob {
  /** Lane in which it stands, -1 for none. Written by RefreshLanes only. */
  lane = OUTSIDE
  get queued(): boolean {
    return this.lane !== OUTSIDE
  }

  /** Its turn has come: records the intent durably and returns the token to send, or null if there is nothing to do any more. */
  abstract begin(now: Now): string | null

  /** The token endpoint's answer. */
  abstract answered(outcome: Refreshed, now: Now): void
}

/**
 * Refreshes that wait to be sent: a request is waiting before proactive ones before seeds, first come first served in each.
 * A job stands at most once; asking again from a better lane moves it there. All operations are O(1) amortised.
 */
export class RefreshLanes<J extends RefreshJob> {
  readonly #lanes: { jobs: (J | undefined)[]; head: number }[] = Array.from({ length: LANES }, () => ({
    jobs: [],
    head: 0,
  }))
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Returns false when it stands in this lane, or in a better one, already. */
  add(job: J, lane: number): boolean {
    if (job.lane !== OUTSIDE && job.lane <= lane) return false
    if (job.lane === OUTSIDE) this.#size++
    job.lane = lane
    this.#lanes[lane]?.jobs.push(job)
    return true
  }

  remove(job: J): void {
    if (job.lane === OUTSIDE) return
    job.lane = OUTSIDE
    this.#size--
  }

  /** Takes out the next job, or undefined. */
  take(): J | undefined {
    for (let number = 0; number < LANES; number++) {
      const lane = this.#lanes[number]
      if (lane === undefined) continue
      while (lane.head < lane.jobs.length) {
        const job = lane.jobs[lane.head]
        lane.jobs[lane.head++] = undefined
        if (lane.head > 32 && lane.head * 2 > lane.jobs.length) {
          lane.jobs.splice(0, lane.head)
          lane.head = 0
        }
        // One that moved to a better lane, or was taken out, left its old place behind.
        if (job === undefined || job.lane !== number) continue
        this.remove(job)
        return job
      }
    }
    return undefined
  }
}

/** Token bucket: `rate` per second on average, twice that at once. Monotonic. */
export class TokenBucket {
  #level: number
  #at: number

  constructor(
    readonly clock: Pick<Clock, "mono">,
    rate: number,
  ) {
    this.#level = 2 * rate
    this.#at = clock.mono()
  }

  /** Milliseconds until there is one, 0 for now. The rate may change between calls. */
  wait(rate: number): number {
    const now = this.clock.mono()
    this.#level = Math.min(2 * rate, this.#level + ((now - this.#at) * rate) / 1000)
    this.#at = now
    return this.#level > 1 - 1e-9 ? 0 : Math.max(1, Math.ceil(((1 - this.#level) * 1000) / rate))
  }

  spend(): void {
    this.#level--
  }
}

/** Milliseconds before the `failures`-th attempt in a row (from 1): doubling from `first` to `most`, plus up to 20 % at random. */
export function delayAfter(failures: number, first: number, most: number, random: () => number): number {
  const step = Math.min(most, first * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return step * (1 + random() / 5)
}
