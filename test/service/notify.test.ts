import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { createNotifier, message, watchdogMs } from "../../src/cli/notify.ts"
import { socketAddress } from "../../src/cli/notify-socket.ts"
import type { Log } from "../../src/observe/ports.ts"
import { HandTime } from "../http/support/time.ts"

interface World {
  healthy?: (signal: AbortSignal) => Promise<boolean>
  watchdogMs?: number | null
}

function world({ healthy = async () => true, watchdogMs = null }: World = {}) {
  const time = new HandTime()
  const sent: string[] = []
  const warnings: string[] = []
  const manager = { takes: true }
  const quiet = () => {}
  const log: Log = {
    trace: quiet,
    debug: quiet,
    info: quiet,
    warn: (event) => void warnings.push(event),
    error: quiet,
    child: () => log,
  }
  const notifier = createNotifier({
    socket: {
      send(text) {
        if (manager.takes) sent.push(text)
        return manager.takes
      },
      monotonicMicroseconds: () => BigInt(time.mono() * 1000),
      close: () => void sent.push("closed"),
    },
    timers: time,
    log,
    watchdogMs,
    healthy,
  })
  const pings = () => sent.filter((text) => text === "WATCHDOG=1").length
  /** Lets what was promised come true between two steps of time. */
  const pass = async (ms: number, step = 100) => {
    for (let passed = 0; passed < ms; passed += step) {
      time.advance(step)
      for (let turn = 0; turn < 8; turn++) await Promise.resolve()
    }
  }
  return { time, sent, warnings, manager, notifier, pings, pass }
}

describe("the notifier", () => {
  test("says ready with the address, and nothing before", () => {
    const { sent, notifier } = world()
    expect(sent).toEqual([])
    notifier.ready("http://127.0.0.1:8188")
    expect(sent).toEqual(["READY=1\nSTATUS=Serving at http://127.0.0.1:8188"])
  })

  test("answers the watchdog at half the time allowed", async () => {
    const { notifier, pings, pass } = world({ watchdogMs: 10_000 })
    notifier.ready("url")
    expect(pings()).toBe(1)
    await pass(4_900)
    expect(pings()).toBe(1)
    await pass(20_100)
    expect(pings()).toBe(6)
  })

  test("lets the watchdog starve while the edge does not answer, and feeds it again when it does", async () => {
    let answers = true
    const { notifier, pings, pass, warnings } = world({ watchdogMs: 10_000, healthy: async () => answers })
    notifier.ready("url")
    await pass(5_000)
    answers = false
    await pass(20_000)
    expect(pings()).toBe(2)
    expect(warnings).toHaveLength(4)
    answers = true
    await pass(5_000)
    expect(pings()).toBe(3)
  })

  test("a health check that fails, or never ends, counts as none", async () => {
    const fails = world({ watchdogMs: 10_000, healthy: () => Promise.reject(new Error("refused")) })
    fails.notifier.ready("url")
    await fails.pass(20_000)
    expect(fails.pings()).toBe(1)

    const aborted: number[] = []
    const hangs = world({
      watchdogMs: 10_000,
      healthy: (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            aborted.push(hangs.time.mono() - 1_000)
            reject(signal.reason)
          })
        }),
    })
    hangs.notifier.ready("url")
    await hangs.pass(8_000)
    // Asked after 5 s, given up after 2.5 more: below the 10 s in which a slow but living answer must count.
    expect(aborted).toEqual([7_500])
    expect(hangs.pings()).toBe(1)
  })

  test("never asks the edge twice at a time", async () => {
    let asked = 0
    let most = 0
    const { notifier, pass } = world({
      watchdogMs: 1_000,
      healthy: async (signal) => {
        asked++
        most = Math.max(most, asked)
        await new Promise<void>((done) => signal.addEventListener("abort", () => done()))
        asked--
        return true
      },
    })
    notifier.ready("url")
    await pass(10_000, 50)
    expect(most).toBe(1)
  })

  test("frames a reload, and says how it went", async () => {
    const { notifier, sent } = world()
    notifier.ready("url")
    await notifier.reload(async () => "reloaded")
    expect(sent.slice(1)).toEqual([
      "RELOADING=1\nMONOTONIC_USEC=1000000\nSTATUS=Reading the configuration again",
      "READY=1\nSTATUS=Serving at url; reloaded",
    ])
  })

  test("is ready again after a reload that throws", async () => {
    const { notifier, sent } = world()
    notifier.ready("url")
    await expect(notifier.reload(() => Promise.reject(new Error("defect")))).rejects.toThrow("defect")
    expect(sent.at(-1)).toStartWith("READY=1\n")
  })

  test("asks for more time while it drains, and keeps the watchdog fed without the port", async () => {
    const { notifier, sent, pings, pass } = world({ watchdogMs: 10_000, healthy: async () => false })
    notifier.ready("url")
    notifier.stopping()
    expect(sent[2]).toStartWith("STOPPING=1\n")
    await pass(60_000)
    expect(sent.filter((text) => text === "EXTEND_TIMEOUT_USEC=30000000")).toHaveLength(7)
    expect(pings()).toBe(13)
  })

  test("never says ready again once it stops", async () => {
    const { notifier, sent } = world()
    notifier.ready("url")
    await notifier.reload(async () => {
      notifier.stopping()
      return "reloaded"
    })
    expect(sent.filter((text) => text.startsWith("READY=1"))).toHaveLength(1)
  })

  test("sends a state again until the manager takes it, and at last says that it did not", async () => {
    const { notifier, sent, manager, pass, warnings } = world()
    manager.takes = false
    notifier.ready("url")
    await pass(3_000)
    manager.takes = true
    await pass(500)
    expect(sent).toHaveLength(1)

    manager.takes = false
    void notifier.stopping()
    await pass(11_000)
    expect(warnings).toEqual(["the service manager does not take messages"])
  })

  test("leaves no timer behind", async () => {
    const { notifier, sent, pass, time } = world({ watchdogMs: 1_000 })
    notifier.ready("url")
    await pass(2_000)
    notifier.stopping()
    notifier.close()
    const before = sent.length
    await pass(60_000)
    expect(sent).toHaveLength(before)
    expect(time.pending).toBe(0)
  })
})

test("a watchdog is meant for us only if the manager names this process, or none", () => {
  expect(watchdogMs({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 7)).toBe(30_000)
  expect(watchdogMs({ WATCHDOG_USEC: "30000000" }, 7)).toBe(30_000)
  expect(watchdogMs({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, 7)).toBeNull()
  for (const broken of ["", "0", "-1", "soon", "1.5", "1e400"]) {
    expect(watchdogMs({ WATCHDOG_USEC: broken }, 7)).toBeNull()
  }
  expect(watchdogMs({}, 7)).toBeNull()
})

test("no value can smuggle in a second assignment", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      const text = message({ STATUS: value, X: "1" })
      expect(text.split("\n")).toHaveLength(2)
      expect(text.endsWith("\nX=1")).toBe(true)
    }),
  )
})

test("addresses are laid out as the kernel takes them", () => {
  expect(socketAddress("/run/n")).toEqual(Uint8Array.from([1, 0, 47, 114, 117, 110, 47, 110, 0]))
  expect(socketAddress("@ab")).toEqual(Uint8Array.from([1, 0, 0, 97, 98]))
  expect(socketAddress(`/${"x".repeat(106)}`)?.length).toBe(110)
  expect(socketAddress(`/${"x".repeat(107)}`)).toBeNull()
  expect(socketAddress(`@${"x".repeat(107)}`)?.length).toBe(110)
  expect(socketAddress(`@${"x".repeat(108)}`)).toBeNull()
  for (const bad of ["", "/", "@", "relative", "vsock:2:1234", "/a\0b"]) expect(socketAddress(bad)).toBeNull()
})
