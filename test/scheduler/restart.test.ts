import { expect, test } from "bun:test"
import fc from "fast-check"
import type { Action, Lease, Refreshed } from "../../src/scheduler/ports.ts"
import type { Write } from "./support/memory.ts"
import { HOUR, MINUTE } from "./support/naive.ts"
import { AMBIGUOUS, PERMANENT, transient } from "./support/upstream.ts"
import { end, MODEL, OTHER, World } from "./support/world.ts"

type Step = (world: World) => unknown

const LIFE = 200 * HOUR
const id = fc.constantFrom(1, 2, 3)

const WRITES: readonly Write[] = ["note", "flush", "rotate", "intend", "addSeeds", "intendSeed", "holdSeed", "adopt"]

const ACTIONS: readonly ((lease: Lease, wall: number) => Action)[] = [
  (_, wall) => ({ do: "cool", scope: "all", until: wall + HOUR, cause: "quota", quota: true }),
  ({ model }, wall) => ({ do: "cool", scope: [model], until: wall + 5 * HOUR, cause: "q", quota: true, probe: [HOUR] }),
  () => ({ do: "backoff", scope: "all", ladder: [30_000, 60_000], cause: "busy" }),
  ({ model }, wall) => ({ do: "lacks", model, until: wall + 12 * HOUR, tentative: false }),
  () => ({ do: "park", reason: "needs_verification", detail: "", url: null, recheck: [HOUR, 3 * HOUR] }),
  () => ({ do: "ban", reason: "tos", detail: "" }),
  ({ generation }) => ({ do: "refresh", generation }),
]

function attempt(world: World, only: number, model: string, failure: (typeof ACTIONS)[number] | null): void {
  const acquired = world.pool.acquire(world.ask({ only, model }))
  if (acquired instanceof Promise || acquired.lease === null) return
  const { lease } = acquired
  if (failure !== null) world.pool.report(lease, failure(lease, world.time.wall()), null)
  world.pool.release(lease, end({ served: failure === null }))
}

function answer(world: World, outcome: Refreshed | null): void {
  if (world.refresher.refreshes.length > 0) world.refresher.answer(outcome ?? world.refresher.fresh(LIFE))
}

const steps = fc.array(
  fc.oneof(
    fc.constantFrom(...WRITES).map(
      (write): Step =>
        (world) =>
          world.source.failing.add(write),
    ),
    fc.constant<Step>((world) => world.source.failing.clear()),
    fc.tuple(fc.constantFrom("clear" as const, "disable" as const, "enable" as const), id).map(
      ([verb, one]): Step =>
        (world) =>
          world.pool[verb](one),
    ),
    id.map(
      (one): Step =>
        (world) =>
          void world.pool.refresh(one),
    ),
    fc.constantFrom(null, PERMANENT, transient(), AMBIGUOUS).map(
      (outcome): Step =>
        (world) =>
          answer(world, outcome),
    ),
    fc.constantFrom(100, 5_000, MINUTE, 2 * HOUR).map(
      (ms): Step =>
        (world) =>
          world.time.pass(ms),
    ),
    fc.constantFrom(HOUR, -HOUR, 30 * HOUR, -30 * HOUR).map(
      (ms): Step =>
        (world) => {
          world.time.jump(ms)
          // Until it is noticed.
          return world.time.pass(31_000)
        },
    ),
    fc.tuple(id, fc.constantFrom(MODEL, OTHER), fc.constantFrom(null, ...ACTIONS)).map(
      ([one, model, failure]): Step =>
        (world) =>
          attempt(world, one, model, failure),
    ),
    fc.constant<Step>((world) => void world.pool.tokens(world.refresher.tokens(LIFE), null)),
  ),
  { maxLength: 60, size: "max" },
)

/** What an operator sees. That an access token was refused is not stored: it would be refused again. */
function shown(world: World) {
  return world.pool.list().map(({ id, state, reason, until, refreshDead, ambiguousRefresh, cooldowns, lacks }) => ({
    id,
    state: state === "expired" ? "ready" : state,
    reason,
    until,
    refreshDead,
    ambiguousRefresh,
    cooldowns: new Map(cooldowns.map((one) => [one.scope, one.until])),
    lacks: new Map(lacks.map((one) => [one.model, one.until])),
  }))
}

test("whatever happened, writes that failed and a clock that was set included, a restart finds what memory had", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (chosen) => {
      const far = { expiresAt: Date.UTC(2026, 0, 1) + LIFE }
      const world = new World(far, far)
      const who = { sub: "s", account: "a", email: null, plan: null }
      world.refresher.identifyRule = () => ({ kind: "ok", who })
      for (const step of chosen) await step(world)
      // Long enough for everything to be stored after all, and for short cooldowns, which are not, to end.
      world.source.failing.clear()
      for (let minute = 0; minute < 10; minute++) {
        while (world.refresher.refreshes.length > 0) answer(world, null)
        await world.time.pass(61_000)
      }
      while (world.refresher.refreshes.length > 0) answer(world, null)
      await world.time.pass(0)
      const before = shown(world)
      world.start()
      await world.time.pass(0)
      expect(shown(world)).toEqual(before)
    }),
    { numRuns: 300, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
  )
}, 60_000)
