import { describe, expect, test } from "bun:test"
import { TICK_MS, Ticker } from "../../src/relay/ticker.ts"
import { handTime } from "./support/time.ts"

describe("the ticker", () => {
  test("never lets a limit strike early, and at most two ticks late, wherever between ticks it was set", async () => {
    for (let offset = 0; offset < TICK_MS; offset += 50) {
      const time = handTime()
      const ticker = new Ticker(time.clock, time.timers)
      ticker.add({ tick: () => undefined })
      await time.pass(1_000 + offset)
      const due = ticker.due(600)
      const setAt = time.clock.mono()
      let struckAt = 0
      ticker.add({
        tick(now) {
          if (now >= due && struckAt === 0) struckAt = now
        },
      })
      await time.pass(2_000)
      expect(struckAt - setAt).toBeGreaterThanOrEqual(600)
      expect(struckAt - setAt).toBeLessThanOrEqual(600 + 2 * TICK_MS)
    }
  })

  test("does not count the time in which nobody was ticked as part of a limit set after it", async () => {
    const time = handTime()
    const ticker = new Ticker(time.clock, time.timers)
    const before = { tick: () => undefined }
    ticker.add(before)
    ticker.remove(before)
    await time.pass(3_600_000)
    const due = ticker.due(600)
    const setAt = time.clock.mono()
    let struckAt = 0
    ticker.add({
      tick(now) {
        if (now >= due && struckAt === 0) struckAt = now
      },
    })
    await time.pass(2_000)
    expect(struckAt - setAt).toBeGreaterThanOrEqual(600)
    expect(struckAt - setAt).toBeLessThanOrEqual(600 + 2 * TICK_MS)
  })

  test("lets hardly any time pass while the process stands still, and all of it after that", async () => {
    let mono = 0
    let run = (): void => undefined
    const timers = {
      after(_: number, task: () => void) {
        run = task
        return () => undefined
      },
    }
    const ticker = new Ticker({ mono: () => mono, wall: () => 0 }, timers)
    const limit = ticker.due(12_000)
    let now = 0
    ticker.add({
      tick(at) {
        now = at
      },
    })
    const pass = (ms: number): void => {
      mono += ms
      run()
    }
    for (let stop = 0; stop < 5; stop++) pass(3_600_000)
    expect(now).toBe(5_000)
    for (let tick = 0; tick < 4; tick++) pass(TICK_MS + 5)
    expect(now).toBe(5_000 + 4 * (TICK_MS + 5))
    expect(now).toBeLessThan(limit)
  })

  test("sets one timer for all, and none when nobody is left", async () => {
    const time = handTime()
    const ticker = new Ticker(time.clock, time.timers)
    const members = Array.from({ length: 100 }, () => ({ tick: () => undefined }))
    for (const member of members) ticker.add(member)
    expect(time.pending).toBe(1)
    await time.pass(1_000)
    expect(time.pending).toBe(1)
    for (const member of members) ticker.remove(member)
    await time.pass(TICK_MS)
    expect(time.pending).toBe(0)
  })

  test("goes on when a member throws, or leaves while it is ticked", async () => {
    const time = handTime()
    const ticker = new Ticker(time.clock, time.timers)
    let ticks = 0
    const leaver = {
      tick() {
        ticker.remove(leaver)
      },
    }
    ticker.add(leaver)
    ticker.add({
      tick() {
        ticks++
        throw new Error("a bug")
      },
    })
    for (let i = 0; i < 3; i++) await time.pass(TICK_MS).catch(() => undefined)
    expect(ticks).toBe(3)
  })
})
