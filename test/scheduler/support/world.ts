import { createPool } from "../../../src/scheduler/actor.ts"
import type { Acquired, Ask, Lease, LeaseEnd, Pool, QuotaReader } from "../../../src/scheduler/ports.ts"
import type { Stored } from "../../../src/store/types.ts"
import { type Line, listeningLog } from "../../support/listening-log.ts"
import { MemorySource } from "./memory.ts"
import { HandTime, seeded } from "./time.ts"
import { HandRefresher } from "./upstream.ts"

export const MODEL = "model-a"
export const OTHER = "model-b"

export interface Settings {
  oauthTps: number
  modelList: readonly string[]
  maxWaitMs: number
}

/** A scheduler with everything around it in the test's hand. */
export class World {
  readonly time = new HandTime()
  readonly source = new MemorySource()
  readonly refresher = new HandRefresher(this.time)
  readonly lines: Line[] = []
  readonly settings: { current: Settings } = {
    current: { oauthTps: 5, modelList: [MODEL, OTHER], maxWaitMs: 5_000 },
  }
  /** In force from the next start on. */
  quotas: QuotaReader | null = null
  pool: Pool

  constructor(...credentials: readonly Partial<Stored>[]) {
    for (const fields of credentials) this.source.put(fields)
    this.pool = this.start()
  }

  /** A new scheduler over the same store, as after a kill: the one before just stops being used. */
  start(): Pool {
    const { source, refresher, time, settings } = this
    this.pool = createPool({
      name: "test",
      source,
      refresher,
      quotas: this.quotas,
      clock: time,
      timers: time,
      random: seeded(7),
      log: listeningLog(this.lines),
      settings,
    })
    return this.pool
  }

  ask(fields: Partial<Ask> = {}): Ask {
    return {
      model: MODEL,
      sessions: [],
      exclude: new Set(),
      avoid: new Set(),
      only: null,
      deadline: this.time.mono() + 60_000,
      signal: new AbortController().signal,
      ...fields,
    }
  }

  /** A lease that must come at once. */
  lease(fields: Partial<Ask> = {}): Lease {
    const acquired = this.pool.acquire(this.ask(fields))
    if (acquired instanceof Promise) throw new Error("it waits instead of leasing")
    if (acquired.lease === null) throw new Error(`it refuses: ${acquired.refusal.why}`)
    return acquired.lease
  }

  /** What an acquire answers at once: a credential's id, a refusal's name, or "waits". */
  tries(fields: Partial<Ask> = {}): number | string {
    const acquired = this.pool.acquire(this.ask(fields))
    if (acquired instanceof Promise) {
      void acquired
      return "waits"
    }
    if (acquired.lease === null) return acquired.refusal.why
    this.pool.release(acquired.lease, end())
    return acquired.lease.credential
  }

  /** An acquire that must wait; `result` is filled in when it ends. */
  waits(fields: Partial<Ask> = {}): { result: Acquired | null } {
    const acquired = this.pool.acquire(this.ask(fields))
    if (!(acquired instanceof Promise)) throw new Error("it does not wait")
    const slot: { result: Acquired | null } = { result: null }
    void acquired.then((result) => {
      slot.result = result
    })
    return slot
  }

  async close(graceMs = 0): Promise<void> {
    const closed = this.pool.close(graceMs)
    await this.time.pass(graceMs + 200)
    await closed
  }

  state(id: number): string {
    return this.pool.list().find((view) => view.id === id)?.state ?? "gone"
  }
}

export function end(fields: Partial<LeaseEnd> = {}): LeaseEnd {
  return { served: true, quotas: [], plan: null, bind: [], ...fields }
}

/** Expired an hour ago. */
export const EXPIRED = { expiresAt: Date.UTC(2025, 11, 31, 23) }
