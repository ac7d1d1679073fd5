import { describe, expect, test } from "bun:test"
import { MOST_PENDING, SeedsFull } from "../../src/scheduler/seeds-full.ts"
import type { Identity } from "../../src/store/types.ts"
import { AMBIGUOUS, PERMANENT, transient } from "./support/upstream.ts"
import { EXPIRED, World } from "./support/world.ts"

const WHO: Identity = { sub: "sub-x", account: "account-x", email: "x@example.com", plan: "plus" }
const HINT = { refreshToken: "seed-token", account: "my-project" }

function identified(world: World): void {
  world.refresher.identifyRule = () => ({ kind: "ok", who: WHO })
}

test("a seed is stored before it is answered, its intent before it is sent, its tokens before they are identified", async () => {
  const world = new World()
  const outcomes = world.pool.seeds([HINT])
  expect(outcomes).toEqual([{ kind: "pending", id: "s1" }])
  expect(world.source.journal).toEqual(["addSeeds 1", "intendSeed s1"])
  world.refresher.answer()
  await world.time.pass(0)
  expect(world.source.journal.at(-1)).toBe("holdSeed s1 new-refresh1")
  expect(world.refresher.identifies[0]).toMatchObject({ token: "new-access1", account: "my-project" })
  expect(world.pool.counts()).toMatchObject({ pendingSeeds: 1, ready: 0 })
  const outcome = world.pool.outcome("s1", world.time.mono() + 10_000)
  world.refresher.identifies[0]?.answer({ kind: "ok", who: WHO })
  await world.time.pass(0)
  expect(await outcome).toEqual({ kind: "adopted", id: "s1", credential: 1, email: "x@example.com" })
  expect(world.lease()).toMatchObject({ token: "new-access1", identity: WHO })
  expect(world.pool.counts().pendingSeeds).toBe(0)
})

test("when the seeds cannot be stored the caller hears of it, and nothing is sent", () => {
  const world = new World()
  world.source.failing.add("addSeeds")
  expect(() => world.pool.seeds([HINT])).toThrow("disk is full")
  expect(world.refresher.sent).toEqual([])
  world.source.failing.clear()
  expect(world.pool.seeds([HINT])).toHaveLength(1)
})

test("takes so many seeds and no more, all of a list or none, and does not read again what waits", () => {
  const world = new World()
  const list = (count: number) => Array.from({ length: count }, (_, i) => ({ refreshToken: `t${i}`, account: null }))
  let stored = 0
  // The kept source compares each seed with all others.
  world.source.addSeeds = (hints) => hints.map(() => ({ kind: "pending", id: `s${++stored}` }))
  world.source.pendingSeed = (id) => ({
    id,
    refreshToken: id,
    account: null,
    attempts: 0,
    intentAt: null,
    tokens: null,
  })
  world.source.pendingSeeds = () => {
    throw new Error("all were read")
  }
  world.pool.seeds(list(MOST_PENDING - 1))
  expect(() => world.pool.seeds(list(2))).toThrow(SeedsFull)
  expect(stored).toBe(MOST_PENDING - 1)
  world.pool.seeds(list(1))
  expect(world.pool.counts().pendingSeeds).toBe(MOST_PENDING)
})

describe("a kill", () => {
  test("after the answer of resource:add loses nothing", async () => {
    const world = new World()
    world.settings.current = { ...world.settings.current, oauthTps: 1 }
    world.pool.seeds(Array.from({ length: 20 }, (_, i) => ({ refreshToken: `t${i}`, account: null })))
    world.refresher.refreshes.length = 0
    world.refresher.sent.length = 0
    let number = 0
    world.refresher.rule = () => world.refresher.fresh()
    world.refresher.identifyRule = () => ({ kind: "ok", who: { ...WHO, sub: `sub${number++}` } })
    world.start()
    await world.time.pass(60_000)
    expect(world.pool.counts()).toMatchObject({ ready: 20, pendingSeeds: 0 })
  })

  test("while a seed was away makes it ambiguous: asked again after two seconds", async () => {
    const world = new World()
    world.pool.seeds([HINT])
    world.refresher.sent.length = 0
    world.start()
    await world.time.pass(1_900)
    expect(world.refresher.sent).toEqual([])
    await world.time.pass(1_000)
    expect(world.refresher.sent).toEqual(["seed-token"])
  })

  test("between refresh and identification goes on with the tokens already won", async () => {
    const world = new World()
    world.pool.seeds([HINT])
    world.refresher.answer()
    await world.time.pass(0)
    world.refresher.sent.length = 0
    identified(world)
    world.start()
    await world.time.pass(0)
    expect(world.refresher.sent).toEqual([])
    expect(world.lease().token).toBe("new-access1")
  })

  test("long ago renews the tokens that were won, with the newest refresh token", async () => {
    const world = new World()
    world.pool.seeds([HINT])
    world.refresher.answer()
    await world.time.pass(0)
    world.time.skip(10 * 3_600_000)
    world.refresher.sent.length = 0
    identified(world)
    world.start()
    await world.time.pass(0)
    expect(world.refresher.sent).toEqual(["new-refresh1"])
    world.refresher.answer()
    await world.time.pass(0)
    expect(world.source.row(1).refreshToken).toBe("new-refresh2")
  })
})

describe("a seed that fails", () => {
  test("for good is recorded with the reason", async () => {
    const world = new World()
    world.pool.seeds([HINT])
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    expect(world.source.seedOutcome("s1")).toMatchObject({ kind: "failed", reason: "invalid_grant" })
    expect(await world.pool.outcome("s1", 0)).toMatchObject({ kind: "failed" })
    expect(world.pool.counts().pendingSeeds).toBe(0)
  })

  test("for a moment, or without an answer, is tried until there is a final one", async () => {
    const world = new World()
    identified(world)
    world.pool.seeds([HINT])
    for (const outcome of [transient(), AMBIGUOUS, transient(20_000)]) {
      world.refresher.answer(outcome)
      await world.time.pass(19_000)
    }
    expect(world.refresher.refreshes).toHaveLength(0)
    await world.time.pass(2_000)
    world.refresher.answer()
    await world.time.pass(0)
    expect(world.source.seedOutcome("s1")).toMatchObject({ kind: "adopted" })
  })

  test("to be identified is refused with the page to act on", async () => {
    const world = new World()
    world.refresher.identifyRule = () => ({
      kind: "refused",
      reason: "needs_verification",
      detail: "Verify.",
      url: "https://example.com/v",
    })
    world.pool.seeds([HINT])
    world.refresher.answer()
    await world.time.pass(0)
    expect(world.source.seedOutcome("s1")).toEqual({
      kind: "failed",
      id: "s1",
      reason: "needs_verification",
      detail: "Verify.",
      url: "https://example.com/v",
    })
  })

  test("to be identified for a moment is not refreshed again for that", async () => {
    const world = new World()
    let calls = 0
    world.refresher.identifyRule = () =>
      ++calls < 3 ? { kind: "transient", reason: "busy", detail: "", retryAfterMs: null } : { kind: "ok", who: WHO }
    world.pool.seeds([HINT])
    world.refresher.answer()
    await world.time.pass(20_000)
    expect(world.refresher.sent).toHaveLength(1)
    expect(world.lease().credential).toBe(1)
  })

  test("to be stored at any step is tried until it is, and no token is sent twice for that", async () => {
    for (const write of ["holdSeed", "adopt"] as const) {
      const world = new World()
      identified(world)
      world.source.failing.add(write)
      world.pool.seeds([HINT])
      world.refresher.answer()
      await world.time.pass(3_000)
      expect(world.tries()).toBe("empty")
      world.source.failing.clear()
      await world.time.pass(20_000)
      expect(world.refresher.sent).toEqual(["seed-token"])
      expect(world.lease().token).toBe("new-access1")
    }
  })
})

test("handing in a seed again that waits for another try tries it now, and keeps its id", async () => {
  const world = new World()
  world.pool.seeds([HINT])
  world.refresher.answer(transient(600_000))
  await world.time.pass(1_000)
  expect(world.pool.seeds([HINT])).toEqual([{ kind: "pending", id: "s1" }])
  expect(world.refresher.sent).toHaveLength(2)
  expect(world.pool.seeds([HINT])).toHaveLength(1)
  expect(world.refresher.sent).toHaveLength(2)
})

test("a known token with another account is not sent, and who hands it in is told what to do", () => {
  const world = new World({}, {})
  const { account } = world.source.row(1).identity
  const add = (wanted: string | null) => world.pool.seeds([{ refreshToken: "refresh1", account: wanted }])[0]
  for (const same of [null, account]) expect(add(same)).toEqual({ kind: "known", id: "s1", credential: 1 })
  expect(add("another-project")).toMatchObject({
    kind: "known",
    credential: 1,
    detail: expect.stringMatching(/another-project was not added\. Log in anew with --project/),
  })
  expect(world.refresher.sent).toEqual([])
})

test("adding a credential again forgets all that stood against it, and late faults of before do not count", async () => {
  const world = new World({}, {})
  const [first, second] = [world.lease(), world.lease()]
  const until = world.time.wall() + 3_600_000
  world.pool.report(first, { do: "cool", scope: "all", until, cause: "quota", quota: true }, null)
  expect(world.pool.seeds([{ refreshToken: "refresh1", account: null }])).toEqual([
    { kind: "known", id: "s1", credential: 1 },
  ])
  expect(world.refresher.sent).toEqual([])
  expect(world.state(1)).toBe("ready")
  world.pool.report(first, { do: "park", reason: "ineligible", detail: "late", url: null }, null)
  expect(world.state(1)).toBe("ready")
  world.pool.report(second, { do: "ban", reason: "tos", detail: "x" }, null)
  world.refresher.identifyRule = () => ({ kind: "ok", who: world.source.row(2).identity })
  const outcome = await world.pool.tokens(world.refresher.tokens(), null)
  expect(outcome).toMatchObject({ kind: "adopted", credential: 2 })
  expect(world.state(2)).toBe("ready")
})

test("seeds come after those who wait and after proactive renewals, and onboarding holds up none of them", async () => {
  const world = new World({ ...EXPIRED, lastLeasedAt: Date.UTC(2025, 11, 31, 23) }, EXPIRED)
  world.settings.current = { ...world.settings.current, oauthTps: 1 }
  world.pool.seeds([0, 1, 2, 3].map((i) => ({ refreshToken: `seed${i}`, account: null })))
  world.waits({ only: 2 })
  await world.time.pass(2_500)
  for (let i = 0; i < 4; i++) {
    world.refresher.answer()
    await world.time.pass(1_000)
    if (world.refresher.refreshes.length === 0) break
  }
  expect(world.refresher.sent.slice(0, 4)).toEqual(["seed0", "seed1", "refresh2", "refresh1"])
  expect(world.refresher.identifies.length).toBeGreaterThan(1)
})

describe("a login", () => {
  test("is identified, stored and in rotation when it resolves", async () => {
    const world = new World()
    identified(world)
    const outcome = await world.pool.tokens(world.refresher.tokens(), "my-project")
    expect(outcome).toEqual({ kind: "adopted", id: "s1", credential: 1, email: "x@example.com" })
    expect(world.refresher.sent).toEqual([])
    expect(world.source.journal.slice(0, 3)).toEqual([
      "addSeeds 1",
      "holdSeed s1 new-refresh1",
      "adopt s1 new-refresh1",
    ])
    expect(world.tries()).toBe(1)
  })

  test("survives a kill while its account is onboarded", async () => {
    const world = new World()
    void world.pool.tokens(world.refresher.tokens(), null)
    expect(world.refresher.identifies).toHaveLength(1)
    identified(world)
    world.start()
    await world.time.pass(0)
    expect(world.lease().token).toBe("new-access1")
  })

  test("works while the database cannot be written, once it can again", async () => {
    const world = new World()
    identified(world)
    world.source.failing.add("addSeeds").add("adopt")
    const pending = world.pool.tokens(world.refresher.tokens(), null)
    await world.time.pass(2_000)
    expect(world.pool.counts().pendingSeeds).toBe(1)
    world.source.failing.clear()
    await world.time.pass(10_000)
    expect(await pending).toMatchObject({ kind: "adopted", credential: 1 })
    expect(world.pool.counts().pendingSeeds).toBe(0)
  })

  test("is told what stands against it", async () => {
    const world = new World()
    world.refresher.identifyRule = () => ({ kind: "refused", reason: "ineligible", detail: "No licence.", url: null })
    expect(await world.pool.tokens(world.refresher.tokens(), null)).toMatchObject({
      kind: "failed",
      reason: "ineligible",
      detail: "No licence.",
    })
  })

  test("at the stop is told that it stands with its seed", async () => {
    const world = new World()
    const pending = world.pool.tokens(world.refresher.tokens(), null)
    await world.close()
    expect(await pending).toEqual({ kind: "pending", id: "s1" })
    expect((await world.pool.tokens(world.refresher.tokens(), null)).kind).toBe("failed")
  })
})

test("an outcome that does not come in time is still pending, an unknown id is null", async () => {
  const world = new World()
  world.pool.seeds([HINT])
  const outcome = world.pool.outcome("s1", world.time.mono() + 1_000)
  await world.time.pass(1_001)
  expect(await outcome).toEqual({ kind: "pending", id: "s1" })
  expect(await world.pool.outcome("s99", 0)).toBeNull()
})
