import { describe, expect, test } from "bun:test"
import type { PoolEvent } from "../../src/scheduler/ports.ts"
import { span } from "../../src/scheduler/view.ts"
import { coolingUntil } from "./support/memory.ts"
import { AMBIGUOUS, OURS, PERMANENT } from "./support/upstream.ts"
import { EXPIRED, end, MODEL, OTHER, World } from "./support/world.ts"

test("disable takes a credential out, enable brings it back, both survive a restart", () => {
  const world = new World({}, {})
  expect(world.pool.disable(1)).toMatchObject({ kind: "ok", credential: { id: 1, state: "disabled" } })
  expect([world.tries(), world.tries()]).toEqual([2, 2])
  world.start()
  expect(world.state(1)).toBe("disabled")
  expect(world.pool.enable(1)).toMatchObject({ kind: "ok", credential: { state: "ready" } })
  world.start()
  expect([world.tries(), world.tries()]).toEqual([1, 2])
  expect(world.pool.disable(9)).toEqual({ kind: "not_found" })
})

test("enable brings back a banned credential too, and keeps cooldowns", () => {
  const world = new World({ cooldowns: [coolingUntil(Date.UTC(2026, 0, 1, 1))] })
  world.source.put({ standing: { kind: "banned", reason: "tos", detail: "x", since: 0 } })
  world.start()
  expect(world.pool.enable(2)).toMatchObject({ credential: { state: "ready" } })
  expect(world.pool.enable(1)).toMatchObject({ credential: { state: "cooling" } })
})

test("enable leaves parked whom only a login can bring back, with the reason", () => {
  const world = new World({ ...EXPIRED, refreshDead: "invalid_grant" })
  expect(world.pool.enable(1)).toMatchObject({ credential: { state: "parked", reason: "needs_login" } })
  world.pool.disable(1)
  expect(world.pool.enable(1)).toMatchObject({ credential: { state: "parked", reason: "needs_login" } })
  expect(world.source.row(1).standing.kind).toBe("parked")
})

test("clear forgets cooldowns, marks, parking, the dead refresh and the last error", async () => {
  const world = new World({
    cooldowns: [coolingUntil(Date.UTC(2026, 0, 2))],
    marks: [{ model: MODEL, until: Date.UTC(2026, 0, 2) }],
    refreshDead: "invalid_grant",
    lastError: { at: 0, status: 429, cause: "quota", message: "no" },
    standing: {
      kind: "parked",
      reason: "ineligible",
      detail: "x",
      url: null,
      since: 0,
      until: null,
      strikes: 3,
    },
  })
  expect(world.tries()).toBe("empty")
  expect(world.pool.clear(1)).toMatchObject({
    credential: { state: "ready", cooldowns: [], lacks: [], refreshDead: null, lastError: null },
  })
  expect(world.tries()).toBe(1)
  expect(world.source.row(1)).toMatchObject({ standing: { kind: "active" }, cooldowns: [], marks: [] })
})

test("clear does not undo the operator's disable", () => {
  const world = new World({})
  world.pool.disable(1)
  world.pool.clear(1)
  expect(world.state(1)).toBe("disabled")
})

test("remove forgets the credential, its open leases end quietly, its answers are dropped", async () => {
  const world = new World({}, EXPIRED)
  const lease = world.lease()
  world.waits({ only: 2 })
  expect(world.pool.remove(1)).toEqual({ kind: "ok", credential: null })
  expect(world.pool.remove(2)).toEqual({ kind: "ok", credential: null })
  expect(world.pool.remove(2)).toEqual({ kind: "not_found" })
  world.pool.report(lease, { do: "park", reason: "ineligible", detail: "x", url: null }, null)
  world.pool.release(lease, end())
  world.refresher.answer()
  await world.time.pass(0)
  expect(world.source.rows.size).toBe(0)
  expect(world.pool.counts()).toMatchObject({ inFlight: 0, ready: 0, expired: 0, waiting: 0 })
  expect(world.source.count("rotate")).toBe(0)
})

test("a removal that cannot be stored is not done", () => {
  const world = new World({})
  world.source.failing.add("remove")
  expect(world.pool.remove(1).kind).toBe("failed")
  expect(world.tries()).toBe(1)
})

test("another plan, whoever tells of it, has the models tried again that the old one lacked", async () => {
  const identity = { sub: "s", account: "a", email: null, plan: null }
  const world = new World({ identity })
  const lacking = () => world.source.row(1).marks.map(({ model }) => model)
  const hear = (plan: string) => world.pool.release(world.lease({ model: OTHER }), end({ plan }))
  const lack = () => {
    const lease = world.lease()
    world.pool.report(lease, { do: "lacks", model: MODEL, until: Date.UTC(2026, 0, 2), tentative: false }, null)
    world.pool.release(lease, end({ served: false }))
  }
  lack()
  for (const plan of ["free", "free"]) hear(plan)
  expect(lacking()).toEqual([MODEL])
  expect(world.tries()).toBe("unsupported")
  hear("plus")
  expect(lacking()).toEqual([])
  lack()
  void world.pool.refresh(1)
  world.refresher.answer({ kind: "ok", tokens: world.refresher.tokens(), who: { plan: "pro" } })
  await world.time.pass(0)
  expect(lacking()).toEqual([])
  expect(world.tries()).toBe(1)
})

describe("a refresh that the operator wants", () => {
  test("with a dead token leaves no doubt behind when it is not answered", async () => {
    const world = new World({ refreshDead: "invalid_grant" })
    void world.pool.refresh(1)
    world.refresher.answer(AMBIGUOUS)
    await world.time.pass(0)
    expect(world.pool.list()[0]).toMatchObject({ refreshDead: "invalid_grant", ambiguousRefresh: false })
    expect(world.source.row(1).intentAt).toBeNull()
  })

  test("is answered at once while the endpoint refuses Pollux itself, and not sent", async () => {
    const world = new World({}, {})
    void world.pool.refresh(1)
    world.refresher.answer(OURS)
    await world.time.pass(0)
    const result = await Promise.race([world.pool.refresh(2), world.time.pass(1_000)])
    expect(result).toMatchObject({ kind: "failed", reason: expect.stringMatching(/refused Pollux itself.* 3\d s/) })
    expect(world.refresher.sent).toEqual(["refresh1"])
  })

  test("is answered at once when its tokens cannot be stored, which happens later", async () => {
    const world = new World({})
    world.source.failing.add("rotate")
    const first = world.pool.refresh(1)
    world.refresher.answer()
    const unstored = { kind: "failed", reason: expect.stringContaining("cannot be stored yet") }
    expect(await Promise.race([first, world.time.pass(1_000)])).toMatchObject(unstored)
    expect(await Promise.race([world.pool.refresh(1), world.time.pass(1_000)])).toMatchObject(unstored)
    world.source.failing.clear()
    await world.time.pass(30_000)
    expect(world.source.row(1).refreshToken).toBe("new-refresh1")
    expect(world.refresher.sent).toEqual(["refresh1"])
  })
})

test("a lease that is released twice counts once", () => {
  const world = new World({})
  const lease = world.lease()
  world.pool.release(lease, end())
  world.pool.release(lease, end())
  expect(world.pool.counts().inFlight).toBe(0)
  expect(world.lines.filter((line) => line.level === "error")).toHaveLength(1)
})

test("quotas and the plan of an answer are shown, merged, and stored late", async () => {
  const world = new World({})
  const window = (name: string, usedPercent: number) => ({
    family: "codex",
    name,
    usedPercent,
    windowMinutes: 300,
    resetsAt: null,
    seenAt: world.time.wall(),
  })
  world.pool.release(world.lease(), end({ quotas: [window("primary", 10), window("secondary", 20)], plan: "pro" }))
  world.pool.release(world.lease(), end({ quotas: [window("primary", 30)] }))
  const shown = world.pool.list()[0]
  expect(shown?.plan).toBe("pro")
  expect(shown?.quotas.map((one) => [one.name, one.usedPercent])).toEqual([
    ["secondary", 20],
    ["primary", 30],
  ])
  expect(world.source.count("flush")).toBe(0)
  await world.time.pass(2_100)
  expect(world.source.count("flush")).toBe(1)
  expect(world.source.row(1).quotas).toHaveLength(2)
  expect(world.source.row(1).identity.plan).toBe("pro")
})

describe("the list", () => {
  test("shows every state, and no secret", async () => {
    const cooldowns = [coolingUntil(Date.UTC(2026, 0, 2))]
    const standing = { kind: "disabled", since: 0 } as const
    const world = new World({}, { cooldowns }, EXPIRED, { standing }, EXPIRED)
    world.waits({ only: 3 })
    expect(world.pool.list().map((view) => view.state)).toEqual([
      "ready",
      "cooling",
      "refreshing",
      "disabled",
      "expired",
    ])
    expect(world.pool.counts()).toMatchObject({ ready: 1, cooling: 1, refreshing: 1, disabled: 1, expired: 1 })
    const text = JSON.stringify([world.pool.list(), world.pool.explain(MODEL, null), world.lines])
    expect(text).not.toMatch(/access\d|refresh\d|user\d@/)
  })

  test("masks addresses", () => {
    const world = new World({})
    expect(world.pool.list()[0]?.email).toBe("u***@example.com")
    expect(world.pool.explain(MODEL, null)[0]?.email).toBe("u***@example.com")
  })
})

describe("explain", () => {
  test("says in one sentence why, or why not, and until when", async () => {
    const stated = Date.UTC(2026, 0, 1, 5)
    const until = Date.UTC(2026, 0, 1, 0, 30)
    const world = new World(
      {},
      { cooldowns: [{ ...coolingUntil(until), stated }] },
      { marks: [{ model: MODEL, until }] },
      EXPIRED,
      EXPIRED,
      { standing: { kind: "disabled", since: 0 } },
    )
    world.source.put({ standing: { kind: "banned", reason: "tos", detail: "Terms violated.", since: 0 } })
    world.source.put({
      standing: { kind: "parked", reason: "needs_login", detail: "Log in.", url: null, since: 0, until, strikes: 1 },
    })
    world.start()
    world.waits({ only: 5 })
    expect(world.pool.explain(MODEL, null).map((one) => [one.usable, one.why])).toEqual([
      [true, "Ready, idle."],
      [false, "Cooling for all models (quota), due in 30 min. The upstream said in 5 h; it is probed earlier."],
      [false, `The account does not have ${MODEL}. Asked again in 30 min.`],
      [false, "Its access token expired; the next request that needs it refreshes it."],
      [false, "Its tokens are being refreshed."],
      [false, "Disabled by the operator."],
      [false, "Banned (tos): Terms violated."],
      [false, "Parked (needs_login): Log in. Tried again in 30 min."],
    ])
    expect(world.pool.explain("nobody-has-it", null)[0]).toMatchObject({ usable: false })
  })

  test("counts what is in flight", () => {
    const world = new World({})
    world.lease()
    world.lease()
    expect(world.pool.explain(MODEL, null)[0]?.why).toBe("Ready, 2 in flight.")
  })

  test("tells of a refresh that failed, and of one that is dead while the access token lives", async () => {
    const world = new World(EXPIRED, {})
    world.waits({ only: 1 })
    world.refresher.answer({ kind: "transient", reason: "x", detail: "", retryAfterMs: 60_000 })
    await world.time.pass(0)
    void world.pool.refresh(2)
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    const [first, second] = world.pool.explain(MODEL, null)
    expect(first?.why).toBe("Its refresh failed; tried again in 60 s.")
    expect(second).toMatchObject({ usable: true })
    expect(second?.why).toContain("log in again before the access token expires")
  })

  test("words spans for people", () => {
    expect([0, 5_000, 89_000, 600_000, 7_200_000, 12_600_000, 259_200_000].map(span)).toEqual([
      "in 0 s",
      "in 5 s",
      "in 89 s",
      "in 10 min",
      "in 2 h",
      "in 3.5 h",
      "in 3 days",
    ])
  })
})

describe("watching", () => {
  test("tells of every change once per turn, until it is stopped; a listener that throws harms nobody", async () => {
    const world = new World({}, {})
    const events: PoolEvent[] = []
    world.pool.subscribe(() => {
      throw new Error("bad listener")
    })
    const stop = world.pool.subscribe((event) => events.push(event))
    world.pool.disable(1)
    world.pool.remove(2)
    world.pool.seeds([{ refreshToken: "t", account: null }])
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    expect(events.map((event) => event.event)).toEqual(["credential", "removed", "seed"])
    expect(events[0]).toMatchObject({ credential: { id: 1, state: "disabled" } })
    expect(events[2]).toMatchObject({ outcome: { kind: "failed" } })
    stop()
    world.pool.enable(1)
    expect(events).toHaveLength(3)
  })

  test("tells who listens for seeds alone of nothing else, and describes no credential for him", async () => {
    const world = new World({})
    const events: PoolEvent[] = []
    const stop = world.pool.subscribe((event) => events.push(event), "seed")
    world.pool.disable(1)
    world.pool.seeds([{ refreshToken: "t", account: null }])
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    expect(events.map((event) => event.event)).toEqual(["seed"])
    stop()
    world.pool.seeds([{ refreshToken: "u", account: null }])
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    expect(events).toHaveLength(1)
  })
})
