import { expect, test } from "bun:test"
import { EXPIRED, end, MODEL, OTHER, World } from "./support/world.ts"

test("an empty pool says so, and an unknown model is unsupported", () => {
  const world = new World()
  expect(world.tries()).toBe("empty")
  expect(world.tries({ model: "nobody-has-it" })).toBe("unsupported")
})

test("ready credentials take turns", () => {
  const world = new World({}, {}, {})
  expect([1, 2, 3, 4, 5, 6].map(() => world.tries())).toEqual([1, 2, 3, 1, 2, 3])
})

test("the less busy one goes first", () => {
  const world = new World({}, {})
  world.lease()
  expect(world.tries()).toBe(2)
  expect(world.tries()).toBe(2)
})

test("one refresh serves a hundred requests that wait for the same expired token", async () => {
  const world = new World(EXPIRED)
  const waiting = Array.from({ length: 100 }, () => world.waits())
  await world.time.pass(10)
  expect(world.refresher.sent).toEqual(["refresh1"])
  world.refresher.answer()
  await world.time.pass(0)
  expect(waiting.every((one) => one.result?.lease?.token === "new-access1")).toBe(true)
  expect(world.refresher.sent).toHaveLength(1)
  expect(world.pool.counts()).toMatchObject({ inFlight: 100, waiting: 0, ready: 1 })
  expect(world.source.journal.filter((line) => !line.startsWith("flush"))).toEqual([
    "intend 1",
    "rotate 1 new-refresh1",
  ])
})

test("models take turns apart from each other", () => {
  const world = new World({}, {})
  expect(world.tries({ model: MODEL })).toBe(1)
  expect(world.tries({ model: OTHER })).toBe(1)
  world.pool.release(world.lease({ model: OTHER }), end())
})
