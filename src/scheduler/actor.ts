import type { LastError, SeedHint, SeedOutcome, SeedRecord, TokenSet } from "../store/types.ts"
import { IssuedLease, type Now } from "./entry.ts"
import type { Message } from "./messages.ts"
import { assemble, type Parts, type PoolDeps } from "./parts.ts"
import type {
  Acquired,
  Action,
  AdminResult,
  Ask,
  CredentialView,
  Explanation,
  Lease,
  LeaseEnd,
  Pool,
  PoolCounts,
  PoolEvent,
} from "./ports.ts"

export type { PoolDeps } from "./parts.ts"

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
  readonly #parts: Parts
  readonly #inbox: Message[] = []
  #busy = false
  /** No lease is given out any more. */
  #closed = false
  /** Closed for good: no timer is set any more. */
  #stopped = false
  #disarm: (() => void) | null = null
  #armedFor = Number.POSITIVE_INFINITY

  constructor(deps: PoolDeps) {
    this.#deps = deps
    this.#parts = assemble(deps, (message) => this.#send(message))
    const { roster, seeds, upkeep } = this.#parts
    this.#turn((now) => {
      roster.load(now)
      seeds.load(deps.source.pendingSeeds(), now)
      upkeep.start(now)
    })
  }

  acquire(ask: Ask): Acquired | Promise<Acquired> {
    if (this.#busy) return new Promise((answer) => this.#send({ type: "acquire", ask, answer }))
    if (this.#closed) return CLOSED
    if (ask.signal.aborted) return ABORTED
    const { pool, leasing, queue } = this.#parts
    const mono = this.#deps.clock.mono()
    if (pool.heap.next() <= mono || this.#deps.settings.current.modelList !== pool.models) this.#turn(() => {})
    const bound = leasing.boundOf(ask.sessions)
    const lease = queue.take(ask, bound, mono, mono)
    if (lease !== null) {
      this.#after(mono)
      return { lease, refusal: null }
    }
    let acquired: Acquired | null = null
    let tell = (given: Acquired) => {
      acquired = given
    }
    this.#turn((now) => queue.enter(ask, bound, now, (given) => tell(given)))
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
    this.#parts.leasing.end(lease, end)
    this.#after(null)
  }

  seeds(hints: readonly SeedHint[]): readonly SeedOutcome[] {
    return this.#turn((now) => this.#parts.seeds.add(hints, now))
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
    return this.#turn((now) => this.#parts.seeds.login(tokens, account, now))
  }

  outcome(id: string, deadline: number): Promise<SeedOutcome | null> {
    return this.#parts.seeds.outcome(id, deadline)
  }

  list(): readonly CredentialView[] {
    return this.#turn((now) => this.#parts.admin.list(now))
  }

  seedRecords(limit: number): readonly SeedRecord[] {
    return this.#deps.source.seedRecords(limit)
  }

  counts(): PoolCounts {
    const { pool } = this.#parts
    return {
      ...pool.counts,
      inFlight: pool.inFlight,
      waiting: this.#parts.queue.waiters.size,
      pendingSeeds: this.#parts.seeds.pending,
    }
  }

  ready(model: string): number {
    return this.#parts.pool.ready(model)
  }

  explain(model: string, session: string | null): readonly Explanation[] {
    return this.#turn((now) => this.#parts.admin.explain(model, session, now))
  }

  disable(id: number): AdminResult {
    return this.#turn((now) => this.#parts.admin.disable(id, now))
  }

  enable(id: number): AdminResult {
    return this.#turn((now) => this.#parts.admin.enable(id, now))
  }

  remove(id: number): AdminResult {
    return this.#turn((now) => this.#parts.admin.remove(id, now))
  }

  clear(id: number): AdminResult {
    return this.#turn((now) => this.#parts.admin.clear(id, now))
  }

  async refresh(id: number): Promise<AdminResult> {
    if (this.#closed) return { kind: "failed", reason: "Pollux is stopping" }
    const forced = this.#turn((now) => {
      const entry = this.#parts.pool.entries.get(id)
      return entry === undefined ? null : this.#parts.renewals.force(entry, now)
    })
    if (forced === null) return { kind: "not_found" }
    const result = await forced
    if (result.kind !== "ok") return result
    return this.#turn((now) => this.#parts.admin.show(id, now))
  }

  subscribe(listener: (event: PoolEvent) => void, only?: "seed"): () => void {
    return this.#parts.events.subscribe(listener, only)
  }

  async close(graceMs: number): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#turn(() => {
      this.#parts.queue.close()
      this.#parts.onboarding.close()
      this.#parts.readings.close()
    })
    await this.#parts.desk.close(graceMs)
    this.#turn((now) => {
      this.#parts.custody.close(now)
      this.#parts.ledger.close()
      this.#parts.renewals.close()
      this.#parts.seeds.close()
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
      this.#parts.upkeep.drain(now)
      return work(now)
    } finally {
      this.#finish(now)
      this.#busy = false
      this.#arm(now.mono)
      this.#parts.events.deliver(now)
      if (this.#inbox.length > 0 && !this.#busy) this.#turn(() => {})
    }
  }

  #finish(now: Now): void {
    const { pool } = this.#parts
    try {
      for (let message = this.#inbox.shift(); message !== undefined; message = this.#inbox.shift()) {
        this.#handle(message, now)
      }
      // Serving may ask for refreshes, and beginning those changes what others may hope for.
      let version = -1
      for (let round = 0; round < 8 && (version !== pool.version || pool.nudge !== null); round++) {
        version = pool.version
        this.#parts.upkeep.heedNudge(now)
        this.#parts.queue.serve(now)
        if (!this.#closed) this.#parts.desk.pump(now)
      }
    } catch (error) {
      this.#parts.log.error("the scheduler failed to handle a message", {
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
          this.#parts.faults.report(message.lease, message.action, message.error, now)
        } else this.#parts.log.error("a fault was reported for a lease that is not ours", { lease: message.lease.id })
        break
      case "release":
        this.#parts.leasing.end(message.lease, message.end)
        break
      case "abort":
        this.#parts.queue.abort(message.waiter)
        break
      case "refreshed":
        this.#parts.desk.landed(message.outcome, now)
        message.job.answered(message.outcome, now)
        break
      case "identified":
        this.#parts.onboarding.pump()
        message.task.identified(message.outcome, now)
        break
      case "quota":
        this.#parts.readings.landed(message.watched, message.reading, now)
        break
      case "wake":
        break
    }
  }

  /** An acquire that came in during a turn. */
  #admit(ask: Ask, now: Now, answer: (acquired: Acquired) => void): void {
    if (this.#closed) answer(CLOSED)
    else if (ask.signal.aborted) answer(ABORTED)
    else this.#parts.queue.enter(ask, this.#parts.leasing.boundOf(ask.sessions), now, answer)
  }

  /** After a change outside a turn: a turn if there is something to do, and the timer for what is due next. */
  #after(mono: number | null): void {
    const { pool } = this.#parts
    if (pool.nudge !== null || (pool.changed !== null && pool.changed.size > 0)) this.#turn(() => {})
    else if (pool.heap.next() < this.#armedFor) this.#arm(mono ?? this.#deps.clock.mono())
  }

  #syncModels(): void {
    const { modelList } = this.#deps.settings.current
    if (modelList !== this.#parts.pool.models) this.#parts.pool.setModels(modelList)
  }

  #arm(mono: number): void {
    const next = this.#parts.pool.heap.next()
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
