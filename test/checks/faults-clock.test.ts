/** Faults of time, on the test build, whose clock can be moved: F3 and F18. */
import { expect, test } from "bun:test"
import { MovedClock } from "../support/clock.ts"
import { until } from "../support/wait.ts"
import { PROVIDERS, type Side } from "./support/side.ts"
import { startSide } from "./support/start.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** How many of the next `count` requests the account was asked for; each must be served. */
async function asked(side: Side, account: number, count = 6): Promise<number> {
  const calls = side.upstream.calls().length
  for (let i = 0; i < count; i++) expect((await side.ask()).status).toBe(200)
  return side.upstream
    .calls()
    .slice(calls)
    .filter((call) => call.account === account).length
}

/** Whether it is out of use: for longer than it takes to ask the upstream how much is left. */
async function isAvoided(side: Side, account: number): Promise<boolean> {
  for (let i = 0; i < 5; i++) {
    if ((await asked(side, account)) > 0) return false
    await Bun.sleep(100)
  }
  return true
}

for (const provider of PROVIDERS) {
  test.concurrent(`F3: ${provider}: a reset told 18 h ahead is avoided, looked into within the cap, and believed over when the upstream says so`, async () => {
    using clock = new MovedClock()
    await using side = await startSide(provider, { accounts: 2, program: "pollux-faults", env: clock.env })
    const { upstream } = side
    upstream.limit(0, 18 * 3_600)
    expect(await asked(side, 0)).toBe(1)
    const [first] = (await side.shown(0)).cooldowns
    expect((first?.stated ?? 0) - Date.now()).toBeGreaterThan(17.5 * HOUR)
    // Looked into after half an hour: it is still limited, so that the next look comes an hour later.
    expect((first?.until ?? 0) - Date.now()).toBeLessThan(31 * MINUTE)
    clock.pass(31 * MINUTE)
    expect(await isAvoided(side, 0)).toBeTrue()
    const [second] = (await side.shown(0)).cooldowns
    expect((second?.until ?? 0) - Date.now() - 31 * MINUTE).toBeWithin(58 * MINUTE, 62 * MINUTE)
    // Lifted long before its stated reset.
    upstream.lift(0)
    clock.pass(20 * MINUTE)
    expect(await isAvoided(side, 0)).toBeTrue()
    clock.pass(42 * MINUTE)
    await until("it is used again", async () => (await asked(side, 0)) > 0)
    expect(await asked(side, 0)).toBeGreaterThan(0)
    expect(await side.shown(0)).toMatchObject({ state: "ready", cooldowns: [] })
  })

  for (const jump of [HOUR, -HOUR]) {
    const where = jump > 0 ? "forward" : "back"
    test.concurrent(`F18: ${provider}: a clock that jumps an hour ${where} moves no cooldown`, async () => {
      using clock = new MovedClock()
      await using side = await startSide(provider, { accounts: 2, program: "pollux-faults", env: clock.env })
      const { upstream } = side
      upstream.limit(0, 20 * 60)
      expect(await asked(side, 0)).toBe(1)
      upstream.lift(0)
      clock.jump(jump)
      expect(await isAvoided(side, 0)).toBeTrue()
      clock.pass(18 * MINUTE)
      expect(await isAvoided(side, 0)).toBeTrue()
      clock.pass(3 * MINUTE)
      await until("it is used again", async () => (await asked(side, 0)) > 0)
    })

    test.concurrent(`F18: ${provider}: after a clock jump an hour ${where} tokens are renewed before they expire`, async () => {
      using clock = new MovedClock()
      const options = { accessSeconds: 10, program: "pollux-faults", env: clock.env } as const
      await using side = await startSide(provider, options)
      const { upstream } = side
      clock.jump(jump)
      expect((await side.ask()).status).toBe(200)
      const refreshes = upstream.tokenCalls()
      await until("a renewal that nobody asked for", () => upstream.tokenCalls() > refreshes, 10_500)
      await until("it is in force", async () => (await side.shown()).state === "ready")
      expect((await side.ask()).status).toBe(200)
      // No request ever met an expired token.
      expect(upstream.calls().map(({ status }) => status)).toEqual([200, 200])
    })
  }
}
