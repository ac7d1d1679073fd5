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

/** The groups that differ in their credential only: it is another with each request, the rest mostly is not. */
interface Shelf {
  readonly hour: number
  readonly provider: string
  readonly model: string
  readonly principal: string
  readonly byCredential: Map<number, Group>
}

/** What waits to be written. */
class Sums {
  readonly groups: Group[] = []
  private readonly shelves = new Map<string, Shelf>()
  private last: Shelf | null = null

  /** Whether there was room for the entry. */
  add(entry: UsageEntry): boolean {
    const { byCredential } = this.shelfOf(entry)
    const group = byCredential.get(entry.credential ?? 0)
    if (group !== undefined) sum(group.counts, entry)
    else if (this.groups.length >= MOST_GROUPS) return false
    else {
      const { requests, errors, attempts, input, output, cached, reasoning } = entry
      const made = { ...entry, counts: { requests, errors, attempts, input, output, cached, reasoning } }
      this.groups.push(made)
      byCredential.set(entry.credential ?? 0, made)
    }
    return true
  }

  private shelfOf({ at, provider, model, principal }: UsageEntry): Shelf {
    const hour = Math.floor(at / HOUR_MS)
    const name = principal ?? ""
    const { last } = this
    if (last?.model === model && last.principal === name && last.hour === hour && last.provider === provider) {
      return last
    }
    const key = `${hour} ${provider} ${name} ${model}`
    const known = this.shelves.get(key)
    const shelf = known ?? { hour, provider, model, principal: name, byCredential: new Map() }
    // One that will stay empty need not be found again.
    if (known === undefined && this.groups.length < MOST_GROUPS) this.shelves.set(key, shelf)
    this.last = shelf
    return shelf
  }
}

/**
 * Sums usage up in memory and writes it in one transaction a second: a write per request would cost more than the request's own
 * bookkeeping (spec platform 6). What cannot be written is kept and tried again.
 */
export class UsageTotals {
  private sums = new Sums()
  private cancel: (() => void) | null = null
  private dropped = 0

  constructor(
    private readonly ledger: UsageLedger,
    private readonly deps: { readonly clock: Clock; readonly timers: Timers; readonly log: Log },
  ) {}

  add(entry: UsageEntry): void {
    if (!this.sums.add(entry)) this.dropped++
    this.schedule(FLUSH_MS)
  }

  /** Writes what is there; also called before usage is read, and at the end. */
  flush(): void {
    this.cancel?.()
    this.cancel = null
    const { sums } = this
    if (sums.groups.length === 0) return
    this.sums = new Sums()
    try {
      // All or nothing, so that what is kept below is not counted twice.
      this.ledger.add(sums.groups.map(({ counts, ...group }) => ({ ...group, ...counts })))
    } catch (error) {
      this.deps.log.warn("usage_not_written", {
        reason: error instanceof Error ? error.message : "unknown",
        groups: sums.groups.length,
        dropped: this.dropped,
      })
      this.sums = sums
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
