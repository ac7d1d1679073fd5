import type { Clock, Live, Random, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { Admin } from "./admin.ts"
import { Affinity } from "./affinity.ts"
import { Custody } from "./custody.ts"
import { RefreshDesk } from "./desk.ts"
import { Events } from "./events.ts"
import { Faults } from "./faults.ts"
import { Leasing } from "./leasing.ts"
import { Ledger } from "./ledger.ts"
import type { Send } from "./messages.ts"
import { Onboarding } from "./onboarding.ts"
import { CredentialPool } from "./pool.ts"
import type { CredentialSource, QuotaReader, Refresher } from "./ports.ts"
import { Queue } from "./queue.ts"
import { QuotaDesk } from "./quota-desk.ts"
import { Renewals } from "./renewals.ts"
import { Roster } from "./roster.ts"
import { Seeds } from "./seeds.ts"
import { Upkeep } from "./upkeep.ts"

export interface PoolDeps {
  /** The provider's name, for the log. */
  readonly name: string
  readonly source: CredentialSource
  readonly refresher: Refresher
  /** Absent or null: quotas are known only from what answers tell. */
  readonly quotas?: QuotaReader | null
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly settings: Live<{
    /** Token refreshes per second. */
    readonly oauthTps: number
    readonly modelList: readonly string[]
    /** Longest wait for a cooldown, in milliseconds. */
    readonly maxWaitMs: number
  }>
}

export type Parts = ReturnType<typeof assemble>

/** Wires the parts of one scheduler. No logic. */
export function assemble(deps: PoolDeps, send: Send) {
  const { source, refresher, clock, timers, random, settings } = deps
  const log = deps.log.child({ pool: deps.name })
  const pool = new CredentialPool()
  const events = new Events(pool, log)
  const ledger = new Ledger(pool, source, clock, log, random)
  const custody = new Custody(pool, log, random)
  const affinity = new Affinity(clock, ledger)
  const readings = new QuotaDesk({ pool, ledger, reader: deps.quotas ?? null, clock, timers, random, log, send })
  const leasing = new Leasing({ pool, affinity, ledger, readings, clock, log })
  const desk = new RefreshDesk({ pool, refresher, clock, timers, random, log, settings, send })
  const onboarding = new Onboarding(refresher, timers, send)
  const renewals = new Renewals({ pool, source, refresher, desk, custody, ledger, random, log })
  const roster = new Roster({ pool, source, renewals, readings, affinity, ledger, log })
  const queue = new Queue({ pool, renewer: renewals, leasing, settings, send })
  const upkeep = new Upkeep({ pool, queue, renewals, readings, ledger, log })
  const faults = new Faults({ pool, source, ledger, renewals, onboarding, random, log })
  const seeds = new Seeds({ pool, source, desk, onboarding, custody, roster, events, clock, timers, random, log })
  const admin = new Admin({ pool, source, ledger, renewals, readings, affinity, events, log })
  return {
    log,
    pool,
    events,
    ledger,
    custody,
    readings,
    leasing,
    desk,
    onboarding,
    renewals,
    roster,
    queue,
    upkeep,
    faults,
    seeds,
    admin,
  }
}
