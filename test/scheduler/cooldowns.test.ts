import { describe, expect, test } from "bun:test"
import type { Action, Lease } from "../../src/scheduler/ports.ts"
import { PERMANENT } from "./support/upstream.ts"
import { end, MODEL, OTHER, World } from "./support/world.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE

function fail(world: World, lease: Lease, action: Action): void {
  world.pool.report(lease, action, null)
  world.pool.release(lease, end({ served: false }))
}

function coolFor(world: World, ms: number, more: Partial<Action & { do: "cool" }> = {}): Action {
  return { do: "cool", scope: "all", until: world.time.wall() + ms, cause: "quota", quota: true, ...more }
}

function left(world: World, id = 1): number {
  const view = world.pool.list().find((one) => one.id === id)
  return Math.max(0, ...(view?.cooldowns.map((one) => one.until - world.time.wall()) ?? []))
}

test("a later cooldown never shortens a longer one, whichever comes first", () => {
  const world = new World({})
  const leases = [world.lease(), world.lease(), world.lease()]
  const [first, second, third] = leases
  if (!first || !second || !third) throw new Error("unreachable")
  fail(world, first, coolFor(world, MINUTE))
  fail(world, second, coolFor(world, 10 * MINUTE))
  expect(left(world)).toBe(10 * MINUTE)
  fail(world, third, coolFor(world, 5_000))
  expect(left(world)).toBe(10 * MINUTE)
})

test("a cooldown of one model leaves the others alone", () => {
  const world = new World({})
  fail(world, world.lease(), coolFor(world, MINUTE, { scope: [MODEL] }))
  expect(world.tries()).toBe("all_cooling")
  expect(world.tries({ model: OTHER })).toBe(1)
  expect(world.state(1)).toBe("ready")
})

test("cooldowns survive a restart with what the upstream stated, and end on time", async () => {
  const world = new World({})
  fail(world, world.lease(), coolFor(world, 18 * HOUR, { probe: [30 * MINUTE] }))
  await world.time.pass(10 * MINUTE)
  world.start()
  expect(left(world)).toBe(20 * MINUTE)
  expect(world.pool.list()[0]?.cooldowns[0]?.stated).toBe(world.time.wall() + 18 * HOUR - 10 * MINUTE)
  await world.time.pass(20 * MINUTE)
  expect(world.tries()).toBe(1)
})

test("a short cooldown costs no write, a long one costs one", () => {
  const world = new World({}, {})
  fail(world, world.lease(), coolFor(world, 5_000))
  expect(world.source.count("note")).toBe(0)
  const [first, second] = [world.lease(), world.lease()]
  fail(world, first, coolFor(world, HOUR))
  fail(world, second, coolFor(world, HOUR + 10))
  expect(world.source.count("note")).toBe(1)
})

describe("a stated reset far away", () => {
  test("is probed earlier: 30 min, 1 h, 2 h, 4 h, 4 h ...; the first success ends the row", async () => {
    const world = new World({})
    const probe = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR]
    const until = world.time.wall() + 72 * HOUR
    const waits: number[] = []
    world.refresher.rule = () => world.refresher.fresh(100 * HOUR)
    for (let i = 0; i < 5; i++) {
      const lease = world.lease()
      fail(world, lease, { do: "cool", scope: "all", until, cause: "quota", quota: true, probe })
      waits.push(left(world))
      await world.time.pass(left(world) + 1_000)
    }
    expect(waits).toEqual([...probe, 4 * HOUR])
    world.pool.release(world.lease(), end())
    fail(world, world.lease(), { do: "cool", scope: "all", until, cause: "quota", quota: true, probe })
    expect(left(world)).toBe(30 * MINUTE)
  })

  test("is believed when it is nearer than the probe", () => {
    const world = new World({})
    fail(world, world.lease(), coolFor(world, 10 * MINUTE, { probe: [30 * MINUTE] }))
    expect(left(world)).toBe(10 * MINUTE)
  })

  test("that a whole volley of requests reports is one strike", () => {
    const world = new World({})
    const leases = Array.from({ length: 10 }, () => world.lease())
    for (const lease of leases) fail(world, lease, coolFor(world, 72 * HOUR, { probe: [30 * MINUTE, 4 * HOUR] }))
    expect(left(world)).toBe(30 * MINUTE)
    expect(world.source.row(1).cooldowns[0]?.strikes).toBe(1)
  })

  test("keeps its row of strikes over a restart", async () => {
    const world = new World({ expiresAt: Date.UTC(2026, 1, 1) })
    const probe = [30 * MINUTE, HOUR]
    const until = world.time.wall() + 72 * HOUR
    fail(world, world.lease(), { do: "cool", scope: "all", until, cause: "quota", quota: true, probe })
    await world.time.pass(31 * MINUTE)
    world.start()
    fail(world, world.lease(), { do: "cool", scope: "all", until, cause: "quota", quota: true, probe })
    expect(left(world)).toBe(HOUR)
  })
})

describe("a backoff", () => {
  const ladder = [MINUTE, 2 * MINUTE, 4 * MINUTE]
  const backoff: Action = { do: "backoff", scope: "all", ladder, cause: "bare_429" }

  test("climbs its ladder with jitter, the last step repeats, a success starts anew", async () => {
    const world = new World({})
    for (const step of [...ladder, 4 * MINUTE]) {
      fail(world, world.lease(), backoff)
      expect(left(world)).toBeWithin(step, 1.1 * step + 1)
      await world.time.pass(left(world) + 1_000)
    }
    world.pool.release(world.lease(), end())
    fail(world, world.lease(), backoff)
    expect(left(world)).toBeWithin(MINUTE, 1.1 * MINUTE + 1)
  })

  test("may hold back only from the n-th failure in a row", () => {
    const world = new World({})
    const third: Action = { ...backoff, after: 3 }
    fail(world, world.lease(), third)
    fail(world, world.lease(), third)
    expect(world.tries()).toBe(1)
    for (let i = 0; i < 3; i++) fail(world, world.lease(), third)
    expect(world.tries()).toBe("all_cooling")
  })

  test("may end in a ban", async () => {
    const world = new World({ expiresAt: Date.UTC(2026, 1, 1) })
    // biome-ignore lint/suspicious/noThenProperty: the port's name for what follows the ladder
    const last: Action = { ...backoff, ladder: [MINUTE], then: "ban" }
    fail(world, world.lease(), last)
    await world.time.pass(2 * MINUTE)
    fail(world, world.lease(), last)
    expect(world.source.row(1).standing).toMatchObject({ kind: "banned", reason: "bare_429" })
  })
})

describe("the system clock", () => {
  test("jumping an hour neither releases nor holds a cooldown", async () => {
    for (const jump of [HOUR, -HOUR]) {
      const world = new World({ expiresAt: Date.UTC(2026, 1, 1) })
      fail(world, world.lease(), coolFor(world, 30 * MINUTE))
      world.time.jump(jump)
      await world.time.pass(29 * MINUTE)
      expect(world.tries()).toBe("all_cooling")
      await world.time.pass(MINUTE + 1_000)
      expect(world.tries()).toBe(1)
    }
  })

  test("jumping is noticed: what is stored is put right, and shown right at once", async () => {
    for (const jump of [HOUR, -HOUR]) {
      const world = new World({})
      fail(world, world.lease(), coolFor(world, 30 * MINUTE))
      world.time.jump(jump)
      expect(left(world)).toBe(30 * MINUTE)
      await world.time.pass(MINUTE)
      world.start()
      expect(left(world)).toBe(29 * MINUTE)
    }
  })

  test("jumping puts right what is stored of missing models and of parking, too", async () => {
    for (const jump of [24 * HOUR, -24 * HOUR]) {
      const world = new World({}, {})
      const until = world.time.wall() + 12 * HOUR
      const recheck = [12 * HOUR]
      fail(world, world.lease({ only: 1 }), { do: "lacks", model: MODEL, until, tentative: false })
      const park: Action = { do: "park", reason: "service_disabled", detail: "Enable it.", url: null, recheck }
      fail(world, world.lease({ only: 2 }), park)
      world.time.jump(jump)
      await world.time.pass(HOUR)
      world.start()
      const [lacking, parked] = world.pool.list()
      expect(lacking?.lacks).toEqual([{ model: MODEL, until: world.time.wall() + 11 * HOUR }])
      expect(parked).toMatchObject({ state: "parked", until: world.time.wall() + 11 * HOUR })
    }
  })

  test("jumping stores no cooldown that was too short to be stored", async () => {
    const world = new World({})
    await world.time.pass(29_000)
    fail(world, world.lease(), coolFor(world, 5_000))
    world.time.jump(HOUR)
    await world.time.pass(2_000)
    expect(left(world)).toBe(3_000)
    expect(world.source.row(1).cooldowns).toEqual([])
    expect(world.source.count("note")).toBe(0)
  })

  test("jumping ahead renews tokens that look expired, and goes on serving with them meanwhile", async () => {
    const world = new World({})
    world.pool.release(world.lease(), end())
    world.time.jump(2 * HOUR)
    await world.time.pass(MINUTE)
    expect(world.refresher.sent).toEqual(["refresh1"])
    expect(world.tries()).toBe(1)
  })

  test("jumping back does not keep a token in use beyond its life", async () => {
    const world = new World({})
    world.pool.release(world.lease(), end())
    world.time.jump(-5 * HOUR)
    await world.time.pass(HOUR)
    expect(world.refresher.sent).toEqual(["refresh1"])
    expect(world.tries()).toBe("waits")
  })

  test("having been wrong when a cooldown was stored holds nobody for years", () => {
    const until = Date.UTC(2080, 0, 1)
    const world = new World({
      cooldowns: [{ scope: "*", until, stated: until, cause: "quota", strikes: 1, quota: true }],
    })
    expect(left(world)).toBeLessThan(36 * 24 * HOUR)
  })

  test("having been wrong when a credential was parked keeps it parked for years no more", () => {
    const until = Date.UTC(2080, 0, 1)
    const reason = "service_disabled"
    const standing = { kind: "parked", reason, detail: "", url: null, since: 0, until, strikes: 1 } as const
    const world = new World({ standing })
    expect((world.pool.list()[0]?.until ?? 0) - world.time.wall()).toBe(35 * 24 * HOUR)
  })
})

describe("parking", () => {
  const park: Action = {
    do: "park",
    reason: "needs_verification",
    detail: "Verify the account.",
    url: "https://example.com/verify",
    recheck: [HOUR, 24 * HOUR],
  }

  test("is looked at again by its ladder, stays with its row of strikes, and a success ends it for good", async () => {
    const world = new World({ expiresAt: Date.UTC(2026, 1, 1) })
    fail(world, world.lease(), park)
    expect(world.pool.list()[0]).toMatchObject({
      state: "parked",
      reason: "needs_verification",
      url: "https://example.com/verify",
      until: world.time.wall() + HOUR,
    })
    expect(world.tries()).toBe("empty")
    await world.time.pass(HOUR)
    fail(world, world.lease(), park)
    expect(world.source.row(1).standing).toMatchObject({ until: world.time.wall() + 24 * HOUR, strikes: 2 })
    world.start()
    await world.time.pass(24 * HOUR)
    expect(world.source.row(1).standing.kind).toBe("parked")
    world.pool.release(world.lease(), end())
    expect(world.source.row(1).standing.kind).toBe("active")
    fail(world, world.lease(), park)
    expect(world.source.row(1).standing).toMatchObject({ until: world.time.wall() + HOUR, strikes: 1 })
  })

  test("ends in a wish for a login when both tokens have died meanwhile", async () => {
    const world = new World({})
    fail(world, world.lease(), { ...park, recheck: [2 * HOUR] })
    void world.pool.refresh(1)
    world.refresher.answer(PERMANENT)
    await world.time.pass(2 * HOUR)
    expect(world.source.row(1).standing).toMatchObject({ kind: "parked", reason: "needs_login", until: null })
  })

  test("by a whole volley is one strike, and keeps the newest page to act on", () => {
    const world = new World({})
    const leases = [world.lease(), world.lease()]
    for (const [i, lease] of leases.entries()) fail(world, lease, { ...park, url: `https://example.com/${i}` })
    expect(world.source.row(1).standing).toMatchObject({ strikes: 1, url: "https://example.com/1" })
  })

  test("does not undo the operator's word, nor a ban", () => {
    const world = new World({}, {})
    const [first, second] = [world.lease(), world.lease()]
    world.pool.disable(1)
    fail(world, first, park)
    expect(world.state(1)).toBe("disabled")
    world.pool.report(second, { do: "ban", reason: "tos", detail: "x" }, null)
    fail(world, second, park)
    expect(world.state(2)).toBe("banned")
  })
})

describe("asking anew whose tokens these are", () => {
  const then = { do: "park", reason: "service_disabled", detail: "Enable the API.", url: null } as const
  const identify: Action = { do: "identify", then }

  test("takes over another account, and parks the credential if it is the same", async () => {
    const world = new World({})
    const { identity } = world.source.row(1)
    world.refresher.identifyRule = () => ({ kind: "ok", who: { ...identity, account: "other-project" } })
    fail(world, world.lease(), identify)
    expect(world.tries()).toBe("waits")
    await world.time.pass(0)
    expect(world.source.row(1).identity.account).toBe("other-project")
    expect(world.lease().identity.account).toBe("other-project")
    fail(world, world.lease(), identify)
    await world.time.pass(0)
    expect(world.source.row(1).standing).toMatchObject({ kind: "parked", reason: "service_disabled" })
  })

  test("parks the credential if another one has that account already", async () => {
    const identity = { sub: "s", account: "gone-project", email: null, plan: null }
    const who = { ...identity, account: "other-project" }
    const world = new World({ identity }, { identity: who })
    world.refresher.identifyRule = () => ({ kind: "ok", who })
    fail(world, world.lease(), identify)
    await world.time.pass(0)
    expect(world.pool.list().map(({ account, state }) => ({ account, state }))).toEqual([
      { account: "gone-project", state: "parked" },
      { account: "other-project", state: "ready" },
    ])
  })

  test("parks with both reasons when it is refused, and tries a passing failure again", async () => {
    const world = new World({})
    let calls = 0
    world.refresher.identifyRule = () =>
      ++calls < 3
        ? { kind: "transient", reason: "busy", detail: "", retryAfterMs: null }
        : { kind: "refused", reason: "no", detail: "Not for you.", url: "https://example.com/why" }
    fail(world, world.lease(), identify)
    await world.time.pass(30_000)
    expect(calls).toBe(3)
    expect(world.source.row(1).standing).toMatchObject({
      detail: "Enable the API. The account itself: Not for you.",
      url: "https://example.com/why",
    })
  })
})

test("an end that is no time holds nobody, one that never comes not for ever", () => {
  const world = new World({}, {})
  fail(world, world.lease({ only: 1 }), coolFor(world, Number.NaN))
  expect(world.state(1)).toBe("ready")
  fail(world, world.lease({ only: 1 }), coolFor(world, Number.POSITIVE_INFINITY))
  expect(left(world)).toBe(35 * 24 * HOUR)
  fail(world, world.lease({ only: 2 }), { do: "lacks", model: MODEL, until: Number.NaN, tentative: false })
  expect(world.tries()).toBe(2)
})

test("a model that a credential lacks is not asked of it again until then, also after a restart", async () => {
  const world = new World({}, {})
  const lease = world.lease()
  const until = world.time.wall() + 12 * HOUR
  fail(world, lease, { do: "lacks", model: MODEL, until, tentative: false })
  expect([world.tries(), world.tries()]).toEqual([2, 2])
  expect(world.tries({ model: OTHER, only: 1 })).toBe(1)
  world.start()
  expect([world.tries(), world.tries()]).toEqual([2, 2])
  expect(world.pool.list()[0]?.lacks).toEqual([{ model: MODEL, until }])
  world.refresher.rule = () => world.refresher.fresh(100 * HOUR)
  await world.time.pass(12 * HOUR + 1_000)
  world.tries({ only: 1 })
  await world.time.pass(0)
  expect(world.tries({ only: 1 })).toBe(1)
})

test("errors are shown at once but not stored again and again", () => {
  const world = new World({})
  for (let i = 0; i < 10; i++) {
    const lease = world.lease()
    const error = { at: world.time.wall(), status: 500, cause: "server_error", message: `no ${i}` }
    world.pool.report(lease, { do: "backoff", scope: "all", ladder: [0], cause: "x" }, error)
    world.pool.release(lease, end({ served: false }))
  }
  expect(world.pool.list()[0]?.lastError?.message).toBe("no 9")
  expect(world.source.count("note")).toBe(1)
})

test("what cannot be stored is kept and stored later; serving goes on", async () => {
  const world = new World({}, {})
  world.source.failing.add("note").add("flush")
  fail(world, world.lease(), coolFor(world, HOUR))
  expect(world.tries()).toBe(2)
  await world.time.pass(10_000)
  expect(world.source.row(1).cooldowns).toEqual([])
  world.source.failing.clear()
  await world.time.pass(60_000)
  expect(world.source.row(1).cooldowns).toHaveLength(1)
  expect(world.source.row(2).lastLeasedAt).not.toBeNull()
})
