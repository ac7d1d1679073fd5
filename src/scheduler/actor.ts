import type { Clock, Live, Random, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { LastError, SeedHint, SeedOutcome, SeedRecord, Stored, TokenSet } from "../store/types.ts"
import { Admin } from "./admin.ts"
import { AFFINITY_LIMITS, Affinity } from "./affinity.ts"
import { Custody } from "./custody.ts"
import { RefreshDesk } from "./desk.ts"
import { IssuedLease, type Now } from "./entry.ts"
import { Events } from "./events.ts"
import { Faults } from "./faults.ts"
import { Leasing } from "./leasing.ts"
import { Ledger } from "./ledger.ts"
import type { Message } from "./messages.ts"
import { Onboarding } from "./onboarding.ts"
import { CredentialPool } from "./pool.ts"
import type {
  Acquired,
  Action,
  AdminResult,
  Ask,
  CredentialSource,
  CredentialView,
  Explanation,
  Lease,
  LeaseEnd,
  Pool,
  PoolCounts,
  PoolEvent,
  Refresher,
} from "./ports.ts"
import { Queue } from "./queue.ts"
import { Renewals } from "./renewals.ts"
import { Seeds } from "./seeds.ts"
import { Upkeep } from "./upkeep.ts"

export interface PoolDeps {
  readonly name: string
  readonly source: CredentialSource
  readonly refresher: Refresher
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

const CLOSED: Acquired = { lease: null, refusal: { why: "closed" } }
const ABORTED: Acquired = { lease: null, refusal: { why: "aborted" } }

/** The scheduler of one provider: loads what the store has, and owns it from then on. */
export function createPool(deps: PoolDeps): Pool {
  return new Actor(deps)
}

/**
 * The only caller of the pool and its parts. A message to the idle actor is handled at once, in the sender's turn; one sent during
 * handling waits until that is done. Nothing here awaits; slow work comes back as a message.
 */
class Actor implements Pool {
  readonly #deps: PoolDeps
  readonly #log: Log
  readonly #pool = new CredentialPool()
  readonly #ledger: Ledger
  readonly #custody: Custody
  readonly #affinity: Affinity
  readonly #desk: RefreshDesk
  readonly #onboarding: Onboarding
  readonly #renewals: Renewals
  readonly #queue: Queue
  readonly #faults: Faults
  readonly #seeds: Seeds
  readonly #admin: Admin
  readonly #events: Events
  readonly #inbox: Message[] = []
  readonly #leasing: Leasing
  readonly #upkeep: Upkeep
  #busy = false
  /** No lease is given out any more. */
  #closed = false
  /** Closed for good: no timer is set any more. */
  #stopped = false
  #disarm: (() => void) | null = null
  #armedFor = Number.POSITIVE_INFINITY

  constructor(deps: PoolDeps) {
    const { source, refresher, clock, timers, random, settings } = deps
    const pool = this.#pool
    const send = (message: Message) => this.#send(message)
    const log = deps.log.child({ pool: deps.name })
    this.#deps = deps
    this.#log = log
    this.#ledger = new Ledger(pool, source, clock, log, random)
    const ledger = this.#ledger
    this.#custody = new Custody(pool, log, random)
    const custody = this.#custody
    this.#affinity = new Affinity(clock, ledger)
    this.#desk = new RefreshDesk({ pool, refresher, clock, timers, random, log, settings, send })
    const desk = this.#desk
    this.#onboarding = new Onboarding(refresher, timers, send)
    const onboarding = this.#onboarding
    this.#renewals = new Renewals({ pool, source, refresher, desk, custody, ledger, random, log })
    const renewals = this.#renewals
    this.#queue = new Queue(pool, renewals, settings, send)
    const queue = this.#queue
    this.#leasing = new Leasing({ pool, affinity: this.#affinity, ledger, clock, log })
    this.#upkeep = new Upkeep({ pool, queue, renewals, ledger, log })
    this.#faults = new Faults({ pool, source, ledger, renewals, onboarding, random, log })
    this.#events = new Events(pool, log)
    const events = this.#events
    this.#admin = new Admin({ pool, source, ledger, renewals, affinity: this.#affinity, events, log })
    const adopted = (row: Stored, now: Now) => this.#adopted(row, now)
    const readmitted = (row: Stored, now: Now) => this.#readmitted(row, now)
    const ended = (outcome: SeedOutcome, now: Now) => events.seed(outcome, now)
    this.#seeds = new Seeds({ pool, source, desk, onboarding, custody, random, log, adopted, readmitted, ended })
    this.#turn((now) => this.#load(now))
  }

  acquire(ask: Ask): Acquired | Promise<Acquired> {
    if (this.#busy) return new Promise((answer) => this.#send({ type: "acquire", ask, answer }))
    if (this.#closed) return CLOSED
    if (ask.signal.aborted) return ABORTED
    const pool = this.#pool
    const mono = this.#deps.clock.mono()
    if (pool.heap.next() <= mono || this.#deps.settings.current.modelList !== pool.models) this.#turn(() => {})
    const bound = this.#leasing.boundOf(ask.sessions)
    const lease = this.#queue.take(ask, bound, mono, mono)
    if (lease !== null) {
      this.#leasing.begin(lease.entry, mono)
      this.#after(mono)
      return { lease, refusal: null }
    }
    let acquired: Acquired | null = null
    let tell = (given: Acquired) => {
      acquired = given
    }
    this.#turn((now) => this.#queue.enter(ask, bound, now, (given) => tell(given)))
    if (acquired !== null) return acquired
    return new Promise((resolve) => {
      tell = resolve
    })
  }

  report(lease: Lease, action: Action, error: LastError | null): void {
    this.#send({ type: "report", lease, action, error })
  }

  release(lease: Lease, end: LeaseEnd): void {
    if (this.#busy) {
      this.#inbox.push({ type: "release", lease, end })
      return
    }
    this.#leasing.end(lease, end)
    this.#after(null)
  }

  seeds(hints: readonly SeedHint[]): readonly SeedOutcome[] {
    return this.#turn((now) => this.#seeds.add(hints, now))
  }

  async tokens(tokens: TokenSet, account: string | null): Promise<SeedOutcome> {
    if (this.#closed) {
      return {
        kind: "failed",
        id: "",
        reason: "stopping",
        detail: "Pollux is stopping; log in again later.",
        url: null,
      }
    }
    return this.#turn((now) => this.#seeds.login(tokens, account, now))
  }

  outcome(id: string, deadline: number): Promise<SeedOutcome | null> {
    const { source, timers, clock } = this.#deps
    const known = source.seedOutcome(id)
    if (known === null || known.kind !== "pending" || !this.#seeds.isPending(id)) return Promise.resolve(known)
    return new Promise((resolve) => {
      const unwatch = this.#seeds.watch(id, (outcome) => {
        cancel()
        resolve(outcome)
      })
      const cancel = timers.after(Math.max(0, deadline - clock.mono()), () => {
        unwatch()
        resolve(known)
      })
    })
  }

  list(): readonly CredentialView[] {
    return this.#turn((now) => this.#admin.list(now))
  }

  seedRecords(limit: number): readonly SeedRecord[] {
    return this.#deps.source.seedRecords(limit)
  }

  counts(): PoolCounts {
    const pool = this.#pool
    return {
      ...pool.counts,
      inFlight: pool.inFlight,
      waiting: this.#queue.waiters.size,
      pendingSeeds: this.#seeds.pending,
    }
  }

  ready(model: string): number {
    return this.#pool.ready(model)
  }

  explain(model: string, session: string | null): readonly Explanation[] {
    return this.#turn((now) => this.#admin.explain(model, session, now))
  }

  disable(id: number): AdminResult {
    return this.#turn((now) => this.#admin.disable(id, now))
  }

  enable(id: number): AdminResult {
    return this.#turn((now) => this.#admin.enable(id, now))
  }

  remove(id: number): AdminResult {
    return this.#turn((now) => this.#admin.remove(id, now))
  }

  clear(id: number): AdminResult {
    return this.#turn((now) => this.#admin.clear(id, now))
  }

  async refresh(id: number): Promise<AdminResult> {
    if (this.#closed) return { kind: "failed", reason: "Pollux is stopping" }
    const forced = this.#turn(() => {
      const entry = this.#pool.entries.get(id)
      return entry === undefined ? null : this.#renewals.force(entry)
    })
    if (forced === null) return { kind: "not_found" }
    const result = await forced
    if (result.kind !== "ok") return result
    return this.#turn((now) => this.#admin.show(id, now))
  }

  subscribe(listener: (event: PoolEvent) => void): () => void {
    return this.#events.subscribe(listener)
  }

  async close(graceMs: number): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#turn(() => {
      this.#queue.close()
      this.#onboarding.close()
    })
    await this.#desk.close(graceMs)
    this.#turn((now) => {
      this.#custody.close(now)
      this.#ledger.close()
      this.#renewals.close()
      this.#seeds.close()
    })
    this.#stopped = true
    this.#disarm?.()
    this.#disarm = null
  }

  #send(message: Message): void {
    this.#inbox.push(message)
    if (!this.#busy) this.#turn(() => {})
  }

  /** One turn: what is due, what was asked, what came in meanwhile, and what follows from it all. */
  #turn<T>(work: (now: Now) => T): T {
    // Listeners and callers act between turns only; nothing that a turn calls calls back.
    if (this.#busy) throw new Error("the scheduler was called from inside one of its own turns")
    this.#busy = true
    const now = this.#now()
    try {
      this.#syncModels()
      this.#upkeep.drain(now)
      return work(now)
    } finally {
      this.#finish(now)
      this.#busy = false
      this.#arm(now.mono)
      this.#events.deliver(now)
      if (this.#inbox.length > 0 && !this.#busy) this.#turn(() => {})
    }
  }

  #finish(now: Now): void {
    const pool = this.#pool
    try {
      for (let message = this.#inbox.shift(); message !== undefined; message = this.#inbox.shift()) {
        this.#handle(message, now)
      }
      // Serving may ask for refreshes, and beginning those changes what others may hope for.
      let version = -1
      for (let round = 0; round < 8 && (version !== pool.version || pool.nudge !== null); round++) {
        version = pool.version
        this.#upkeep.heedNudge(now)
        this.#queue.serve(now)
        if (!this.#closed) this.#desk.pump(now)
      }
    } catch (error) {
      this.#log.error("the scheduler failed to handle a message", {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      })
    }
  }

  #handle(message: Message, now: Now): void {
    switch (message.type) {
      case "acquire":
        this.#admit(message.ask, now, message.answer)
        break
      case "report":
        if (message.lease instanceof IssuedLease) {
          this.#faults.report(message.lease, message.action, message.error, now)
        } else this.#log.error("a fault was reported for a lease that is not ours", { lease: message.lease.id })
        break
      case "release":
        this.#leasing.end(message.lease, message.end)
        break
      case "abort":
        this.#queue.abort(message.waiter)
        break
      case "refreshed":
        this.#desk.landed(message.outcome, now)
        message.job.answered(message.outcome, now)
        break
      case "identified":
        this.#onboarding.pump()
        message.task.identified(message.outcome, now)
        break
      case "wake":
        break
    }
  }

  /** An acquire that came in during a turn. */
  #admit(ask: Ask, now: Now, answer: (acquired: Acquired) => void): void {
    if (this.#closed) answer(CLOSED)
    else if (ask.signal.aborted) answer(ABORTED)
    else {
      const bound = this.#leasing.boundOf(ask.sessions)
      const lease = this.#queue.take(ask, bound, now.mono, now.mono)
      if (lease === null) this.#queue.enter(ask, bound, now, answer)
      else {
        this.#leasing.begin(lease.entry, now.mono)
        answer({ lease, refusal: null })
      }
    }
  }

  /** After a change outside a turn: a turn if there is something to do, and the timer for what is due next. */
  #after(mono: number | null): void {
    const pool = this.#pool
    if (pool.nudge !== null || (pool.changed !== null && pool.changed.size > 0)) this.#turn(() => {})
    else if (pool.heap.next() < this.#armedFor) this.#arm(mono ?? this.#deps.clock.mono())
  }

  #load(now: Now): void {
    const { source } = this.#deps
    for (const row of source.load()) {
      const entry = this.#pool.place(row)
      this.#pool.restore(entry, row, now)
      this.#renewals.install(entry, row, false, now)
    }
    this.#affinity.load(source.bindings(AFFINITY_LIMITS.settled), (id) => this.#pool.entries.has(id))
    this.#seeds.load(source.pendingSeeds(), now)
    this.#upkeep.start(now)
  }

  /** A credential was added, or added again: in rotation from now on, all that stood against it forgotten. */
  #adopted(row: Stored, now: Now): void {
    const entry = this.#pool.place(row)
    this.#pool.restore(entry, row, now)
    this.#ledger.forget(row.id)
    if (entry.counted) entry.generation++
    entry.identifying = false
    this.#renewals.install(entry, row, true, now)
    this.#log.info("a credential is in rotation", { credential: row.id })
  }

  #readmitted(row: Stored, now: Now): void {
    const entry = this.#pool.entries.get(row.id)
    if (entry === undefined || entry.refreshToken !== row.refreshToken) {
      this.#adopted(row, now)
      return
    }
    this.#ledger.forget(row.id)
    this.#pool.restore(entry, row, now)
    if (entry.renewal === "backoff") entry.renewal = "idle"
    this.#pool.settle(entry)
  }

  #syncModels(): void {
    const { modelList } = this.#deps.settings.current
    if (modelList !== this.#pool.models) this.#pool.setModels(modelList)
  }

  #arm(mono: number): void {
    const next = this.#pool.heap.next()
    if (next >= this.#armedFor || this.#stopped) return
    this.#disarm?.()
    this.#armedFor = next
    // Whole milliseconds, rounded up: a timer that fires a fraction too early would only be set again.
    this.#disarm = this.#deps.timers.after(Math.max(0, Math.ceil(next - mono)), () => {
      this.#armedFor = Number.POSITIVE_INFINITY
      this.#disarm = null
      this.#send({ type: "wake" })
    })
  }

  #now(): Now {
    const { clock } = this.#deps
    return { mono: clock.mono(), wall: clock.wall() }
  }
}
