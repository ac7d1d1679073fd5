/** Quotas that are asked for: when, how often, and that nothing but a cooldown that is due anyway depends on what is said. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Action, Lease } from "../../src/scheduler/ports.ts"
import { FAILED, fullWindow, ReadingWorld, reading } from "./support/reader.ts"
import { settled } from "./support/time.ts"
import { end, MODEL, OTHER } from "./support/world.ts"

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const PROBE = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR]
/** Tokens that outlive every test here. */
const LASTING = { expiresAt: Date.UTC(2026, 11, 1) }

function fail(world: ReadingWorld, lease: Lease, action: Action): void {
  world.pool.report(lease, action, null)
  world.pool.release(lease, end({ served: false }))
}

/** Puts credential 1 into a capped cooldown with its stated reset so far away. */
function limit(world: ReadingWorld, ms: number, more: Partial<Action & { do: "cool" }> = {}): void {
  const until = world.time.wall() + ms
  fail(world, world.lease(), { do: "cool", scope: "all", until, cause: "quota", quota: true, probe: PROBE, ...more })
}

const cooldown = (world: ReadingWorld, id = 1) => world.pool.list().find((one) => one.id === id)?.cooldowns[0]
const left = (world: ReadingWorld): number => (cooldown(world)?.until ?? world.time.wall()) - world.time.wall()

/** Uses every credential now and then, for so long. */
async function useFor(world: ReadingWorld, ms: number, every = 20 * SECOND): Promise<void> {
  for (let passed = 0; passed < ms; passed += every) {
    world.pool.release(world.lease(), end())
    await world.time.pass(every)
  }
}

describe("readings come", () => {
  test("never for a pool that nobody uses, nor at a start", async () => {
    const world = ReadingWorld.begin(LASTING, LASTING)
    await world.time.pass(3 * DAY)
    expect(world.reader.calls).toEqual([])
  })

  test("once when a credential is added, and once when it is enabled", async () => {
    const world = ReadingWorld.begin(LASTING)
    world.refresher.identifyRule = () => ({
      kind: "ok",
      who: { sub: "new", account: "its own", email: null, plan: null },
    })
    await world.pool.tokens(world.refresher.tokens(DAY), null)
    expect(world.reader.calls.map(({ token, account }) => [token, account])).toEqual([["new-access1", "its own"]])
    world.reader.next().answer(reading())
    await world.time.pass(DAY / 2)
    expect(world.reader.calls).toHaveLength(1)

    world.pool.disable(1)
    await world.time.pass(HOUR)
    expect(world.reader.calls).toHaveLength(1)
    world.pool.enable(1)
    world.pool.disable(1)
    world.pool.enable(1)
    await world.time.pass(SECOND)
    expect(world.reader.waiting).toHaveLength(1)
    world.reader.next().answer(reading())
    await world.time.pass(HOUR)
    expect(world.reader.calls.map(({ account }) => account)).toEqual(["its own", "account1"])
  })

  test("of a credential in use every 15 to 18 minutes, not at once, and not after its last use", async () => {
    const world = ReadingWorld.begin(LASTING)
    world.reader.rule = () => reading()
    const from = world.time.mono()
    await useFor(world, 6 * HOUR)
    const times = world.reader.calls.map(({ at }) => at - from)
    expect(times[0]).toBeWithin(30 * SECOND, 18 * MINUTE)
    for (const [i, at] of times.entries()) {
      if (i > 0) expect(at - (times[i - 1] ?? 0)).toBeWithin(15 * MINUTE, 18 * MINUTE + 1)
    }
    expect(times.length).toBeWithin(19, 25)
    await world.time.pass(HOUR)
    const after = world.reader.calls.length
    expect(after - times.length).toBeLessThanOrEqual(1)
    await world.time.pass(3 * DAY)
    expect(world.reader.calls).toHaveLength(after)
  })

  test.each([
    ["while a reading is under way", true],
    ["right after a reading", false],
  ])("once more for a last use %s", async (_, during) => {
    const world = ReadingWorld.begin(LASTING)
    while (world.reader.waiting.length === 0) {
      world.pool.release(world.lease(), end())
      await world.time.pass(SECOND)
    }
    const call = world.reader.next()
    if (during) world.pool.release(world.lease(), end())
    await world.time.pass(SECOND)
    if (during) world.pool.release(world.lease(), end())
    call.answer(reading())
    await world.time.pass(SECOND)
    if (!during) world.pool.release(world.lease(), end())
    await world.time.pass(HOUR)
    expect(world.reader.calls.filter(({ at }) => at > call.at)).toHaveLength(1)
  })

  test("spread out after a start that finds many in use", async () => {
    const world = ReadingWorld.begin(...Array.from({ length: 30 }, () => LASTING))
    world.reader.rule = () => reading()
    const from = world.time.mono()
    for (let i = 0; i < 30; i++) world.pool.release(world.lease(), end())
    await world.time.pass(HOUR)
    const times = world.reader.calls.map(({ at }) => at - from)
    expect(times).toHaveLength(30)
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(8 * MINUTE)
    expect(times.at(-1)).toBeLessThan(18 * MINUTE)
  })

  test("at most two at once, two a second, and one per credential", async () => {
    const world = ReadingWorld.begin(...Array.from({ length: 20 }, () => LASTING))
    const ids = world.pool.list().map(({ id }) => id)
    for (const id of ids) world.pool.disable(id)
    for (const id of ids) world.pool.enable(id)
    await world.time.pass(MINUTE / 4)
    expect(world.reader.waiting).toHaveLength(2)
    for (const id of ids) world.pool.disable(id)
    for (const id of ids) world.pool.enable(id)
    const from = world.time.mono()
    while (world.reader.waiting.length > 0) {
      world.reader.next().answer(reading())
      await settled()
    }
    world.reader.rule = () => reading()
    await world.time.pass(HOUR)
    expect(world.reader.peak).toBe(2)
    expect(new Set(world.reader.calls.map(({ account }) => account)).size).toBe(20)
    expect(world.reader.calls.filter(({ at }) => at <= from + 3 * SECOND).length).toBeLessThanOrEqual(2 + 4 + 6)
  })

  test("ever more seldom while they fail, up to every four hours, and with a debug line alone", async () => {
    const world = ReadingWorld.begin(LASTING)
    world.reader.rule = () => FAILED
    await useFor(world, 2 * DAY, MINUTE)
    const times = world.reader.calls.map(({ at }) => at)
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0))
    for (const [i, gap] of gaps.entries()) {
      const least = Math.min(4 * HOUR, 15 * MINUTE * 2 ** (i + 1))
      expect(gap).toBeWithin(least, 1.2 * least + 2 * MINUTE)
    }
    expect(world.state(1)).toBe("ready")
    expect(world.pool.list()[0]?.lastError).toBeNull()
    expect(world.refresher.sent).toEqual([])
    expect(new Set(world.lines.filter(({ event }) => event.includes("quota")).map(({ level }) => level))).toEqual(
      new Set(["debug"]),
    )
  })
})

describe("what a reading says", () => {
  test("is shown and stored like what answers tell, and holds nobody back however full", async () => {
    const world = ReadingWorld.begin(LASTING)
    const window = fullWindow("one", world.time.wall())
    world.reader.rule = () => reading({ windows: [window], plan: "pro", limitedUntil: world.time.wall() + DAY })
    world.pool.disable(1)
    world.pool.enable(1)
    await world.time.pass(5 * SECOND)
    expect(world.pool.list()[0]).toMatchObject({ quotas: [window], plan: "pro", state: "ready" })
    expect(world.source.row(1)).toMatchObject({ quotas: [window], identity: { plan: "pro" } })
    expect(world.tries()).toBe(1)
  })

  test("is dropped when the credential is gone", async () => {
    const world = ReadingWorld.begin(LASTING)
    limit(world, 18 * HOUR)
    await world.time.pass(30 * MINUTE)
    world.pool.remove(1)
    world.reader.next().answer(reading({ limitedUntil: world.time.wall() + HOUR, plan: "pro" }))
    await world.time.pass(MINUTE)
    expect(world.pool.list()).toEqual([])
    expect(world.lines.filter(({ level }) => level === "error")).toEqual([])
  })
})

describe("before a cooldown ends ahead of its stated reset", () => {
  test("the upstream is asked: still out prolongs it by 1 h, 2 h, 4 h, 4 h, and never beyond the reset", async () => {
    const world = ReadingWorld.begin(LASTING)
    const reset = world.time.wall() + 14 * HOUR
    limit(world, 14 * HOUR)
    const waits: number[] = []
    while (world.time.wall() < reset) {
      waits.push(left(world))
      await world.time.pass(left(world))
      if (world.reader.waiting.length === 0) break
      expect(world.tries()).toBe("waits")
      world.reader.next().answer(reading({ limitedUntil: reset }))
      await settled()
      expect(world.tries()).toBe("all_cooling")
      expect(world.source.row(1).cooldowns[0]).toMatchObject({ until: world.time.wall() + left(world), stated: reset })
    }
    expect(waits).toEqual([30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 4 * HOUR, 2.5 * HOUR])
    expect(world.time.wall()).toBe(reset)
    expect(world.tries()).toBe(1)
  })

  test("and when the quota is back, the credential serves at once, first whoever waits", async () => {
    const world = ReadingWorld.begin(LASTING)
    limit(world, 18 * HOUR)
    await world.time.pass(30 * MINUTE)
    const slot = world.waits()
    world.reader.next().answer(reading())
    await settled()
    expect(slot.result?.lease?.credential).toBe(1)
    expect(world.state(1)).toBe("ready")
  })

  test("the reset that the reading states replaces the one that was stated before", async () => {
    const world = ReadingWorld.begin(LASTING)
    limit(world, 5 * DAY)
    await world.time.pass(30 * MINUTE)
    world.reader.next().answer(reading({ limitedUntil: world.time.wall() + 20 * MINUTE }))
    await settled()
    expect(left(world)).toBe(20 * MINUTE)
    await world.time.pass(20 * MINUTE)
    expect(world.reader.waiting).toEqual([])
    expect(world.tries()).toBe(1)
  })

  test.each([
    ["fails", (world: ReadingWorld) => world.reader.next().answer(FAILED)],
    ["breaks", (world: ReadingWorld) => world.reader.next().fail(new Error("reset"))],
    [
      "names a reset that is over",
      (world: ReadingWorld) => world.reader.next().answer(reading({ limitedUntil: world.time.wall() - 1 })),
    ],
  ])("a reading that %s leaves the probe to a request", async (_, answer) => {
    const world = ReadingWorld.begin(LASTING)
    limit(world, 18 * HOUR)
    await world.time.pass(30 * MINUTE)
    answer(world)
    await settled()
    expect(world.state(1)).toBe("ready")
    limit(world, 18 * HOUR)
    expect(left(world)).toBe(HOUR)
  })

  test("a reading without an answer is given up after 20 s; its late answer is nobody's", async () => {
    const world = ReadingWorld.begin(LASTING)
    limit(world, 18 * HOUR)
    await world.time.pass(30 * MINUTE)
    const call = world.reader.next()
    await world.time.pass(19 * SECOND)
    expect(world.state(1)).toBe("cooling")
    await world.time.pass(2 * SECOND)
    expect(world.state(1)).toBe("ready")
    expect(call.signal.aborted).toBe(true)
    call.answer(reading({ limitedUntil: world.time.wall() + HOUR, plan: "late" }))
    await world.time.pass(SECOND)
    expect(world.pool.list()[0]).toMatchObject({ state: "ready", plan: null })
  })

  test("nobody is kept for longer than a minute by a crowd of readings that hang", async () => {
    const world = ReadingWorld.begin(...Array.from({ length: 12 }, () => LASTING))
    for (let i = 0; i < 12; i++) limit(world, 18 * HOUR)
    await world.time.pass(30 * MINUTE + 59 * SECOND)
    expect(world.pool.counts().cooling).toBeGreaterThan(0)
    await world.time.pass(2 * SECOND)
    expect(world.pool.counts()).toMatchObject({ ready: 12, cooling: 0 })
  })

  test("nothing is asked for cooldowns that end at their reset, for other causes, or for unusable credentials", async () => {
    const world = ReadingWorld.begin(LASTING, LASTING, LASTING, LASTING)
    fail(world, world.lease(), { do: "backoff", scope: "all", ladder: [10 * MINUTE], cause: "server_error" })
    limit(world, 10 * MINUTE)
    limit(world, DAY, { quota: false })
    limit(world, DAY)
    world.pool.disable(4)
    await world.time.pass(35 * MINUTE)
    // Leases alone have them asked about, each once.
    expect(world.reader.calls.filter(({ account }) => account === "account4")).toEqual([])
    expect(world.reader.calls.length).toBeLessThanOrEqual(3)
    expect([1, 2, 3, 4].map((id) => world.state(id))).toEqual(["ready", "ready", "ready", "disabled"])
  })

  test("a system clock that is set in between makes no cooldown early, nor an early one on time", async () => {
    const world = ReadingWorld.begin(LASTING, LASTING)
    limit(world, 20 * MINUTE)
    world.time.jump(-HOUR)
    limit(world, 18 * HOUR)
    world.time.jump(20 * HOUR)
    world.reader.rule = () => reading({ limitedUntil: world.time.wall() + DAY })
    await world.time.pass(20 * MINUTE)
    expect(world.state(1)).toBe("ready")
    await world.time.pass(11 * MINUTE)
    expect([world.state(1), world.state(2)]).toEqual(["ready", "cooling"])
  })

  test("a cooldown of one model goes by what is said of that model, or of the whole account", async () => {
    const world = ReadingWorld.begin(LASTING, LASTING, LASTING)
    for (let i = 0; i < 3; i++) limit(world, 18 * HOUR, { scope: [MODEL] })
    const until = world.time.wall() + 18 * HOUR
    world.reader.rule = (account) => {
      if (account === "account1") return reading({ models: new Map([[MODEL, until]]) })
      if (account === "account2") return reading({ models: new Map([[OTHER, until]]) })
      return reading({ limitedUntil: until })
    }
    await world.time.pass(31 * MINUTE)
    expect(world.pool.explain(MODEL, null).map(({ usable }) => usable)).toEqual([false, true, false])
    expect(world.pool.explain(OTHER, null).every(({ usable }) => usable)).toBe(true)
  })

  test("whatever the operator says meanwhile stands, whatever the reading says then", async () => {
    const world = ReadingWorld.begin(LASTING)
    limit(world, 18 * HOUR)
    await world.time.pass(30 * MINUTE)
    world.pool.clear(1)
    expect(world.tries()).toBe(1)
    world.reader.next().answer(reading({ limitedUntil: world.time.wall() + HOUR }))
    await settled()
    expect(world.tries()).toBe(1)
    expect(world.source.row(1).cooldowns).toEqual([])
  })

  test("a longer cooldown that came meanwhile is not ended by a reading", async () => {
    const world = ReadingWorld.begin(LASTING)
    const late = world.lease()
    limit(world, 18 * HOUR)
    await world.time.pass(30 * MINUTE)
    const until = world.time.wall() + 3 * HOUR
    fail(world, late, { do: "cool", scope: "all", until, cause: "other", quota: false })
    world.reader.next().answer(reading())
    await settled()
    expect(left(world)).toBe(3 * HOUR)
  })

  test("a prolonged cooldown and its place on the ladder survive a restart", async () => {
    const world = ReadingWorld.begin(LASTING)
    const reset = world.time.wall() + DAY
    limit(world, DAY)
    world.reader.rule = () => reading({ limitedUntil: reset })
    await world.time.pass(31 * MINUTE)
    world.start()
    expect(left(world)).toBe(59 * MINUTE)
    await world.time.pass(59 * MINUTE)
    expect(left(world)).toBe(2 * HOUR)
  })

  test("any order of answers: no request is sent while the upstream says no, none is kept back once it does not", async () => {
    const answers = fc.array(fc.constantFrom("out" as const, "back" as const, "failed" as const), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(answers, fc.integer({ min: 1, max: 100 }), async (says, hours) => {
        const world = ReadingWorld.begin(LASTING)
        const reset = world.time.wall() + hours * HOUR
        limit(world, hours * HOUR)
        for (const said of says) {
          await world.time.pass(left(world))
          if (world.time.wall() >= reset) break
          expect(world.reader.waiting).toHaveLength(1)
          expect(world.pool.ready(MODEL)).toBe(0)
          const call = world.reader.next()
          call.answer(said === "failed" ? FAILED : reading({ limitedUntil: said === "out" ? reset : null }))
          await settled()
          expect(world.pool.ready(MODEL)).toBe(said === "out" ? 0 : 1)
          if (said === "out") expect(left(world)).toBeWithin(1, Math.min(4 * HOUR, reset - world.time.wall()) + 1)
          else limit(world, reset - world.time.wall())
        }
        await world.time.pass(Math.max(0, reset - world.time.wall()) + 2 * MINUTE)
        expect(world.pool.ready(MODEL)).toBe(1)
        expect(world.lines.filter(({ level }) => level === "error")).toEqual([])
      }),
      { numRuns: 60 },
    )
  })
})

test("the stop gives readings up and waits for none", async () => {
  const world = ReadingWorld.begin(LASTING)
  limit(world, 18 * HOUR)
  await world.time.pass(30 * MINUTE)
  const call = world.reader.next()
  await world.pool.close(0)
  expect(call.signal.aborted).toBe(true)
  call.answer(reading({ plan: "late" }))
  await settled()
  expect(world.pool.list()[0]?.plan).toBeNull()
  expect(world.lines.filter(({ level }) => level === "error")).toEqual([])
})
