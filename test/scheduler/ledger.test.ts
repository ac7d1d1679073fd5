import { describe, expect, test } from "bun:test"
import type { Action } from "../../src/scheduler/ports.ts"
import { transient } from "./support/upstream.ts"
import { EXPIRED, end, MODEL, OTHER, World } from "./support/world.ts"

const HOUR = 3_600_000

/** A lease of the first credential that ends with `action`. */
function fail(world: World, action: Action): void {
  const lease = world.lease({ only: 1 })
  world.pool.report(lease, action, null)
  world.pool.release(lease, end({ served: false }))
}

function coolFor(world: World, ms: number): Action {
  return { do: "cool", scope: "all", until: world.time.wall() + ms, cause: "quota", quota: true }
}

describe("a change that could not be stored", () => {
  test("does not undo a newer one of another kind: cleared, then cooling again", async () => {
    const world = new World({})
    world.source.failing.add("note")
    world.pool.clear(1)
    world.source.failing.clear()
    fail(world, coolFor(world, HOUR))
    await world.time.pass(60_000)
    expect(world.source.row(1).cooldowns).toHaveLength(1)
    world.start()
    expect(world.tries()).toBe("all_cooling")
  })

  test("does not end a cooldown that has begun since", async () => {
    const world = new World({ expiresAt: Date.UTC(2026, 1, 1) })
    fail(world, coolFor(world, 20_000))
    await world.time.pass(21_000)
    world.source.failing.add("note")
    // Ends the row of strikes, and with it what is stored of the cooldown.
    world.pool.release(world.lease(), end())
    world.source.failing.clear()
    fail(world, coolFor(world, HOUR))
    await world.time.pass(60_000)
    expect(world.source.row(1).cooldowns).toHaveLength(1)
  })

  test("does not bring back a credential that was parked since", async () => {
    const world = new World({})
    world.source.failing.add("note")
    world.pool.clear(1)
    world.source.failing.clear()
    fail(world, { do: "park", reason: "needs_verification", detail: "Verify.", url: null })
    await world.time.pass(60_000)
    expect(world.source.row(1).standing.kind).toBe("parked")
  })

  test("is not forgotten for a clear: who was disabled or banned meanwhile stays so", async () => {
    const world = new World({}, {})
    world.source.failing.add("note")
    world.pool.disable(1)
    const lease = world.lease()
    world.pool.report(lease, { do: "ban", reason: "tos", detail: "x" }, null)
    world.pool.release(lease, end({ served: false }))
    for (const id of [1, 2]) world.pool.clear(id)
    world.source.failing.clear()
    await world.time.pass(60_000)
    world.start()
    expect([world.state(1), world.state(2)]).toEqual(["disabled", "banned"])
  })

  test("does not close the intent of a refresh that was sent since", async () => {
    const world = new World(EXPIRED)
    world.source.failing.add("note")
    void world.pool.refresh(1)
    world.refresher.answer(transient())
    // Long enough for the store to be tried only once a minute.
    await world.time.pass(300_000)
    world.source.failing.clear()
    void world.pool.refresh(1)
    await world.time.pass(59_000)
    expect(world.refresher.refreshes).toHaveLength(1)
    expect(world.source.row(1).intentAt).not.toBeNull()
  })
})

test("what has ended does not begin anew at a start after the system clock was set back", async () => {
  const far = { expiresAt: Date.UTC(2026, 5, 1) }
  const world = new World(far, far, far)
  const until = world.time.wall() + HOUR
  const actions: Action[] = [
    coolFor(world, HOUR),
    { do: "lacks", model: MODEL, until, tentative: false },
    { do: "park", reason: "service_disabled", detail: "Enable it.", url: null, recheck: [HOUR] },
  ]
  for (const [index, action] of actions.entries()) {
    const lease = world.lease({ only: index + 1 })
    world.pool.report(lease, action, null)
    world.pool.release(lease, end({ served: false }))
  }
  await world.time.pass(2 * HOUR)
  expect([1, 2, 3].map((only) => world.tries({ only, model: OTHER }))).toEqual([1, 2, 3])
  world.time.jump(-24 * HOUR)
  await world.time.pass(60_000)
  world.start()
  expect([1, 2, 3].map((only) => world.tries({ only }))).toEqual([1, 2, 3])
})
