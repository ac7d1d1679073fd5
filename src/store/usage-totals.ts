import type { Clock, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { HOUR_MS, type UsageCounts, type UsageEntry, type UsageLedger } from "./usage.ts"

/** How long counts may wait in memory, in milliseconds: what a crash can lose. */
export const FLUSH_MS = 1000

/** How long to wait after a write that failed, in milliseconds: a disk that is full stays so for a while. */
export const RETRY_MS = 10_000

/** Most groups kept while the database cannot be written; beyond that, new groups are dropped and said so. */
export const MOST_GROUPS = 10_000

type Counter = { -readonly [Name in keyof UsageCounts]: number }

interface Group {
  readonly at: number
  readonly provider: string
  readonly model: string
  readonly credential: number | null
  readonly principal: string | null
  readonly counts: Counter
}

/**
 * Sums usage up in memory and writes it in one transaction a second: a write per request would cost more than the request's own
 * bookkeeping (spec platform 6). What cannot be written is kept and tried again.
 */
export class UsageTotals {
  private groups = new Map<string, Group>()
  private cancel: (() => void) | null = null
  private dropped = 0

  constructor(
    private readonly ledger: UsageLedger,
    private readonly deps: { readonly clock: Clock; readonly timers: Timers; readonly log: Log },
  ) {}

  add(entry: UsageEntry): void {
    const hour = Math.floor(entry.at / HOUR_MS)
    const key = `${hour} ${entry.provider} ${entry.credential ?? 0} ${entry.principal ?? ""} ${entry.model}`
    const group = this.groups.get(key)
    if (group !== undefined) sum(group.counts, entry)
    else if (this.groups.size >= MOST_GROUPS) this.dropped++
    else {
      const { requests, errors, attempts, input, output, cached, reasoning } = entry
      this.groups.set(key, { ...entry, counts: { requests, errors, attempts, input, output, cached, reasoning } })
    }
    this.schedule(FLUSH_MS)
  }

  /** Writes what is there; also called before usage is read, and at the end. */
  flush(): void {
    this.cancel?.()
    this.cancel = null
    if (this.groups.size === 0) return
    const groups = this.groups
    this.groups = new Map()
    try {
      // All or nothing, so that what is kept below is not counted twice.
      this.ledger.add([...groups.values()].map(({ counts, ...group }) => ({ ...group, ...counts })))
    } catch (error) {
      this.deps.log.warn("usage_not_written", {
        reason: error instanceof Error ? error.message : "unknown",
        groups: groups.size,
        dropped: this.dropped,
      })
      this.groups = groups
      this.schedule(RETRY_MS)
      return
    }
    if (this.dropped > 0) this.deps.log.warn("usage_lost", { requests: this.dropped })
    this.dropped = 0
  }

  close(): void {
    this.flush()
    this.cancel?.()
    this.cancel = null
  }

  private schedule(ms: number): void {
    this.cancel ??= this.deps.timers.after(ms, () => {
      this.cancel = null
      this.flush()
    })
  }
}

function sum(total: Counter, more: UsageCounts): void {
  total.requests += more.requests
  total.errors += more.errors
  total.attempts += more.attempts
  total.input += more.input
  total.output += more.output
  total.cached += more.cached
  total.reasoning += more.reasoning
}
