import { expect, test } from "bun:test"
import { createPool } from "../../src/scheduler/actor.ts"
import type { CredentialSource, Refreshed, Refresher } from "../../src/scheduler/ports.ts"
import type { Stored, TokenSet } from "../../src/store/types.ts"
import { listeningLog } from "../support/listening-log.ts"
import { MemorySource } from "./support/memory.ts"
import { HandTime, seeded } from "./support/time.ts"
import { EXPIRED, end, MODEL } from "./support/world.ts"

/** A token endpoint that rotates, and refuses a token that was used before, as the real ones do. */
class Rotating implements Refresher {
  readonly leadMs = 60_000
  readonly issued = new Map<string, TokenSet>()
  readonly #live = new Map<string, string>()
  #number = 0

  constructor(readonly time: HandTime) {}

  spent(refreshToken: string): boolean {
    return !this.#live.has(refreshToken)
  }

  owns(refreshToken: string, sub: string): void {
    this.#live.set(refreshToken, sub)
  }

  async refresh(refreshToken: string): Promise<Refreshed> {
    const sub = this.#live.get(refreshToken)
    if (sub === undefined) {
      return { kind: "permanent", reason: "refresh_token_reused", detail: "Already used.", ban: false }
    }
    this.#live.delete(refreshToken)
    const number = ++this.#number
    const tokens = {
      accessToken: `${sub}-access-${number}`,
      refreshToken: `${sub}-refresh-${number}`,
      expiresAt: this.time.wall() + 3_600_000,
      idToken: null,
    }
    this.issued.set(tokens.refreshToken, tokens)
    this.#live.set(tokens.refreshToken, sub)
    return { kind: "ok", tokens, who: null }
  }

  async identify(tokens: TokenSet) {
    const sub = tokens.accessToken.split("-")[0] ?? ""
    return { kind: "ok" as const, who: { sub, account: "a", email: null, plan: null } }
  }
}

const WRITES = ["addSeeds", "intendSeed", "holdSeed", "failSeed", "adopt", "intend", "rotate", "note", "flush"]

/** The store as one process sees it: dead from its `last`-th write on, which takes effect or not. */
function dying(source: MemorySource, last: number, effective: boolean) {
  let writes = 0
  let died: string | null = null
  const handler: ProxyHandler<MemorySource> = {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== "function") return value
      return (...args: unknown[]) => {
        if (died !== null) throw new Error("the process is dead")
        if (!WRITES.includes(String(name)) || ++writes < last) return value.apply(target, args)
        died = String(name)
        if (effective) value.apply(target, args)
        throw new Error("killed")
      }
    },
  }
  const proxy: CredentialSource = new Proxy(source, handler)
  return { proxy, died: () => died }
}

function start(source: CredentialSource, refresher: Refresher, time: HandTime) {
  const settings = { current: { oauthTps: 100, modelList: [MODEL], maxWaitMs: 0 } }
  const log = listeningLog([])
  return createPool({ name: "t", source, refresher, clock: time, timers: time, random: seeded(3), log, settings })
}

/** One life: a seed comes in, an expired credential is asked for. */
async function live(source: CredentialSource, refresher: Refresher, time: HandTime): Promise<void> {
  const pool = start(source, refresher, time)
  try {
    pool.seeds([{ refreshToken: "seed-0", account: null }])
  } catch {
    // Not stored, so not answered with 202: nothing is promised.
  }
  const ask = {
    model: MODEL,
    sessions: [],
    exclude: new Set<number>(),
    avoid: new Set<number>(),
    only: 1,
    deadline: time.mono() + 10_000,
    signal: new AbortController().signal,
  }
  void Promise.resolve(pool.acquire(ask)).then(({ lease }) => {
    if (lease !== null) pool.release(lease, end())
  })
  await time.pass(3_000)
}

function whole(row: Stored, refresher: Rotating): boolean {
  if (row.refreshToken === "refresh1") return row.accessToken === "access1"
  const issued = refresher.issued.get(row.refreshToken)
  return issued?.accessToken === row.accessToken && issued.expiresAt === row.expiresAt
}

test("killed before or after any write, every token set is old or new in full, and what could not be saved is said", async () => {
  const seen = new Set<string>()
  let losses = 0
  for (const effective of [false, true]) {
    for (let last = 1; ; last++) {
      const time = new HandTime()
      const source = new MemorySource()
      const refresher = new Rotating(time)
      source.put(EXPIRED)
      refresher.owns("refresh1", "sub1")
      refresher.owns("seed-0", "sub2")
      const process = dying(source, last, effective)
      await live(process.proxy, refresher, time)
      const at = process.died()
      if (at === null) break
      seen.add(at)
      for (const row of source.rows.values()) expect(whole(row, refresher)).toBe(true)
      // What the kill took with it: an answer that was on the wire, or had not reached the disk.
      const first = source.row(1)
      const lost = first.refreshToken === "refresh1" && refresher.spent("refresh1")
      const seed = [...source.seedRows.values()][0]
      const seedLost = seed?.outcome.kind === "pending" && seed.tokens === null && refresher.spent("seed-0")
      if (lost) expect(first.intentAt).not.toBeNull()
      if (seedLost) expect(seed?.intentAt).not.toBeNull()

      // The next process: everything is asked for, and given time.
      const pool = start(source, refresher, time)
      const ambiguous = pool.list()[0]?.ambiguousRefresh
      void pool.refresh(1)
      await time.pass(60_000)
      for (const row of source.rows.values()) expect(whole(row, refresher)).toBe(true)
      expect(ambiguous).toBe(lost || (at === "intend" && effective))
      expect(pool.list()[0]?.state).toBe(lost ? "parked" : "ready")
      if (seed !== undefined) expect(seed.outcome.kind).toBe(seedLost ? "failed" : "adopted")
      losses += Number(lost) + Number(seedLost)
      await Promise.all([pool.close(0), time.pass(500)])
    }
  }
  expect(losses).toBeGreaterThan(0)
  expect([...seen].sort()).toEqual(["addSeeds", "adopt", "flush", "holdSeed", "intend", "intendSeed", "rotate"].sort())
})
