import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { Affinity } from "../../src/scheduler/affinity.ts"
import type { LateChange } from "../../src/store/types.ts"
import { HandTime } from "./support/time.ts"
import { EXPIRED, end, MODEL, OTHER, World } from "./support/world.ts"

const HOUR = 3_600_000
const never = () => false

function table(limits = { settled: 4, probation: 3 }) {
  const time = new HandTime()
  const changes: LateChange[] = []
  const affinity = new Affinity(time, { session: (_session, change) => changes.push(change) }, limits)
  return { time, changes, affinity }
}

describe("the table", () => {
  test("is bounded, and names seen once cannot push out those that came back", () => {
    const { affinity } = table()
    affinity.bind("kept", 1, never)
    expect(affinity.find(["kept"])).toBe(1)
    for (let i = 0; i < 10_000; i++) affinity.bind(`once${i}`, 2, never)
    expect(affinity.size).toBe(4)
    expect(affinity.find(["kept"])).toBe(1)
    expect(affinity.find(["once0"])).toBeNull()
  })

  test("forgets what was idle for four hours, whatever the wall clock says", () => {
    const { time, affinity, changes } = table()
    affinity.bind("s", 1, never)
    affinity.find(["s"])
    time.jump(24 * HOUR)
    time.skip(3 * HOUR)
    expect(affinity.find(["s"])).toBe(1)
    time.skip(4 * HOUR + 1)
    expect(affinity.find(["s"])).toBeNull()
    expect(changes.at(-1)).toEqual({ late: "unbind", session: "s" })
  })

  test("stores only names that came back, again only after a while, and tells of those it lets go", () => {
    const { time, affinity, changes } = table()
    affinity.bind("s", 1, never)
    expect(changes).toEqual([])
    for (let i = 0; i < 10; i++) affinity.find(["s"])
    expect(changes).toHaveLength(1)
    time.skip(11 * 60_000)
    affinity.find(["s"])
    expect(changes).toHaveLength(2)
    for (const name of ["a", "b", "c", "d"]) {
      affinity.bind(name, 2, never)
      affinity.find([name])
    }
    expect(changes).toContainEqual({ late: "unbind", session: "s" })
  })

  test("takes the best name that is known", () => {
    const { affinity } = table()
    affinity.bind("second", 2, never)
    affinity.bind("third", 3, never)
    expect(affinity.find(["first", "second", "third"])).toBe(2)
    expect(affinity.find([])).toBeNull()
  })

  test("never grows beyond its bounds and never invents a binding", () => {
    const step = fc.record({ name: fc.nat(30), id: fc.nat(3), bind: fc.boolean(), ms: fc.nat(HOUR) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { time, affinity } = table()
        const last = new Map<string, Set<number>>()
        for (const { name, id, bind, ms } of steps) {
          time.skip(ms)
          const session = `s${name}`
          const ids = last.get(session) ?? new Set()
          if (bind) {
            affinity.bind(session, id, never)
            last.set(session, ids.add(id))
          } else {
            const found = affinity.find([session])
            if (found !== null) expect(ids.has(found)).toBe(true)
          }
          expect(affinity.size).toBeLessThanOrEqual(7)
        }
      }),
    )
  })
})

function bound(world: World, session: string): number {
  const lease = world.lease({ sessions: [session] })
  world.pool.release(lease, end({ bind: [session] }))
  return lease.credential
}

describe("a session", () => {
  test("stays with the credential that served it", () => {
    const world = new World({}, {}, {})
    const id = bound(world, "s")
    for (let i = 0; i < 5; i++) {
      world.tries()
      const lease = world.lease({ sessions: ["s"] })
      expect(lease).toMatchObject({ credential: id, sticky: true })
      world.pool.release(lease, end({ bind: ["s"] }))
    }
    expect(world.lease().sticky).toBe(false)
  })

  test("is not bound by a request of which nothing was answered", () => {
    const world = new World({}, {})
    world.pool.release(world.lease({ sessions: ["s"] }), end({ served: false }))
    expect(bound(world, "s")).toBe(2)
  })

  test("is bound by an answer that broke off, since the client holds a part of it", () => {
    const world = new World({}, {})
    const broken = world.lease({ sessions: ["s"] })
    world.pool.release(broken, end({ served: false, bind: ["s"] }))
    expect(world.lease({ sessions: ["s"] })).toMatchObject({ credential: broken.credential, sticky: true })
  })

  test("stays over models, with a look at whether the credential has the model", () => {
    const world = new World({}, {})
    const id = bound(world, "s")
    world.tries()
    expect(world.lease({ sessions: ["s"], model: OTHER }).credential).toBe(id)
    const until = world.time.wall() + HOUR
    world.pool.report(world.lease({ only: id }), { do: "lacks", model: MODEL, until, tentative: false }, null)
    expect(world.lease({ sessions: ["s"] }).credential).not.toBe(id)
  })

  test("waits for its credential through a short cooldown, and moves on a long one and stays moved", async () => {
    const world = new World({}, {})
    const id = bound(world, "s")
    const cool = (ms: number) => {
      const until = world.time.wall() + ms
      const lease = world.lease({ only: id })
      world.pool.report(lease, { do: "cool", scope: "all", until, cause: "capacity", quota: false }, null)
      world.pool.release(lease, end({ served: false }))
    }
    cool(2_500)
    const waiting = world.waits({ sessions: ["s"] })
    await world.time.pass(2_501)
    expect(waiting.result?.lease).toMatchObject({ credential: id, sticky: true })
    cool(10_000)
    const moved = bound(world, "s")
    expect(moved).not.toBe(id)
    await world.time.pass(11_000)
    world.tries()
    expect(bound(world, "s")).toBe(moved)
  })

  test("waits for its credential's refresh, and moves when that takes too long", async () => {
    const world = new World({}, {})
    const id = bound(world, "s")
    const lease = world.lease({ only: id })
    world.pool.report(lease, { do: "refresh", generation: 1 }, null)
    const waiting = world.waits({ sessions: ["s"] })
    await world.time.pass(4_000)
    expect(waiting.result).toBeNull()
    await world.time.pass(1_100)
    expect(waiting.result?.lease?.credential).toBe(3 - id)
  })

  test("comes back after a passing error that another credential had to answer for", () => {
    const world = new World({}, {})
    const id = bound(world, "s")
    const elsewhere = world.lease({ sessions: ["s"], avoid: new Set([id]) })
    expect(elsewhere.credential).not.toBe(id)
    world.pool.release(elsewhere, end({ bind: ["s"] }))
    expect(bound(world, "s")).toBe(id)
  })

  test("moves for good when its credential is parked, disabled or removed", () => {
    for (const verb of ["disable", "remove"] as const) {
      const world = new World({}, {})
      const id = bound(world, "s")
      world.pool[verb](id)
      expect(bound(world, "s")).toBe(3 - id)
      world.pool.enable(id)
      expect(bound(world, "s")).toBe(3 - id)
    }
  })

  test("finds its credential again after a restart", async () => {
    const world = new World({}, {}, {})
    const id = bound(world, "s")
    bound(world, "s")
    await world.time.pass(3_000)
    world.start()
    expect(world.lease({ sessions: ["s"] })).toMatchObject({ credential: id, sticky: true })
    expect(
      world.pool
        .explain(MODEL, "s")
        .filter((one) => one.sticky)
        .map((one) => one.id),
    ).toEqual([id])
  })

  test("does not wake a credential that is excluded", () => {
    const world = new World(EXPIRED, {})
    expect(world.tries({ sessions: ["s"], exclude: new Set([1]) })).toBe(2)
  })
})

test("ten thousand sessions are spread evenly and stay bounded", () => {
  const world = new World(...Array.from({ length: 10 }, () => ({})))
  const counts = new Map<number, number>()
  for (let i = 0; i < 10_000; i++) {
    const id = bound(world, `session ${i}`)
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  expect([...counts.values()]).toEqual(Array.from({ length: 10 }, () => 1_000))
})
