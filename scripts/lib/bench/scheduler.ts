/** The scheduler alone: what one operation costs, over the size of the pool and the number of models. `bun scripts/lib/bench/scheduler.ts` */
import { createPool } from "../../../src/scheduler/actor.ts"
import type { Ask, CredentialSource, Lease, LeaseEnd, Pool, Refresher } from "../../../src/scheduler/ports.ts"
import type { Stored, TokenSet } from "../../../src/store/types.ts"
import type { SchedulerRow } from "./results.ts"

const WALL = Date.UTC(2026, 0, 1)
const NEVER = new AbortController().signal
const NOBODY: ReadonlySet<number> = new Set()
const END: LeaseEnd = { served: true, quotas: [], plan: null, bind: [] }

/** A clock and timers that only the benchmark moves; reading it costs what reading the real one costs. */
class BenchTime {
  offset = 0
  mono = () => performance.now() + this.offset
  wall = () => WALL + this.mono()
  #tasks = new Set<() => void>()
  after = (_ms: number, task: () => void) => {
    this.#tasks.add(task)
    return () => this.#tasks.delete(task)
  }
  fire(): void {
    const tasks = [...this.#tasks]
    this.#tasks.clear()
    for (const task of tasks) task()
  }
}

function row(id: number): Stored {
  return {
    id,
    identity: { sub: `sub${id}`, account: `account${id}`, email: null, plan: null },
    accessToken: `access${id}`,
    refreshToken: `refresh${id}`,
    expiresAt: WALL + 30 * 24 * 3_600_000,
    standing: { kind: "active" },
    refreshDead: null,
    cooldowns: [],
    marks: [],
    quotas: [],
    lastError: null,
    lastLeasedAt: null,
    intentAt: null,
  }
}

class NullSource implements CredentialSource {
  next: number
  constructor(readonly size: number) {
    this.next = size + 1
  }
  load = () => Array.from({ length: this.size }, (_, i) => row(i + 1))
  pendingSeeds = () => []
  pendingSeed = () => null
  seedRecords = () => []
  seedOutcome = () => null
  addSeeds = () => []
  intendSeed = () => {}
  holdSeed = () => {}
  failSeed = () => {}
  adopt = () => row(this.next++)
  intend = () => {}
  rotate = () => "stored" as const
  read = () => null
  note = () => {}
  flush = () => {}
  bindings = () => []
  remove = () => {}
}

function tokens(n: number): TokenSet {
  return {
    accessToken: `a${n}`,
    refreshToken: `r${n}`,
    expiresAt: WALL + performance.now() + 86_400_000,
    idToken: null,
  }
}

interface Bench {
  readonly pool: Pool
  readonly time: BenchTime
  readonly asks: readonly Ask[]
}

function start(size: number, models: number, refresher: Refresher): Bench {
  const time = new BenchTime()
  const modelList = Array.from({ length: models }, (_, i) => `model-${i}`)
  const log = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => log }
  const pool = createPool({
    name: "bench",
    source: new NullSource(size),
    refresher,
    clock: time,
    timers: time,
    random: Math.random,
    log,
    settings: { current: { oauthTps: 1e9, modelList, maxWaitMs: 0 } },
  })
  const asks = modelList.map((model) => ask(model, []))
  return { pool, time, asks }
}

function ask(model: string, sessions: readonly string[]): Ask {
  return {
    model,
    sessions,
    exclude: NOBODY,
    avoid: NOBODY,
    only: null,
    deadline: Number.POSITIVE_INFINITY,
    signal: NEVER,
  }
}

function lease(pool: Pool, wanted: Ask): Lease {
  const acquired = pool.acquire(wanted)
  if (acquired instanceof Promise || acquired.lease === null) throw new Error("no lease")
  return acquired.lease
}

const quiet: Refresher = {
  leadMs: 300_000,
  refresh: () => Promise.resolve({ kind: "ambiguous", reason: "bench" }),
  identify: () => Promise.resolve({ kind: "refused", reason: "bench", detail: "", url: null }),
}

/** Median nanoseconds of one `run`, over batches of `size`. */
function median(batches: number, size: number, run: (i: number) => void): number {
  const samples: number[] = []
  for (let batch = 0; batch < batches; batch++) {
    const from = Bun.nanoseconds()
    for (let i = 0; i < size; i++) run(batch * size + i)
    samples.push((Bun.nanoseconds() - from) / size)
  }
  samples.sort((a, b) => a - b)
  return samples[samples.length >> 1] ?? Number.NaN
}

function pick<T>(list: readonly T[], i: number): T {
  const item = list[i % list.length]
  if (item === undefined) throw new Error("empty list")
  return item
}

async function measure(size: number, models: number): Promise<Record<string, number>> {
  const began = Bun.nanoseconds()
  const { pool, time, asks } = start(size, models, quiet)
  const load = (Bun.nanoseconds() - began) / size
  const cycle = (wanted: Ask) => pool.release(lease(pool, wanted), END)

  for (let i = 0; i < 20_000; i++) cycle(pick(asks, i))
  const acquireRelease = median(200, 1_000, (i) => cycle(pick(asks, i)))

  const sessions = Array.from({ length: 1_000 }, (_, i) => ask(pick(asks, i).model, [`session-${i}`]))
  for (let round = 0; round < 3; round++) {
    for (const wanted of sessions) pool.release(lease(pool, wanted), { ...END, bind: wanted.sessions })
  }
  const sticky = median(100, 1_000, (i) => cycle(pick(sessions, i)))

  // Cooldowns of one model, each on the credential whose turn it is; then all of them due at once.
  const cooled = Math.max(1, Math.min(size - 1, 500))
  const cooldowns: number[] = []
  const drains: number[] = []
  for (let round = 0; round < 20; round++) {
    const leases = Array.from({ length: cooled }, (_, i) => lease(pool, pick(asks, i)))
    const until = time.wall() + 5_000
    const from = Bun.nanoseconds()
    for (const one of leases) {
      pool.report(one, { do: "cool", scope: [one.model], until, cause: "bench", quota: false }, null)
    }
    cooldowns.push((Bun.nanoseconds() - from) / cooled)
    for (const one of leases) pool.release(one, { ...END, served: false })
    time.offset += 6_000
    const due = Bun.nanoseconds()
    time.fire()
    drains.push((Bun.nanoseconds() - due) / cooled)
  }
  const middle = (list: number[]) => list.sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN

  const seen = { adopted: 0, refreshed: 0 }
  const adds = Math.min(500, Math.max(50, Math.round(50_000 / models)))
  const adder = start(size, models, {
    ...quiet,
    identify: () => Promise.resolve({ kind: "ok", who: { sub: "s", account: "a", email: null, plan: null } }),
  })
  const addFrom = Bun.nanoseconds()
  await Promise.all(
    Array.from({ length: adds }, (_, i) => adder.pool.tokens(tokens(i), null).then(() => seen.adopted++)),
  )
  const add = (Bun.nanoseconds() - addFrom) / adds

  const renewer = start(size, models, { ...quiet, refresh: async () => ({ kind: "ok", tokens: tokens(1), who: null }) })
  const count = Math.min(size, 500)
  const refreshFrom = Bun.nanoseconds()
  await Promise.all(Array.from({ length: count }, (_, i) => renewer.pool.refresh(i + 1).then(() => seen.refreshed++)))
  const refreshed = (Bun.nanoseconds() - refreshFrom) / count
  if (seen.adopted !== adds || seen.refreshed !== count) throw new Error("something was lost")

  await Promise.all([pool.close(0), adder.pool.close(0), renewer.pool.close(0)])
  return { acquireRelease, sticky, cooldown: middle(cooldowns), drain: middle(drains), add, refreshed, load }
}

/** Nanoseconds an operation (median), for each size of the pool and number of models. */
export async function* schedulerRows(
  sizes: readonly number[],
  modelCounts: readonly number[],
): AsyncGenerator<SchedulerRow> {
  for (const models of modelCounts) {
    for (const credentials of sizes) {
      // Two Int32Arrays per ring: 128 models over 100,000 credentials are 100 MB a pool.
      yield { credentials, models, operations: await measure(credentials, models) }
    }
  }
}

if (import.meta.main) {
  const names = ["acquireRelease", "sticky", "cooldown", "drain", "add", "refreshed", "load"]
  if (process.argv.includes("--json")) {
    const [sizes = "", models = ""] = process.argv.slice(3)
    for await (const row of schedulerRows(sizes.split(",").map(Number), models.split(",").map(Number))) {
      console.log(JSON.stringify(row))
    }
  } else {
    console.log(`Bun ${Bun.version}, nanoseconds per operation (median)`)
    console.log(["credentials", "models", ...names].map((name) => name.padStart(15)).join(""))
    for await (const { credentials, models, operations } of schedulerRows([1, 10, 1_000, 100_000], [1, 16, 128])) {
      const cells = [credentials, models, ...names.map((name) => (operations[name] ?? Number.NaN).toFixed(0))]
      console.log(cells.map((cell) => String(cell).padStart(15)).join(""))
    }
  }
}
