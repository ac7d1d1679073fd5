import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startPollux } from "../support/binary.ts"
import { listenForDatagrams } from "../support/datagrams.ts"
import { until } from "../support/wait.ts"

const WATCHDOG_USEC = "2000000"

/** @param form how the manager names its socket */
async function underManager(form: "path" | "abstract", work: (name: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pollux-notify-"))
  try {
    await work(form === "path" ? join(folder, "notify") : `@pollux-test-${process.pid}-${Date.now()}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

for (const form of ["path", "abstract"] as const) {
  test(`under a service manager with ${form === "path" ? "a socket in the file system" : "an abstract socket"} it says ready, feeds the watchdog, reloads and stops`, async () => {
    await underManager(form, async (name) => {
      await using manager = await listenForDatagrams(name)
      await using pollux = await startPollux({ env: { NOTIFY_SOCKET: name, WATCHDOG_USEC } })

      const ready = await manager.sees("READY", "1")
      expect(ready.fields.STATUS).toBe(`Serving at ${pollux.url}`)
      expect((await pollux.api("/healthz")).status).toBe(200)

      const fed = () => manager.received.filter(({ fields }) => fields.WATCHDOG === "1")
      await until("the watchdog was fed three times", () => fed().length >= 3)
      const [, second, third] = fed()
      expect((third?.at ?? 0) - (second?.at ?? 0)).toBeLessThan(Number(WATCHDOG_USEC))

      const before = manager.received.length
      pollux.signal("SIGHUP")
      const reloading = await manager.sees("RELOADING", "1", before)
      const again = await manager.sees("READY", "1", before)
      expect(again.fields.STATUS).toEndWith("; reloaded")
      // The manager compares the two clocks: they are the same one.
      const lag = reloading.at - Number(reloading.fields.MONOTONIC_USEC)
      expect(lag).toBeGreaterThanOrEqual(0)
      expect(lag).toBeLessThan(5_000_000)

      expect(await pollux.stop()).toEqual({ code: 0, signal: null })
      const states = manager.received.map(({ fields }) => Object.keys(fields)[0])
      expect(states.indexOf("STOPPING")).toBeGreaterThan(states.lastIndexOf("READY"))
      expect(states).toContain("EXTEND_TIMEOUT_USEC")
    })
  })
}

test("a reload that is refused leaves it ready, and its status says where to look", async () => {
  await underManager("path", async (name) => {
    await using manager = await listenForDatagrams(name)
    await using pollux = await startPollux({ env: { NOTIFY_SOCKET: name } })
    await manager.sees("READY", "1")
    const before = manager.received.length
    writeFileSync(join(pollux.cwd, "config.toml"), "[basic]\nlisten_port = 'no'\n")
    pollux.signal("SIGHUP")
    const again = await manager.sees("READY", "1", before)
    expect(again.fields.STATUS).toContain("the last reload was refused")
    expect((await pollux.api("/readyz")).status).toBe(200)
  })
})

test("a process that hangs gives no sign of life, so that the manager can restart it", async () => {
  await underManager("path", async (name) => {
    await using manager = await listenForDatagrams(name)
    await using pollux = await startPollux({ env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "400000" } })
    await until("the watchdog was fed", () => manager.received.length >= 4)
    pollux.signal("SIGSTOP")
    await Bun.sleep(100)
    const before = manager.received.length
    await Bun.sleep(600)
    expect(manager.received.length).toBe(before)
    pollux.signal("SIGCONT")
    await manager.sees("WATCHDOG", "1", before)
  })
})

test("it serves all the same when nobody listens at the socket", async () => {
  await using pollux = await startPollux({ env: { NOTIFY_SOCKET: "/nonexistent/notify", WATCHDOG_USEC } })
  expect((await pollux.api("/readyz")).status).toBe(200)
})

test("it serves all the same when the socket is of a kind it does not know, and says so", async () => {
  await using pollux = await startPollux({ env: { NOTIFY_SOCKET: "vsock:2:1234" } })
  await pollux.logged("the service manager cannot be told that the server is ready")
  expect((await pollux.api("/readyz")).status).toBe(200)
})
