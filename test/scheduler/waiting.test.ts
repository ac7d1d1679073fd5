import { describe, expect, test } from "bun:test"
import type { Action, Lease } from "../../src/scheduler/ports.ts"
import { AMBIGUOUS, OURS, PERMANENT, transient } from "./support/upstream.ts"
import { EXPIRED, end, MODEL, OTHER, World } from "./support/world.ts"

function cool(world: World, lease: Lease, ms: number, quota = true): void {
  const action: Action = { do: "cool", scope: "all", until: world.time.wall() + ms, cause: "quota", quota }
  world.pool.report(lease, action, null)
  world.pool.release(lease, end({ served: false }))
}

describe("a cooldown", () => {
  test("is waited for when it ends within max_wait, and not when it ends later", async () => {
    const world = new World({})
    cool(world, world.lease(), 4_000)
    const waiting = world.waits()
    await world.time.pass(3_999)
    expect(waiting.result).toBeNull()
    await world.time.pass(2)
    expect(waiting.result?.lease?.credential).toBe(1)
    cool(world, world.lease(), 6_000)
    expect(world.tries()).toBe("all_cooling")
  })

  test("that grows beyond max_wait ends the wait at once with its new end", async () => {
    const world = new World({})
    const [first, second] = [world.lease(), world.lease()]
    cool(world, first, 4_000)
    const waiting = world.waits()
    cool(world, second, 60_000)
    await world.time.pass(0)
    expect(waiting.result?.refusal).toEqual({
      why: "all_cooling",
      until: world.time.wall() + 60_000,
      quota: true,
      plan: null,
    })
  })

  test("of every credential tells the earliest end, its plan, and whether all wait for a stated quota", () => {
    const identity = { sub: "s", account: "a", email: null, plan: "pro" }
    const world = new World({}, { identity })
    const [first, second] = [world.lease(), world.lease()]
    cool(world, first, 120_000)
    cool(world, second, 60_000)
    const until = world.time.wall() + 60_000
    expect(world.pool.acquire(world.ask())).toEqual({
      lease: null,
      refusal: { why: "all_cooling", until, quota: true, plan: "pro" },
    })
    world.pool.clear(1)
    cool(world, world.lease(), 120_000, false)
    expect(world.pool.acquire(world.ask())).toMatchObject({ refusal: { why: "all_cooling", until, quota: false } })
  })
})

describe("a refresh", () => {
  test("is waited for up to thirty seconds", async () => {
    const world = new World(EXPIRED)
    const waiting = world.waits()
    await world.time.pass(29_999)
    expect(waiting.result).toBeNull()
    await world.time.pass(2)
    expect(waiting.result?.refusal).toEqual({ why: "timeout" })
    expect(world.pool.counts().waiting).toBe(0)
  })

  test("ends the wait of those whom it cannot serve any more", async () => {
    const world = new World(EXPIRED)
    const waiting = world.waits()
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    expect(waiting.result?.refusal).toEqual({ why: "empty" })
    expect(world.state(1)).toBe("parked")
  })

  test("that fails for a moment is tried again while they wait", async () => {
    const world = new World(EXPIRED)
    const waiting = world.waits()
    world.refresher.answer(transient())
    await world.time.pass(0)
    expect(waiting.result).toBeNull()
    await world.time.pass(2_000)
    world.refresher.answer()
    await world.time.pass(0)
    expect(waiting.result?.lease?.token).toBe("new-access1")
  })

  test("that backs off for longer than they would wait is told as the earliest time", async () => {
    const world = new World(EXPIRED)
    const waiting = world.waits()
    world.refresher.answer(transient(120_000))
    await world.time.pass(0)
    expect(waiting.result?.refusal).toEqual({
      why: "all_cooling",
      until: world.time.wall() + 120_000,
      quota: false,
      plan: null,
    })
  })

  test("is begun for as many credentials as there are waiters, and no more", async () => {
    const world = new World(...Array.from({ length: 20 }, () => EXPIRED))
    world.waits()
    world.waits()
    await world.time.pass(0)
    expect(world.refresher.refreshes).toHaveLength(2)
  })

  test("that hangs for five seconds is not counted on: another one is begun, and serves", async () => {
    const world = new World(...Array.from({ length: 20 }, () => EXPIRED))
    const waiting = world.waits()
    await world.time.pass(4_999)
    expect(world.refresher.refreshes).toHaveLength(1)
    await world.time.pass(2)
    expect(world.refresher.refreshes).toHaveLength(2)
    expect(new Set(world.refresher.sent).size).toBe(2)
    // It gets its five seconds, too.
    await world.time.pass(4_990)
    expect(world.refresher.refreshes).toHaveLength(2)
    world.refresher.refreshes.at(-1)?.answer(world.refresher.fresh())
    await world.time.pass(0)
    expect(waiting.result?.lease?.token).toBe("new-access1")
    // What hung may still end well.
    world.refresher.answer()
    await world.time.pass(0)
    expect(world.source.row(1).accessToken).toBe("new-access2")
  })

  test("that hangs holds up those who come later for no longer than those who came first", async () => {
    const world = new World(...Array.from({ length: 20 }, () => EXPIRED))
    world.waits()
    await world.time.pass(6_000)
    expect(world.refresher.refreshes).toHaveLength(2)
    world.waits()
    await world.time.pass(0)
    // Two wait, and one refresh is counted on.
    expect(world.refresher.refreshes).toHaveLength(3)
  })

  test("goes on when the asker who wanted it leaves", async () => {
    const world = new World(EXPIRED)
    const gone = new AbortController()
    const waiting = world.waits({ signal: gone.signal })
    gone.abort()
    await world.time.pass(0)
    expect(waiting.result?.refusal).toEqual({ why: "aborted" })
    expect(world.pool.counts()).toMatchObject({ waiting: 0, refreshing: 1 })
    expect(world.refresher.refreshes[0]?.signal.aborted).toBe(false)
    world.refresher.answer()
    await world.time.pass(0)
    expect(world.source.row(1).accessToken).toBe("new-access1")
    expect(world.tries()).toBe(1)
  })

  test("that the endpoint refuses because of Pollux itself stops all of them, and holds nobody up", async () => {
    const world = new World(EXPIRED, EXPIRED)
    const waiting = world.waits()
    world.refresher.answer(OURS)
    await world.time.pass(0)
    expect(waiting.result?.refusal?.why).toBe("all_cooling")
    expect(world.tries()).toBe("all_cooling")
    expect(world.refresher.sent).toHaveLength(1)
    expect(world.lines.some((line) => line.level === "error" && line.event.includes("refused Pollux"))).toBe(true)
    expect(world.state(1)).toBe("expired")
    await world.time.pass(37_000)
    const again = world.waits()
    world.refresher.answer()
    await world.time.pass(0)
    expect(again.result?.lease).not.toBeNull()
  })

  test("that the endpoint refuses with others sent side by side is one fault, and the pause is short", async () => {
    const world = new World(...Array.from({ length: 10 }, () => EXPIRED))
    for (let i = 0; i < 10; i++) world.waits()
    for (let i = 0; i < 10; i++) world.refresher.answer(OURS)
    await world.time.pass(0)
    expect(world.lines.filter((line) => line.event.includes("refused Pollux"))).toHaveLength(1)
    await world.time.pass(37_000)
    world.waits()
    expect(world.refresher.refreshes).toHaveLength(1)
  })
})

describe("the order", () => {
  test("is that of arrival, and one who leaves holds up nobody", async () => {
    const world = new World(EXPIRED)
    const served: number[] = []
    const gone = new AbortController()
    for (let i = 0; i < 5; i++) {
      const acquired = world.pool.acquire(world.ask(i === 2 ? { signal: gone.signal } : {}))
      if (!(acquired instanceof Promise)) throw new Error("it does not wait")
      void acquired.then(({ lease }) => lease !== null && served.push(lease.id === 0 ? -1 : i))
    }
    gone.abort()
    world.refresher.answer()
    await world.time.pass(0)
    expect(served).toEqual([0, 1, 3, 4])
  })

  test("has room for ten thousand; the next is overloaded", async () => {
    const world = new World(EXPIRED)
    const waiting = Array.from({ length: 10_000 }, () => world.waits())
    expect(world.tries()).toBe("overloaded")
    world.refresher.answer()
    await world.time.pass(0)
    expect(waiting.every((one) => one.result?.lease != null)).toBe(true)
  })
})

test("ten thousand waiters over ten thousand expired credentials are all served by the first refresh that ends", async () => {
  const world = new World(...Array.from({ length: 10_000 }, () => EXPIRED))
  const waiting = Array.from({ length: 10_000 }, () => world.waits())
  world.refresher.answer()
  await world.time.pass(0)
  expect(waiting.every((one) => one.result?.lease != null)).toBe(true)
})

describe("what a request has tried", () => {
  test("is not given to it again, and when nothing is left it is exhausted", () => {
    const world = new World({}, {})
    expect(world.tries({ exclude: new Set([1]) })).toBe(2)
    expect(world.tries({ exclude: new Set([1, 2]) })).toBe("exhausted")
  })

  test("is all_cooling rather than exhausted when every credential cools, tried or not", () => {
    const world = new World({}, {})
    cool(world, world.lease(), 60_000)
    cool(world, world.lease(), 90_000)
    expect(world.tries({ exclude: new Set([1, 2]) })).toBe("all_cooling")
  })

  test("and failed by a 5xx comes last", () => {
    const world = new World({}, {})
    expect(world.tries({ avoid: new Set([1]) })).toBe(2)
    expect(world.tries({ avoid: new Set([2]) })).toBe(1)
    expect(world.tries({ avoid: new Set([1, 2]) })).toBe(2)
  })

  test("and must be the same one again waits for its refresh, though others are ready", async () => {
    const world = new World({}, {})
    const lease = world.lease()
    world.pool.report(lease, { do: "refresh", generation: lease.generation }, null)
    world.pool.release(lease, end({ served: false }))
    const waiting = world.waits({ only: 1, exclude: new Set([1]) })
    expect(world.tries()).toBe(2)
    world.refresher.answer()
    await world.time.pass(0)
    expect(waiting.result?.lease).toMatchObject({ credential: 1, generation: 2, token: "new-access1" })
    expect(world.tries({ only: 9 })).toBe("exhausted")
  })

  test("waits only for what it may still have", async () => {
    const world = new World(EXPIRED, EXPIRED)
    const waiting = world.waits({ exclude: new Set([1]) })
    await world.time.pass(0)
    expect(world.refresher.sent).toEqual(["refresh2"])
    world.refresher.answer(PERMANENT)
    await world.time.pass(0)
    expect(waiting.result?.refusal).toEqual({ why: "exhausted" })
  })
})

test("a model that all credentials lack is unsupported, one that none can serve for now is not", () => {
  const world = new World({})
  const lease = world.lease()
  const until = world.time.wall() + 3_600_000
  world.pool.report(lease, { do: "lacks", model: MODEL, until, tentative: false }, null)
  expect(world.tries()).toBe("unsupported")
  expect(world.tries({ model: OTHER })).toBe(1)
})

test("parked, disabled and banned credentials leave an empty pool", () => {
  const world = new World({}, {}, {})
  world.pool.disable(1)
  world.pool.report(world.lease(), { do: "ban", reason: "tos", detail: "Terms." }, null)
  world.pool.report(world.lease(), { do: "park", reason: "ineligible", detail: "No.", url: null }, null)
  expect(world.tries()).toBe("empty")
  expect(world.pool.counts()).toMatchObject({ parked: 1, disabled: 1, banned: 1, ready: 0 })
})

test("a model added by a reload is served at once, one removed is unsupported", () => {
  const world = new World({})
  world.settings.current = { ...world.settings.current, modelList: ["fresh-model"] }
  expect(world.tries({ model: "fresh-model" })).toBe(1)
  expect(world.tries()).toBe("unsupported")
})

test("an asker who left before asking gets nothing", () => {
  const world = new World({})
  expect(world.tries({ signal: AbortSignal.abort() })).toBe("aborted")
})

test("an acquire from inside an event listener is answered too", async () => {
  const world = new World({}, {})
  const seen: (number | undefined)[] = []
  const stop = world.pool.subscribe(() => {
    stop()
    void Promise.resolve(world.pool.acquire(world.ask())).then((acquired) => seen.push(acquired.lease?.credential))
  })
  world.pool.disable(1)
  await world.time.pass(0)
  expect(seen).toEqual([2])
})

test("closing answers whoever waits, and stores the tokens of the refresh in flight", async () => {
  const world = new World(EXPIRED)
  const waiting = world.waits()
  const closing = world.pool.close(10_000)
  await world.time.pass(1_000)
  expect(waiting.result?.refusal).toEqual({ why: "closed" })
  expect(world.tries()).toBe("closed")
  world.refresher.answer()
  await world.time.pass(0)
  await closing
  expect(world.source.row(1).refreshToken).toBe("new-refresh1")
  expect(world.time.timers).toBe(0)
})

test("closing cuts off a refresh after the grace, and its intent stays for the next start", async () => {
  const world = new World(EXPIRED)
  world.waits()
  const call = world.refresher.refreshes[0]
  call?.signal.addEventListener("abort", () => call.answer(AMBIGUOUS))
  const closing = world.pool.close(500)
  await world.time.pass(600)
  await closing
  expect(world.source.row(1).intentAt).not.toBeNull()
  expect(world.start().list()[0]?.ambiguousRefresh).toBe(true)
})
