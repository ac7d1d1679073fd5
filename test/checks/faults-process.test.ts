/** Faults of the process and its surroundings: F15, F16, F19 and F21. */

import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { once } from "node:events"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { rust } from "../store/rust.ts"
import { type StartFailure, startPollux } from "../support/binary.ts"
import { until, within } from "../support/wait.ts"
import { startLoad } from "./support/load.ts"
import { memoryOf } from "./support/memory.ts"
import { inFolder, refusal } from "./support/refused.ts"
import { LONG, PROVIDERS } from "./support/side.ts"
import { startSide } from "./support/start.ts"

const MIB = 2 ** 20
const STREAMS = 50

for (const provider of PROVIDERS) {
  test(`F15: ${provider}: SIGTERM lets 50 streams end whole, refuses what is new with 503, and ends with code 0`, async () => {
    await using side = await startSide(provider, { accounts: 2, eventDelayMs: 200 })
    const { upstream, pollux } = side
    const streams = Array.from({ length: STREAMS }, async (_, i) => (await side.stream(`${LONG} ${i}`)).text())
    await until("all are upstream", () => upstream.calls().length === STREAMS)
    await Bun.sleep(300)
    pollux.signal("SIGTERM")
    await until("it is not ready", async () => (await pollux.api("/readyz")).status === 503, 1_000)
    for (let i = 0; i < 5; i++) {
      const late = await side.ask("too late")
      expect([late.status, late.headers.get("connection")]).toEqual([503, "close"])
      expect((await fetch(`${pollux.url}/healthz`)).status).toBe(200)
    }
    const texts = await within("all streams end", Promise.all(streams), 20_000)
    expect(texts.map((text) => upstream.textOf(text))).toEqual(texts.map((_, i) => upstream.said(`${LONG} ${i}`)))
    expect(texts.map((text) => upstream.errorIn(text)).filter((error) => error !== null)).toEqual([])
    expect(await within("it ends", pollux.exited())).toEqual({ code: 0, signal: null })
    expect(upstream.calls()).toHaveLength(STREAMS)
  })

  test(`F15: ${provider}: at the drain deadline 50 streams end in an error event, and the code tells`, async () => {
    await using side = await startSide(provider, { basic: { drain_timeout: 1 } })
    const { upstream, pollux } = side
    for (let i = 0; i < STREAMS; i++) upstream.trouble({ cut: "stall" }, null)
    const streams = Array.from({ length: STREAMS }, async () => (await side.stream()).text())
    await until("all are upstream", () => upstream.calls().length === STREAMS)
    await Bun.sleep(300)
    const began = performance.now()
    pollux.signal("SIGTERM")
    const texts = await within("all streams end", Promise.all(streams))
    expect(performance.now() - began).toBeGreaterThan(900)
    expect(texts.filter((text) => upstream.errorIn(text) === null)).toEqual([])
    expect(await within("it ends", pollux.exited())).toEqual({ code: 1, signal: null })
    expect(performance.now() - began).toBeLessThan(6_000)
  })
}

for (const [signal, code] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const) {
  test(`F15: a second ${signal} ends it at once`, async () => {
    await using side = await startSide("codex")
    const { upstream, pollux } = side
    upstream.trouble({ cut: "stall" }, null)
    const broken = side.stream().then((response) => response.text())
    const stream = broken.catch((error: unknown) => error)
    await until("it is upstream", () => upstream.calls().length === 1)
    pollux.signal("SIGTERM")
    await pollux.logged("draining")
    const began = performance.now()
    pollux.signal(signal)
    expect(await within("it ends", pollux.exited())).toEqual({ code, signal: null })
    expect(performance.now() - began).toBeLessThan(1_000)
    await stream
  })
}

for (const provider of PROVIDERS) {
  test(`F16: ${provider}: SIGHUP under 200 requests a second fails none; a broken file is refused with its line`, async () => {
    await using side = await startSide(provider, { accounts: 4, basic: { loglevel: "info" } })
    const { upstream, pollux } = side
    const path = join(pollux.cwd, "config.toml")
    const original = readFileSync(path, "utf8")
    const load = startLoad(200, async (number) => {
      const response = await (number % 4 === 0 ? side.stream(`n${number}`) : side.ask(`n${number}`))
      const text = await response.text()
      if (response.status !== 200) return `${response.status} ${text}`
      return upstream.textOf(text) === upstream.said(`n${number}`) ? null : text
    })
    const reloads = (event: string) => pollux.log().filter((line) => line.event === event).length
    for (let round = 1; round <= 3; round++) {
      // Another model is served from here on.
      writeFileSync(path, original.replace(/model_list = \[/, `model_list = [ "extra-${round}",`))
      pollux.signal("SIGHUP")
      await until("it is reloaded", () => reloads("configuration reloaded") === round)
      await Bun.sleep(300)
      const broken = `${original}\n[providers.nobody]\nretry_max_times = "many"\n`
      writeFileSync(path, broken)
      pollux.signal("SIGHUP")
      const refused = await until(
        "it is refused",
        () => pollux.log().filter(({ event }) => event === "reload refused, the old configuration stays")[round - 1],
      )
      expect(refused.problem).toMatch(/config\.toml:\d+:\d+ providers\.nobody/)
      await Bun.sleep(300)
    }
    const models = provider === "codex" ? "/codex/v1/models" : "/geminicli/v1beta/models"
    expect(await (await pollux.api(models)).text()).toContain("extra-3")
    const answered = await pollux.api("/reload", { method: "POST" })
    expect(answered.status).toBe(422)
    expect(await answered.text()).toMatch(/config\.toml:\d+:\d+/)
    const { sent, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(sent).toBeGreaterThan(300)
  })
}

test("F19: 10,000 sticky sessions are kept in bounded memory, and the last of them still stick", async () => {
  await using side = await startSide("geminicli", { accounts: 4, basic: { loglevel: "info" } })
  const { upstream, pollux } = side
  const owners = new Map<number, number>()
  const turn = async (session: number) => {
    const prompt = `session ${session}`
    const response = await side.ask(prompt, { headers: { "session-id": `conversation-${session}` } })
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
    await response.arrayBuffer()
    return Number(response.headers.get("x-pollux-credential"))
  }
  const each = async (from: number, to: number, work: (session: number) => Promise<void>) => {
    let next = from
    const worker = async () => {
      while (next < to) await work(next++)
    }
    await Promise.all(Array.from({ length: 32 }, worker))
  }
  await each(0, 1_000, async (session) => {
    owners.set(session, await turn(session))
  })
  const before = memoryOf(pollux.pid)
  await each(1_000, 10_000, async (session) => {
    owners.set(session, await turn(session))
  })
  expect((memoryOf(pollux.pid) - before) / MIB).toBeLessThan(64)
  await each(9_000, 10_000, async (session) => expect(await turn(session)).toBe(owners.get(session) ?? -1))
  expect(upstream.calls()).toHaveLength(11_000)
})

/** The lines that an operator is shown; each says what to do, and none is a stack trace. */
function told({ output }: StartFailure): string {
  expect(output).not.toMatch(/\bat \S+:\d+:\d+/)
  return output
}

test.concurrent("F21: a port that is taken: exit code 69, and a line that names it", async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" ? address?.port : undefined
  const failure = await refusal({ config: { basic: { listen_port: port ?? 0 } } })
  server.close()
  expect(failure.code).toBe(69)
  expect(told(failure)).toContain(`${port}`)
})

test.concurrent("F21: a key file that cannot be read: exit code 78, and a line that names the file", async () => {
  await inFolder(async (folder) => {
    // A directory cannot be read as a file by anybody, the superuser included.
    mkdirSync(join(folder, "pollux_key"))
    const config = '[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\n'
    const failure = await refusal({ config, env: { CREDENTIALS_DIRECTORY: folder } })
    expect(failure.code).toBe(78)
    expect(told(failure)).toContain(join(folder, "pollux_key"))
  })
})

test.concurrent("F21: a database of the Rust project, an old schema, is taken over as it is", async () => {
  await inFolder(async (cwd) => {
    rust(join(cwd, "data.db"), (db) =>
      db.run(`INSERT INTO codex (sub, account_id, refresh_token, access_token, expiry, created_at, updated_at)
        VALUES ('c', 'a', 'old-refresh', 'old-access', '2030-02-05T04:04:05Z', '2026-02-05T03:04:05Z', '2026-02-05T03:04:05Z')`),
    )
    await using pollux = await startPollux({ cwd })
    const list = JSON.parse(await (await pollux.api("/codex/resource:list")).text())
    expect(list.credentials).toHaveLength(1)
  })
})

test.concurrent("F21: a schema of a newer version: exit code 65, a line that says what to do, the file untouched", async () => {
  await inFolder(async (cwd) => {
    await (await startPollux({ cwd })).stop()
    const path = join(cwd, "data.db")
    const db = new Database(path)
    db.run("PRAGMA user_version = 99")
    db.close(true)
    const before = readFileSync(path)
    const failure = await refusal({ cwd })
    expect(failure.code).toBe(65)
    expect(told(failure)).toMatch(/data\.db has schema version 99, made by a newer Pollux.*update Pollux/)
    expect(readFileSync(path)).toEqual(before)
  })
})
