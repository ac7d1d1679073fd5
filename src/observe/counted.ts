/** What is counted, and where: the shapes that counting and its exposition share. */
import type { LoopLag } from "./process-lag.ts"
import { Buckets, type Cells, Counts, type Series } from "./tally.ts"

export const STATES = ["ready", "cooling", "refreshing", "expired", "parked", "disabled", "banned"] as const

/** What is asked of a provider when somebody scrapes; a scheduler's Pool and a relay's Relay fit. */
export interface Watched {
  readonly provider: string
  readonly pool: {
    counts(): Readonly<Record<(typeof STATES)[number] | "inFlight" | "waiting" | "pendingSeeds", number>>
    /** Credentials ready for a model. */
    ready(model: string): number
  }
  readonly relay: { readonly active: number }
}

/** What is counted for one provider and model. */
export interface Cell {
  /** By principal, then by status. */
  readonly requests: Map<string, Counts<number>>
  readonly ends: Counts<string>
  readonly attempts: Counts<string>
  readonly tokens: { input: number; output: number; cached: number; reasoning: number }
  readonly duration: Buckets
  readonly firstByte: Buckets
  readonly overhead: Buckets
  readonly acquire: Buckets
}

/** Waiting for a model takes from some milliseconds to minutes. Seconds. */
const ANSWER_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]
/** Our own share is meant to be well under a millisecond. Seconds. */
const OVERHEAD_BUCKETS = [0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25]
/** Zero for nearly all, up to the wait for a refresh. Seconds. */
const ACQUIRE_BUCKETS = [0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** A cell in which nothing is counted yet. */
export const emptyCell = (): Cell => ({
  requests: new Map(),
  ends: new Counts(),
  attempts: new Counts(),
  tokens: { input: 0, output: 0, cached: 0, reasoning: 0 },
  duration: new Buckets(ANSWER_BUCKETS),
  firstByte: new Buckets(ANSWER_BUCKETS),
  overhead: new Buckets(OVERHEAD_BUCKETS),
  acquire: new Buckets(ACQUIRE_BUCKETS),
})

/** Everything that a scrape shows. */
export interface Counted {
  readonly version: string
  readonly cells: Cells<Cell>
  readonly refreshes: Series<"provider" | "outcome">
  readonly seeds: Series<"provider" | "outcome">
  readonly rejections: Series<"reason">
  readonly watched: readonly Watched[]
  readonly lag: LoopLag
  /** When the process was started, in seconds since the Unix epoch. */
  readonly startedAt: number
  ready(): boolean
  /** A provider's models that may be shown. */
  models(provider: string): Iterable<string>
}
