/** Faults of time, on the test build, whose clock can be moved: F3 and F18. */
import { expect, test } from "bun:test"
import { until } from "../support/wait.ts"
import { MovedClock } from "./support/clock.ts"
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

for (const provider of PROVIDERS) {
  test.concurrent(`F3: ${provider}: a reset told 18 h ahead is avoided, tried again within the cap, and believed over at the first success`, async () => {
    using clock = new MovedClock()
    await using side = await startSide(provider, { accounts: 2, program: "pollux-faults", env: clock.env })
    const { upstream } = side
    const limit = async () => {
      upstream.trouble({ limited: 18 * 3_600 }, 0)
      expect(await asked(side, 0)).toBe(1)
      const [cooldown] = (await side.shown(0)).cooldowns
      expect((cooldown?.stated ?? 0) - Date.now()).toBeGreaterThan(17.5 * HOUR)
    }
    await limit()
    // The first probe comes after half an hour.
    clock.pass(29 * MINUTE)
    expect(await asked(side, 0)).toBe(0)
    clock.pass(2 * MINUTE)
    await limit()
    // It is still limited: the next probe comes after an hour.
    clock.pass(58 * MINUTE)
    expect(await asked(side, 0)).toBe(0)
    clock.pass(4 * MINUTE)
    expect(await asked(side, 0)).toBe(3)
    expect(await side.shown(0)).toMatchObject({ state: "ready", cooldowns: [] })
  })

  for (const jump of [HOUR, -HOUR]) {
    const where = jump > 0 ? "forward" : "back"
    test.concurrent(`F18: ${provider}: a clock that jumps an hour ${where} moves no cooldown`, async () => {
      using clock = new MovedClock()
      await using side = await startSide(provider, { accounts: 2, program: "pollux-faults", env: clock.env })
      side.upstream.trouble({ limited: 20 * 60 }, 0)
      expect(await asked(side, 0)).toBe(1)
      clock.jump(jump)
      expect(await asked(side, 0)).toBe(0)
      clock.pass(18 * MINUTE)
      expect(await asked(side, 0)).toBe(0)
      clock.pass(3 * MINUTE)
      expect(await asked(side, 0)).toBe(3)
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
