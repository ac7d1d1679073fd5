import { expect, test } from "bun:test"
import fc from "fast-check"
import type { Acquired, Action, Lease, QuotaReading } from "../../src/scheduler/ports.ts"
import { HOUR, MINUTE, Naive } from "./support/naive.ts"
import { FAILED, ReadingWorld, reading } from "./support/reader.ts"
import { AMBIGUOUS, PERMANENT, transient } from "./support/upstream.ts"
import { end, MODEL, OTHER } from "./support/world.ts"

/** The scheduler under test, and what it owes the test. */
class Real {
  readonly world: ReadingWorld
  readonly open: Lease[] = []
  readonly waiting: {
    acquired: Acquired | null
    /** When it was answered. */
    at: number
    readonly exclude: ReadonlySet<number>
    readonly gone: AbortController
  }[] = []

  /** @param says what readings of quotas say, over and over; whatever it is, it must not show in anything that the model knows */
  constructor(
    readonly size: number,
    says: readonly QuotaReading[],
  ) {
    this.world = ReadingWorld.begin(
      ...Array.from({ length: size }, () => ({ expiresAt: Date.UTC(2026, 0, 1) + 48 * HOUR })),
    )
    const { reader } = this.world
    // Without any, none is ever answered.
    if (says.length > 0) reader.rule = () => says[reader.calls.length % says.length] ?? FAILED
  }

  /** Every lease, however it came, must be one that the model allows. */
  check(naive: Naive, lease: Lease, exclude: ReadonlySet<number>, at: number): void {
    naive.given(lease)
    expect(exclude.has(lease.credential)).toBe(false)
    expect(naive.forbids(lease.credential, lease.model, at)).toBeNull()
    // Stored before it is leased.
    expect(lease.token).toBe(this.world.source.row(lease.credential).accessToken ?? "")
    this.open.push(lease)
  }

  /** Takes in what waiting requests were given. */
  collect(naive: Naive): void {
    for (let i = this.waiting.length - 1; i >= 0; i--) {
      const one = this.waiting[i]
      if (one === undefined || one.acquired === null) continue
      this.waiting.splice(i, 1)
      const { lease } = one.acquired
      if (lease !== null) this.check(naive, lease, one.exclude, one.at)
    }
  }

  async pass(naive: Naive, ms: number): Promise<void> {
    await this.world.time.pass(ms)
    naive.now = this.world.time.mono()
    this.collect(naive)
    // Whoever has served its time is back in the ring.
    for (const model of [MODEL, OTHER]) {
      const ready = this.world.pool.explain(model, null).filter((one) => one.usable)
      expect(ready.map((one) => one.id)).toEqual(expect.arrayContaining(naive.surelyReady(model, new Set(), null)))
      expect(this.world.pool.ready(model)).toBe(ready.length)
    }
  }
}

type Step = fc.AsyncCommand<Naive, Real>

abstract class Simple implements Step {
  check(): boolean {
    return true
  }
  abstract run(naive: Naive, real: Real): Promise<void>
}

class Acquire extends Simple {
  constructor(
    readonly model: string,
    readonly exclude: readonly number[],
    readonly avoid: readonly number[],
    readonly only: number | null,
    readonly session: string | null,
    readonly patience: number,
  ) {
    super()
  }
  async run(naive: Naive, real: Real): Promise<void> {
    const { world } = real
    const exclude = new Set(this.only === null ? this.exclude : [])
    const gone = new AbortController()
    const surely = naive.surelyReady(this.model, exclude, this.only)
    const acquired = world.pool.acquire(
      world.ask({
        model: this.model,
        exclude,
        avoid: new Set(this.avoid),
        only: this.only,
        sessions: this.session === null ? [] : [this.session],
        deadline: world.time.mono() + this.patience,
        signal: gone.signal,
      }),
    )
    if (acquired instanceof Promise) {
      // A session may wait a little for its own credential; nobody else waits while something is ready.
      if (this.session === null) expect(surely).toEqual([])
      const slot: (typeof real.waiting)[number] = { acquired: null, at: 0, exclude, gone }
      real.waiting.push(slot)
      void acquired.then((result) => {
        slot.acquired = result
        slot.at = world.time.mono()
      })
    } else if (acquired.lease !== null) {
      real.check(naive, acquired.lease, exclude, naive.now)
      if (this.only !== null) expect(acquired.lease.credential).toBe(this.only)
      const { credential } = acquired.lease
      const others = surely.filter((id) => !this.avoid.includes(id))
      if (this.avoid.includes(credential) && this.only === null) expect(others).toEqual([])
    } else expect(surely).toEqual([])
    await real.pass(naive, 0)
  }
  override toString(): string {
    const { model, exclude, avoid, only, session } = this
    return `acquire ${model} not [${exclude}] rather not [${avoid}] only ${only} session ${session}`
  }
}

class Release extends Simple {
  constructor(
    readonly which: number,
    readonly served: boolean,
    readonly session: string | null,
  ) {
    super()
  }
  async run(naive: Naive, real: Real): Promise<void> {
    const lease = real.open.splice(this.which % Math.max(1, real.open.length), 1)[0]
    if (lease === undefined) return
    real.world.pool.release(lease, end({ served: this.served, bind: this.session === null ? [] : [this.session] }))
    await real.pass(naive, 0)
  }
  override toString(): string {
    return `release ${this.which} ${this.served ? "served" : "failed"}`
  }
}

class Report extends Simple {
  constructor(
    readonly which: number,
    readonly make: (lease: Lease, wall: number) => Action,
    readonly name: string,
  ) {
    super()
  }
  async run(naive: Naive, real: Real): Promise<void> {
    const { world } = real
    const lease = real.open[this.which % Math.max(1, real.open.length)]
    if (lease === undefined) return
    const action = this.make(lease, world.time.wall())
    naive.punish(lease, action, world.time.wall())
    world.pool.report(lease, action, null)
    await real.pass(naive, 0)
  }
  override toString(): string {
    return `report ${this.which} ${this.name}`
  }
}

class Answer extends Simple {
  constructor(readonly kind: "ok" | "permanent" | "transient" | "ambiguous") {
    super()
  }
  async run(naive: Naive, real: Real): Promise<void> {
    const { refresher, source } = real.world
    const call = refresher.refreshes[0]
    if (call === undefined) return
    const row = [...source.rows.values()].find((one) => one.refreshToken === call.token)
    if (row === undefined) refresher.answer()
    else if (this.kind === "ok") {
      refresher.answer(refresher.fresh(48 * HOUR))
      naive.renewed(row.id)
    } else {
      if (this.kind === "permanent") naive.dead(row.id)
      refresher.answer(this.kind === "permanent" ? PERMANENT : this.kind === "transient" ? transient() : AMBIGUOUS)
    }
    await real.pass(naive, 0)
  }
  override toString(): string {
    return `refresh answered ${this.kind}`
  }
}

class Verb extends Simple {
  constructor(
    readonly verb: "disable" | "enable" | "clear" | "remove",
    readonly id: number,
  ) {
    super()
  }
  async run(naive: Naive, real: Real): Promise<void> {
    naive.verb(this.verb, this.id)
    const result = real.world.pool[this.verb](this.id)
    expect(result.kind).toBe(
      naive.has(this.id) || (this.verb === "remove" && result.kind === "ok") ? "ok" : "not_found",
    )
    await real.pass(naive, 0)
  }
  override toString(): string {
    return `${this.verb} ${this.id}`
  }
}

class Abort extends Simple {
  constructor(readonly which: number) {
    super()
  }
  async run(naive: Naive, real: Real): Promise<void> {
    real.waiting[this.which % Math.max(1, real.waiting.length)]?.gone.abort()
    await real.pass(naive, 0)
  }
  override toString(): string {
    return `abort ${this.which}`
  }
}

class Pass extends Simple {
  constructor(readonly ms: number) {
    super()
  }
  run(naive: Naive, real: Real): Promise<void> {
    return real.pass(naive, this.ms)
  }
  override toString(): string {
    return `pass ${this.ms}`
  }
}

/** The process is killed and started again over the same store. */
class Restart extends Simple {
  async run(naive: Naive, real: Real): Promise<void> {
    await real.pass(naive, 3_000)
    for (const lease of real.open.splice(0)) real.world.pool.release(lease, end({ served: false }))
    for (const one of real.waiting.splice(0)) one.gone.abort()
    await real.world.close()
    real.world.refresher.refreshes.length = 0
    real.world.start()
    naive.restarted()
    await real.pass(naive, 0)
  }
  override toString(): string {
    return "restart"
  }
}

const SIZE = 4
const id = fc.integer({ min: 1, max: SIZE })
const model = fc.constantFrom(MODEL, OTHER)
const session = fc.constantFrom(null, null, "s1", "s2")
const scope = fc.constantFrom<"all" | readonly string[]>("all", [MODEL], [OTHER])
const until = fc.constantFrom(500, 4_000, 30_000, MINUTE, 30 * MINUTE)
const actions = fc.oneof(
  fc.record({ scope, until }).map(({ scope, until }) => ({
    name: `cool ${scope} ${until}`,
    make: (_: Lease, wall: number): Action => ({ do: "cool", scope, until: wall + until, cause: "quota", quota: true }),
  })),
  fc.record({ scope, step: until }).map(({ scope, step }) => ({
    name: `backoff ${scope} ${step}`,
    make: (): Action => ({ do: "backoff", scope, ladder: [step, 2 * step], cause: "server_error" }),
  })),
  fc.record({ until }).map(({ until }) => ({
    name: `lacks ${until}`,
    make: (lease: Lease, wall: number): Action => ({
      do: "lacks",
      model: lease.model,
      until: wall + until,
      tentative: false,
    }),
  })),
  fc.constant({
    name: "refuse the token",
    make: (lease: Lease): Action => ({ do: "refresh", generation: lease.generation }),
  }),
  fc.constant({
    name: "park",
    make: (): Action => ({ do: "park", reason: "ineligible", detail: "no", url: null }),
  }),
  fc.constant({ name: "ban", make: (): Action => ({ do: "ban", reason: "gone", detail: "gone" }) }),
)

const acquires = fc
  .tuple(
    model,
    fc.uniqueArray(id, { maxLength: 3 }),
    fc.uniqueArray(id, { maxLength: 2 }),
    fc.option(id, { freq: 6 }),
    session,
    fc.constantFrom(0, 10_000, 60_000),
  )
  .map((all) => new Acquire(...all))
const reports = fc.tuple(fc.nat(20), actions).map(([which, { make, name }]) => new Report(which, make, name))

/** Of everybody, or of one model. */
const readings = fc.oneof(
  fc.constant(FAILED),
  fc.constant(reading()),
  fc.constant(reading({ limitedUntil: Date.UTC(2027, 0, 1) })),
  model.map((name) => reading({ models: new Map([[name, Date.UTC(2027, 0, 1)]]) })),
)

const commands = [
  acquires,
  acquires,
  acquires,
  reports,
  reports,
  reports,
  fc.tuple(fc.nat(20), fc.boolean(), session).map((all) => new Release(...all)),
  fc
    .constantFrom("ok" as const, "ok" as const, "permanent" as const, "transient" as const, "ambiguous" as const)
    .map((kind) => new Answer(kind)),
  fc
    .tuple(fc.constantFrom("disable" as const, "enable" as const, "clear" as const, "remove" as const), id)
    .map((all) => new Verb(...all)),
  fc.nat(20).map((which) => new Abort(which)),
  fc.constantFrom(100, 1_000, 5_000, 31_000, 10 * MINUTE).map((ms) => new Pass(ms)),
  fc.constant(new Restart()),
]

test("random messages against a naive model: nothing held back is leased, nothing ready is withheld, nothing is lost or leaked", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.commands(commands, { maxCommands: 80, size: "max" }),
      fc.array(readings, { maxLength: 5 }),
      async (steps, says) => {
        const real = new Real(SIZE, says)
        const naive = new Naive(SIZE, real.world.time.mono())
        await fc.asyncModelRun(() => ({ model: naive, real }), steps)

        const { world } = real
        // One flight per credential at any time.
        const flying = world.refresher.refreshes.map((call) => call.token)
        expect(new Set(flying).size).toBe(flying.length)
        // No credential is lost, and each is counted once.
        expect(world.pool.list().map((view) => view.id)).toEqual(naive.ids())
        const { ready, cooling, refreshing, expired, parked, disabled, banned } = world.pool.counts()
        expect(ready + cooling + refreshing + expired + parked + disabled + banned).toBe(naive.ids().length)
        // No slot is leaked: whoever waits gets an answer, and whoever leased gives back.
        for (const lease of real.open.splice(0)) world.pool.release(lease, end())
        await real.pass(naive, 61_000)
        for (const lease of real.open.splice(0)) world.pool.release(lease, end())
        expect(real.waiting).toEqual([])
        expect(world.pool.counts()).toMatchObject({ inFlight: 0, waiting: 0 })
        expect(world.lines.filter((line) => line.level === "error")).toEqual([])
        await world.close()
      },
    ),
    { numRuns: 300, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
  )
}, 60_000)
