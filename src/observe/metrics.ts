import type { Registry } from "prom-client"
import type { Clock, Timers } from "./clock.ts"
import { type Cell, emptyCell, type Watched } from "./counted.ts"
import type { TokenUsage } from "./ports.ts"
import { LoopLag } from "./process-lag.ts"
import { Cells, Counts, demand, Series } from "./tally.ts"

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

/** Prometheus text format 0.0.4. */
const TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"

const newCounts = () => new Counts<number>()

const OTHER = "other"
/** Distinct causes, outcomes and reasons that get a series of their own; they come from tables, this only bounds a mistake. */
const MOST_WORDS = 64
const WORD = /^[a-z0-9_.-]{1,48}$/i

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
  const cause = bounded(MOST_WORDS)
  const outcome = bounded(MOST_WORDS)
  const reason = bounded(MOST_WORDS)
  const end = bounded(MOST_WORDS)
  const watched: Watched[] = []
  let principals: ReadonlySet<string> = new Set()
  let models: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  const modelLabel = (provider: string, model: string) => (models.get(provider)?.has(model) ? model : OTHER)

  const cells = new Cells(emptyCell)
  /** The cell looked up last, under what the requests call it: most are for the same model, and each has more than one sample. */
  let last: { readonly provider: string; readonly model: string; readonly cell: Cell } | null = null
  function cellOf(provider: string, model: string): Cell {
    if (last !== null && last.model === model && last.provider === provider) return last.cell
    last = { provider, model, cell: cells.at(provider, modelLabel(provider, model)) }
    return last.cell
  }

  const refreshes = new Series<"provider" | "outcome">()
  const seeds = new Series<"provider" | "outcome">()
  const rejections = new Series<"reason">()
  const lag = new LoopLag(deps.clock, deps.timers)
  const startedAt = deps.clock.wall() / 1000 - process.uptime()
  let registry: Promise<Registry> | null = null

  /** Loaded by the first scrape: the library behind it would cost each start some 8 milliseconds. */
  async function expose(): Promise<Registry> {
    const { createRegistry } = await import("./exposition.ts")
    return createRegistry({
      version: deps.version,
      cells,
      refreshes,
      seeds,
      rejections,
      watched,
      lag,
      startedAt,
      ready: () => deps.ready?.() ?? true,
      models: (provider) => models.get(provider) ?? [],
    })
  }

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
    refresh: (provider, kind) => refreshes.add({ provider, outcome: outcome(kind) }),
    seed: (provider, kind) => seeds.add({ provider, outcome: outcome(kind) }),
    rejected: (why) => rejections.add({ reason: reason(why) }),
    allow(allowed) {
      principals = new Set(allowed.principals)
      last = null
      models = new Map(Object.entries(allowed.models).map(([provider, list]) => [provider, new Set(list)]))
    },
    watch: (of) => void watched.push(of),
    async text() {
      registry ??= expose()
      return (await registry).metrics()
    },
    contentType: TEXT_FORMAT,
    close: () => lag.close(),
  }
}
