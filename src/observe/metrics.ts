import { Counter, Gauge, Registry } from "prom-client"
import type { Clock, Timers } from "./clock.ts"
import type { TokenUsage } from "./ports.ts"
import { watchProcess } from "./process-metrics.ts"
import { Buckets, CellHistogram, Cells, Counts, demand } from "./tally.ts"

/** One attempt, as far as it is counted; a relay's AttemptRecord is one. */
export interface AttemptSample {
  readonly provider: string
  readonly model: string
  /** "ok" or the verdict's cause. */
  readonly cause: string
}

/** One finished request, as far as it is counted; a relay's RequestRecord is one. Times in milliseconds. */
export interface RequestSample {
  readonly provider: string
  readonly model: string
  readonly inbound: { readonly principal: string }
  readonly status: number
  readonly queueMs: number
  readonly firstByteMs: number | null
  readonly durationMs: number
  readonly overheadMs: number
  readonly usage: TokenUsage | null
  readonly end: string
}

const STATES = ["ready", "cooling", "refreshing", "expired", "parked", "disabled", "banned"] as const

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

/** Label values that may appear; any other becomes "other", so that no client can make series without bound. */
export interface Allowed {
  readonly principals: readonly string[]
  readonly models: Readonly<Record<string, readonly string[]>>
}

export interface Metrics {
  attempt(sample: AttemptSample): void
  finish(sample: RequestSample): void
  /** A token refresh ended; `outcome` as the token endpoint's answer is classified (ok, permanent, transient, ambiguous, ours). */
  refresh(provider: string, outcome: string): void
  /** A seed or login got its outcome (adopted, known, failed). */
  seed(provider: string, outcome: string): void
  /** The edge turned a request away before any provider saw it (unauthorized, rate_limited, draining, too_large, ...). */
  rejected(reason: string): void
  /** Sets the label values that may appear; at start and after a reload. */
  allow(allowed: Allowed): void
  watch(watched: Watched): void
  /** The exposition (Prometheus text format 0.0.4). */
  text(): Promise<string>
  readonly contentType: string
  /** Stops the sampling of the event loop. */
  close(): void
}

export interface MetricsDeps {
  readonly version: string
  readonly clock: Clock
  readonly timers: Timers
  /** Whether the process can serve; default: it can. */
  readonly ready?: () => boolean
}

/** What is counted for one provider and model. */
interface Cell {
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

const newCounts = () => new Counts<number>()

const OTHER = "other"
/** Distinct causes, outcomes and reasons that get a series of their own; they come from tables, this only bounds a mistake. */
const MOST_WORDS = 64
const WORD = /^[a-z0-9_.-]{1,48}$/i

/** Waiting for a model takes from some milliseconds to minutes. Seconds. */
const ANSWER_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]
/** Our own share is meant to be well under a millisecond. Seconds. */
const OVERHEAD_BUCKETS = [0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25]
/** Zero for nearly all, up to the wait for a refresh. Seconds. */
const ACQUIRE_BUCKETS = [0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Lets through at most so many distinct words. */
function bounded(most: number): (word: string) => string {
  const seen = new Set<string>()
  return (word) => {
    if (seen.has(word)) return word
    if (seen.size >= most || !WORD.test(word)) return OTHER
    seen.add(word)
    return word
  }
}

/** The metrics of one app, in a registry of its own. Every name begins with `pollux_` and ends in its unit. */
export function createMetrics(deps: MetricsDeps): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const cause = bounded(MOST_WORDS)
  const outcome = bounded(MOST_WORDS)
  const reason = bounded(MOST_WORDS)
  const end = bounded(MOST_WORDS)
  const watched: Watched[] = []
  let principals: ReadonlySet<string> = new Set()
  let models: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  const modelLabel = (provider: string, model: string) => (models.get(provider)?.has(model) ? model : OTHER)

  const cells = new Cells<Cell>(() => ({
    requests: new Map(),
    ends: new Counts(),
    attempts: new Counts(),
    tokens: { input: 0, output: 0, cached: 0, reasoning: 0 },
    duration: new Buckets(ANSWER_BUCKETS),
    firstByte: new Buckets(ANSWER_BUCKETS),
    overhead: new Buckets(OVERHEAD_BUCKETS),
    acquire: new Buckets(ACQUIRE_BUCKETS),
  }))
  /** The cell looked up last, under what the requests call it: most are for the same model, and each has more than one sample. */
  let last: { readonly provider: string; readonly model: string; readonly cell: Cell } | null = null
  function cellOf(provider: string, model: string): Cell {
    if (last !== null && last.model === model && last.provider === provider) return last.cell
    last = { provider, model, cell: cells.at(provider, modelLabel(provider, model)) }
    return last.cell
  }

  new Counter({
    name: "pollux_requests_total",
    help: "Finished requests by provider, model, status sent to the client, and name of the key.",
    labelNames: ["provider", "model", "status", "principal"],
    registers,
    collect() {
      this.reset()
      for (const { labels, cell } of cells.all()) {
        for (const [principal, statuses] of cell.requests) {
          for (const [status, amount] of statuses) this.inc({ ...labels, status, principal }, amount)
        }
      }
    },
  })
  const words = (
    name: string,
    help: string,
    label: string,
    read: (cell: Cell) => Iterable<readonly [word: string, amount: number]>,
  ) =>
    new Counter({
      name,
      help,
      labelNames: ["provider", "model", label],
      registers,
      collect() {
        this.reset()
        for (const { labels, cell } of cells.all()) {
          for (const [word, amount] of read(cell)) this.inc({ ...labels, [label]: word }, amount)
        }
      },
    })
  words(
    "pollux_request_ends_total",
    "Finished requests by how they ended: complete, client_gone, cut, idle, refused.",
    "end",
    (cell) => cell.ends,
  )
  words(
    "pollux_attempts_total",
    "Attempts upstream by cause: ok, or why the attempt failed.",
    "cause",
    (cell) => cell.attempts,
  )
  words(
    "pollux_tokens_total",
    "Tokens counted by the upstream; cached is part of input, reasoning of output.",
    "kind",
    (cell) => Object.entries(cell.tokens),
  )

  const histogram = (name: string, help: string, bounds: readonly number[], read: (cell: Cell) => Buckets) =>
    new CellHistogram(
      { name, help, bounds },
      function* () {
        for (const { labels, cell } of cells.all()) yield { labels, buckets: read(cell) }
      },
      registry,
    )
  histogram(
    "pollux_request_duration_seconds",
    "From a request's arrival to the end of its answer.",
    ANSWER_BUCKETS,
    (cell) => cell.duration,
  )
  histogram(
    "pollux_first_byte_seconds",
    "From sending the last attempt to the first byte of its answer.",
    ANSWER_BUCKETS,
    (cell) => cell.firstByte,
  )
  histogram(
    "pollux_overhead_seconds",
    "Time added by Pollux itself: up to the answer, without waiting for the upstream or for a credential.",
    OVERHEAD_BUCKETS,
    (cell) => cell.overhead,
  )
  histogram(
    "pollux_acquire_seconds",
    "Time a request waited for credentials, all attempts together.",
    ACQUIRE_BUCKETS,
    (cell) => cell.acquire,
  )

  const refreshes = new Counter({
    name: "pollux_refreshes_total",
    help: "Token refreshes by outcome.",
    labelNames: ["provider", "outcome"],
    registers,
  })
  const seeds = new Counter({
    name: "pollux_seeds_total",
    help: "Refresh tokens and logins handed in, by outcome.",
    labelNames: ["provider", "outcome"],
    registers,
  })
  const rejections = new Counter({
    name: "pollux_rejected_requests_total",
    help: "Requests turned away before any provider saw them, by reason.",
    labelNames: ["reason"],
    registers,
  })
  new Gauge({
    name: "pollux_build_info",
    help: "Always 1; the labels name what runs.",
    labelNames: ["version"],
    registers,
  }).set({ version: deps.version }, 1)
  new Gauge({
    name: "pollux_ready",
    help: "1 when the process can serve, 0 when it cannot; /readyz tells why.",
    registers,
    collect() {
      this.set((deps.ready?.() ?? true) ? 1 : 0)
    },
  })

  new Gauge({
    name: "pollux_credentials",
    help: "Credentials by state.",
    labelNames: ["provider", "state"],
    registers,
    collect() {
      for (const { provider, pool } of watched) {
        const counts = pool.counts()
        for (const state of STATES) this.set({ provider, state }, counts[state])
      }
    },
  })
  new Gauge({
    name: "pollux_credentials_ready",
    help: "Credentials that can serve a model now.",
    labelNames: ["provider", "model"],
    registers,
    collect() {
      this.reset()
      for (const { provider, pool } of watched) {
        for (const model of models.get(provider) ?? []) this.set({ provider, model }, pool.ready(model))
      }
    },
  })

  const gauge = (name: string, help: string, read: (of: Watched) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["provider"],
      registers,
      collect() {
        for (const of of watched) this.set({ provider: of.provider }, read(of))
      },
    })
  gauge("pollux_leases", "Attempts that hold a credential now.", (of) => of.pool.counts().inFlight)
  gauge("pollux_waiting_requests", "Requests waiting for a credential now.", (of) => of.pool.counts().waiting)
  gauge("pollux_pending_seeds", "Refresh tokens handed in and not yet decided.", (of) => of.pool.counts().pendingSeeds)
  gauge("pollux_active_requests", "Requests not yet answered in full.", (of) => of.relay.active)

  const unwatchProcess = watchProcess(registry, deps.clock, deps.timers)

  return {
    attempt({ provider, model, cause: why }) {
      cellOf(provider, model).attempts.add(cause(why))
    },
    finish(sample) {
      const { usage, inbound } = sample
      const cell = cellOf(sample.provider, sample.model)
      const principal = principals.has(inbound.principal) ? inbound.principal : OTHER
      demand(cell.requests, principal, newCounts).add(sample.status)
      cell.ends.add(end(sample.end))
      cell.duration.observe(sample.durationMs / 1000)
      cell.overhead.observe(sample.overheadMs / 1000)
      cell.acquire.observe(sample.queueMs / 1000)
      if (sample.firstByteMs !== null) cell.firstByte.observe(sample.firstByteMs / 1000)
      if (usage === null) return
      const { tokens } = cell
      tokens.input += Math.max(0, usage.input ?? 0)
      tokens.output += Math.max(0, usage.output ?? 0)
      tokens.cached += Math.max(0, usage.cached ?? 0)
      tokens.reasoning += Math.max(0, usage.reasoning ?? 0)
    },
    refresh: (provider, kind) => refreshes.inc({ provider, outcome: outcome(kind) }),
    seed: (provider, kind) => seeds.inc({ provider, outcome: outcome(kind) }),
    rejected: (why) => rejections.inc({ reason: reason(why) }),
    allow(allowed) {
      principals = new Set(allowed.principals)
      last = null
      models = new Map(Object.entries(allowed.models).map(([provider, list]) => [provider, new Set(list)]))
    },
    watch: (of) => void watched.push(of),
    text: () => registry.metrics(),
    contentType: registry.contentType,
    close: unwatchProcess,
  }
}
