import { describe, expect, test } from "bun:test"
import type { Lease } from "../../src/scheduler/ports.ts"
import { AMBIGUOUS, PERMANENT, transient } from "./support/upstream.ts"
import { EXPIRED, end, World } from "./support/world.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE

function refuse(world: World, lease: Lease): void {
  world.pool.report(lease, { do: "refresh", generation: lease.generation }, null)
  world.pool.release(lease, end({ served: false }))
}

function use(world: World): void {
  world.pool.release(world.lease(), end())
}

describe("ahead of the expiry", () => {
  test("a credential in use is renewed in the lead, and leased with the old token until the new one is stored", async () => {
    const world = new World({})
    use(world)
    await world.time.pass(54 * MINUTE)
    expect(world.refresher.sent).toEqual([])
    await world.time.pass(3 * MINUTE)
    expect(world.refresher.sent).toEqual(["refresh1"])
    expect(world.lease().token).toBe("access1")
    world.refresher.answer()
    await world.time.pass(0)
    expect(world.lease()).toMatchObject({ token: "new-access1", generation: 2 })
  })

  test("an unused one is left alone, and renewed as soon as it is used again", async () => {
    const world = new World({})
    await world.time.pass(57 * MINUTE)
    expect(world.refresher.sent).toEqual([])
    use(world)
    await world.time.pass(0)
    expect(world.refresher.sent).toEqual(["refresh1"])
  })

  test("those that were in use before a restart and expired meanwhile are renewed without anybody asking", async () => {
    const lastLeasedAt = Date.UTC(2025, 11, 31, 20)
    const world = new World({ ...EXPIRED, lastLeasedAt }, { ...EXPIRED, lastLeasedAt: lastLeasedAt - 48 * HOUR })
    await world.time.pass(5_000)
    expect(world.refresher.sent).toEqual(["refresh1"])
  })

  test("credentials added together are not renewed together", async () => {
    const world = new World(...Array.from({ length: 50 }, () => ({})))
    world.settings.current = { ...world.settings.current, oauthTps: 1_000 }
    world.refresher.rule = () => world.refresher.fresh(10 * HOUR)
    for (let i = 0; i < 50; i++) use(world)
    const perTenSeconds: number[] = []
    await world.time.pass(54 * MINUTE)
    for (let i = 0; i < 30; i++) {
      const before = world.refresher.sent.length
      await world.time.pass(10_000)
      perTenSeconds.push(world.refresher.sent.length - before)
    }
    expect(world.refresher.sent).toHaveLength(50)
    expect(Math.max(...perTenSeconds)).toBeLessThan(25)
  })

  test("expired ones come back one after another once others are in use", async () => {
    const world = new World({}, EXPIRED, EXPIRED)
    use(world)
    await world.time.pass(0)
    expect(world.refresher.refreshes).toHaveLength(1)
    use(world)
    expect(world.refresher.refreshes).toHaveLength(1)
    world.refresher.answer()
    await world.time.pass(0)
    use(world)
    expect(world.refresher.sent).toEqual(["refresh2", "refresh3"])
  })
})

describe("a refused access token", () => {
  test("is renewed once, however many requests were refused with it", async () => {
    const world = new World({})
    const leases = [world.lease(), world.lease(), world.lease()]
    for (const lease of leases.slice(0, 2)) refuse(world, lease)
    world.refresher.answer()
    await world.time.pass(0)
    for (const lease of leases.slice(2)) refuse(world, lease)
    await world.time.pass(MINUTE)
    expect(world.refresher.sent).toEqual(["refresh1"])
    expect(world.lease().generation).toBe(2)
  })

  test("that is followed by a refused fresh one is not renewed in a tight loop", async () => {
    const world = new World({})
    world.refresher.rule = () => world.refresher.fresh()
    for (let i = 0; i < 2_000; i++) {
      const acquired = world.pool.acquire(world.ask())
      if (!(acquired instanceof Promise) && acquired.lease !== null) refuse(world, acquired.lease)
      await world.time.pass(50)
    }
    expect(world.refresher.sent.length).toBeLessThan(12)
    expect(world.refresher.sent.length).toBeGreaterThan(3)
  })

  test("clears no cooldown by its renewal", async () => {
    const world = new World({})
    const lease = world.lease()
    const until = world.time.wall() + HOUR
    world.pool.report(lease, { do: "cool", scope: "all", until, cause: "quota", quota: true }, null)
    refuse(world, lease)
    await world.time.pass(0)
    world.refresher.answer()
    await world.time.pass(0)
    expect(world.tries()).toBe("all_cooling")
    expect(world.pool.list()[0]?.cooldowns).toMatchObject([{ until, cause: "quota" }])
  })
})

describe("store first", () => {
  const writes: string[] = []

  test("the intent is stored before the token is sent, and the new tokens before anybody gets them", async () => {
    const world = new World(EXPIRED)
    writes.length = 0
    world.source.before = (write) => {
      const leased = world.pool.counts().inFlight
      writes.push(`${write} sent=${world.refresher.sent.length} leased=${leased}`)
    }
    world.waits()
    world.refresher.answer()
    await world.time.pass(0)
    expect(writes).toEqual(["intend sent=0 leased=0", "rotate sent=1 leased=0"])
  })

  test("tokens that cannot be stored are kept, retried and leased only once they are stored", async () => {
    const world = new World(EXPIRED)
    world.source.failing.add("rotate")
    const waiting = world.waits()
    world.refresher.answer()
    await world.time.pass(5_000)
    expect(waiting.result).toBeNull()
    expect(world.source.count("rotate")).toBeGreaterThan(3)
    expect(world.refresher.sent).toEqual(["refresh1"])
    expect(world.lines.some((line) => line.level === "error")).toBe(true)
    world.source.failing.clear()
    await world.time.pass(10_000)
    expect(waiting.result?.lease?.token).toBe("new-access1")
    expect(world.source.row(1).refreshToken).toBe("new-refresh1")
  })

  test("the old access token serves on while the new one cannot be stored", async () => {
    const world = new World({})
    world.source.failing.add("rotate")
    use(world)
    await world.time.pass(57 * MINUTE)
    world.refresher.answer()
    await world.time.pass(1_000)
    expect(world.lease().token).toBe("access1")
  })

  test("nothing is sent while the intent cannot be stored", async () => {
    const world = new World(EXPIRED)
    world.source.failing.add("intend")
    const waiting = world.waits()
    await world.time.pass(3_000)
    expect(world.refresher.sent).toEqual([])
    world.source.failing.clear()
    await world.time.pass(10_000)
    expect(world.refresher.sent).toEqual(["refresh1"])
    expect(waiting.result).toBeNull()
  })

  test("a last attempt is made at the stop", async () => {
    const world = new World(EXPIRED)
    world.source.failing.add("rotate")
    world.waits()
    world.refresher.answer()
    await world.time.pass(10)
    world.source.failing.clear()
    await world.close()
    expect(world.source.row(1).refreshToken).toBe("new-refresh1")
  })

  test("a kill between the answer and the commit leaves the old set in full, and the next start knows", async () => {
    const world = new World(EXPIRED)
    world.source.failing.add("rotate")
    world.waits()
    world.refresher.answer()
    await world.time.pass(10)
    const killed = world.source.row(1)
    expect(killed).toMatchObject({ accessToken: "access1", refreshToken: "refresh1" })
    world.source.failing.clear()
    world.refresher.sent.length = 0
    world.start()
    expect(world.pool.list()[0]).toMatchObject({ ambiguousRefresh: true })
  })
})

describe("a failed refresh", () => {
  test("for good leaves the access token in use until it expires, then asks for a login", async () => {
    const world = new World({})
    const done = world.pool.refresh(1)
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    expect(await done).toEqual({ kind: "failed", reason: "invalid_grant" })
    expect(world.tries()).toBe(1)
    expect(world.source.row(1).refreshDead).toBe("invalid_grant")
    await world.time.pass(HOUR)
    expect(world.pool.list()[0]).toMatchObject({ state: "parked", reason: "needs_login" })
    expect(world.refresher.sent).toHaveLength(1)
  })

  test("for good asks for a login at the first 401", async () => {
    const world = new World({})
    void world.pool.refresh(1)
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    refuse(world, world.lease())
    expect(world.source.row(1).standing).toMatchObject({ kind: "parked", reason: "needs_login" })
    expect(world.refresher.sent).toHaveLength(1)
  })

  test("because the account is gone bans it", async () => {
    const world = new World({})
    void world.pool.refresh(1)
    world.refresher.answer({ kind: "permanent", reason: "account_deactivated", detail: "Gone.", ban: true })
    await world.time.pass(0)
    expect(world.source.row(1).standing).toMatchObject({ kind: "banned", reason: "account_deactivated" })
  })

  test("for a moment is tried again ever more slowly, honours the time named, and closes the intent", async () => {
    const world = new World({ ...EXPIRED, lastLeasedAt: Date.UTC(2025, 11, 31, 23) })
    const at: number[] = []
    let failures = 0
    const began = world.time.mono()
    world.refresher.rule = () => {
      at.push(world.time.mono() - began)
      return transient(++failures === 3 ? 30_000 : null)
    }
    await world.time.pass(30 * MINUTE)
    const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0))
    expect(gaps[0]).toBeWithin(1_000, 1_300)
    expect(gaps[1]).toBeWithin(2_000, 2_500)
    expect(gaps[2]).toBe(30_000)
    expect(gaps.at(-1)).toBeWithin(300_000, 361_000)
    expect(world.source.row(1)).toMatchObject({ intentAt: null, refreshDead: null, refreshToken: "refresh1" })
  })

  test("without an answer is looked up in the store first, then tried again after 2 s, doubling to 5 min, until one is final", async () => {
    const world = new World({ ...EXPIRED, lastLeasedAt: Date.UTC(2025, 11, 31, 23) })
    const at: number[] = []
    const began = world.time.mono()
    world.refresher.rule = () => {
      at.push(world.time.mono() - began)
      return at.length < 12 ? AMBIGUOUS : PERMANENT
    }
    await world.time.pass(10_000)
    expect(world.pool.list()[0]).toMatchObject({ ambiguousRefresh: true })
    expect(world.source.row(1).intentAt).not.toBeNull()
    await world.time.pass(2 * HOUR)
    const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0))
    expect(gaps[0]).toBeWithin(2_000, 2_500)
    expect(gaps[1]).toBeWithin(4_000, 4_900)
    expect(gaps.at(-1)).toBeWithin(300_000, 361_000)
    expect(at).toHaveLength(12)
    expect(world.state(1)).toBe("parked")
  })

  test("without an answer takes over tokens that the store has got meanwhile", async () => {
    const world = new World(EXPIRED)
    const waiting = world.waits()
    world.refresher.answer(AMBIGUOUS)
    await world.time.pass(0)
    const tokens = world.refresher.tokens()
    world.source.rotate(1, "refresh1", tokens, null, world.time.wall())
    await world.time.pass(3_000)
    expect(waiting.result?.lease?.token).toBe(tokens.accessToken)
    expect(world.refresher.sent).toEqual(["refresh1"])
  })

  test("that throws counts as unanswered", async () => {
    const world = new World(EXPIRED)
    world.waits()
    world.refresher.refreshes.shift()?.fail(new Error("bug"))
    await world.time.pass(0)
    expect(world.pool.list()[0]?.ambiguousRefresh).toBe(true)
  })

  test("that never ends is given up after a minute", async () => {
    const world = new World(EXPIRED)
    world.waits()
    const call = world.refresher.refreshes.shift()
    call?.signal.addEventListener("abort", () => call.fail(call.signal.reason))
    await world.time.pass(61_000)
    expect(call?.signal.aborted).toBe(true)
    expect(world.pool.list()[0]?.ambiguousRefresh).toBe(true)
  })
})

test("a row whose refresh was cut off by a kill is shown so, serves on, and is asked about after two seconds", async () => {
  const world = new World({ intentAt: Date.UTC(2025, 11, 31, 23) })
  expect(world.pool.list()[0]).toMatchObject({ state: "ready", ambiguousRefresh: true })
  expect(world.tries()).toBe(1)
  await world.time.pass(1_900)
  expect(world.refresher.sent).toEqual([])
  await world.time.pass(3_000)
  expect(world.refresher.sent).toEqual(["refresh1"])
  world.refresher.answer()
  await world.time.pass(0)
  expect(world.pool.list()[0]?.ambiguousRefresh).toBe(false)
})

test("an attempt with a dead refresh token that a kill cut off leaves no doubt behind", async () => {
  const world = new World({ ...EXPIRED, refreshDead: "invalid_grant", intentAt: Date.UTC(2025, 11, 31, 23) })
  expect(world.pool.list()[0]).toMatchObject({ state: "parked", reason: "needs_login", ambiguousRefresh: false })
  expect(world.source.row(1).intentAt).toBeNull()
  await world.time.pass(10_000)
  expect(world.refresher.sent).toEqual([])
})

test("tokens that were replaced while a refresh was away are kept, and its outcome changes nothing", async () => {
  for (const outcome of [PERMANENT, "ok" as const]) {
    const world = new World(EXPIRED)
    world.waits()
    const identity = world.source.row(1).identity
    world.refresher.identifyRule = () => ({ kind: "ok", who: identity })
    const adopted = await world.pool.tokens(world.refresher.tokens(), null)
    expect(adopted).toMatchObject({ kind: "adopted", credential: 1 })
    world.refresher.answer(outcome === "ok" ? world.refresher.fresh() : outcome)
    await world.time.pass(0)
    expect(world.source.row(1)).toMatchObject({ refreshToken: "new-refresh1", refreshDead: null })
    expect(world.lease()).toMatchObject({ token: "new-access1", credential: 1 })
  }
})

test("refreshes keep to the rate, and at most twice as many are away", async () => {
  const world = new World(...Array.from({ length: 60 }, () => EXPIRED))
  for (let i = 0; i < 60; i++) world.waits()
  await world.time.pass(0)
  expect(world.refresher.refreshes).toHaveLength(10)
  await world.time.pass(1_000)
  expect(world.refresher.refreshes).toHaveLength(10)
  world.refresher.rule = () => world.refresher.fresh()
  for (let i = 0; i < 10; i++) world.refresher.answer()
  await world.time.pass(0)
  expect(world.pool.counts().waiting).toBe(0)
  expect(world.refresher.sent.length).toBeLessThanOrEqual(15)
})

test("the operator's refresh is sent even for a credential that needs a login, and brings it back", async () => {
  const world = new World({
    ...EXPIRED,
    refreshDead: "invalid_grant",
    standing: {
      kind: "parked",
      reason: "needs_login",
      detail: "x",
      url: null,
      since: 0,
      until: null,
      strikes: 1,
    },
  })
  expect(world.tries()).toBe("empty")
  const done = world.pool.refresh(1)
  world.refresher.answer()
  await world.time.pass(0)
  expect(await done).toMatchObject({ kind: "ok", credential: { state: "ready", refreshDead: null } })
  expect(world.source.row(1).standing).toEqual({ kind: "active" })
  expect(await world.pool.refresh(99)).toEqual({ kind: "not_found" })
})

test("plan and address from a refresh are taken over", async () => {
  const world = new World(EXPIRED)
  world.waits()
  world.refresher.answer({
    kind: "ok",
    tokens: world.refresher.tokens(),
    who: { plan: "plus", email: "new@example.org" },
  })
  await world.time.pass(0)
  expect(world.pool.list()[0]).toMatchObject({ plan: "plus", email: "n***@example.org" })
})

test("a token that is expired as soon as it is issued does not start a storm of refreshes", async () => {
  const world = new World(EXPIRED)
  world.refresher.rule = () => world.refresher.fresh(-HOUR)
  for (let i = 0; i < 100; i++) {
    world.pool.acquire(world.ask())
    await world.time.pass(100)
  }
  expect(world.refresher.sent.length).toBeLessThan(6)
})
