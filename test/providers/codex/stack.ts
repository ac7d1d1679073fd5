/** All rooms around the Codex provider in one process: edge, relay, pool, store in memory; the fake at the far end. */
import type { BasicSettings, CodexSettings } from "../../../src/config/types.ts"
import { createEdge, mount } from "../../../src/http/edge.ts"
import { systemClock as clock, systemTimers as timers } from "../../../src/observe/clock.ts"
import { createMetrics } from "../../../src/observe/metrics.ts"
import { createCodex } from "../../../src/providers/codex/index.ts"
import { createUpstreams } from "../../../src/relay/fetcher.ts"
import type { AttemptRecord, RequestRecord } from "../../../src/relay/ports.ts"
import { createRelay } from "../../../src/relay/relay.ts"
import { createPool } from "../../../src/scheduler/actor.ts"
import { IN_MEMORY, openStore } from "../../../src/store/open.ts"
import type { FakeAccount, FakeOpenAI } from "../../fakes/openai.ts"
import { settingsOf, silent } from "./support.ts"

export const KEY = "a-test-key"

export async function startStack(fake: FakeOpenAI, changes: Partial<CodexSettings> = {}) {
  const attempts: AttemptRecord[] = []
  const requests: RequestRecord[] = []
  const basic: BasicSettings = {
    listenAddr: "127.0.0.1",
    listenPort: 0,
    databasePath: IN_MEMORY,
    logLevel: "error",
    logFormat: "text",
    polluxKey: KEY,
    adminKey: null,
    insecureCookie: true,
    openLogin: true,
    drainTimeoutMs: 1_000,
    trustedProxies: [],
    answerHeaders: true,
    encryptionKey: null,
    previousEncryptionKeys: [],
  }
  const codexSettings = settingsOf(fake, changes)
  const limited = {
    name: "limited",
    sha256: sha256("limited-key"),
    models: ["gpt-5.2"],
    requestsPerMinute: null,
    expiresAt: null,
  }
  const config = { current: { basic, keys: [limited], providers: { geminicli: codexSettings, codex: codexSettings } } }
  const settings = { current: codexSettings }
  const store = openStore({ path: IN_MEMORY, clock, log: silent, encryptionKey: null })
  const upstreams = createUpstreams({ settings, log: silent })
  const module = createCodex({ settings, ...upstreams, clock, random: Math.random, log: silent })
  const pool = createPool({
    name: "codex",
    source: store.source("codex"),
    refresher: module.refresher,
    settings,
    clock,
    timers,
    random: Math.random,
    log: silent,
  })
  const relay = createRelay({
    provider: module.provider,
    pool,
    settings,
    clock,
    timers,
    random: Math.random,
    log: silent,
    answerHeaders: { current: true },
    recorder: {
      attempt: (record) => {
        attempts.push(record)
      },
      finish: (record) => {
        requests.push(record)
      },
    },
  })
  const metrics = createMetrics({ version: "0", clock, timers })
  const edge = createEdge({
    config,
    clock,
    timers,
    log: silent,
    providers: [mount(module, pool, relay)],
    metrics,
    ready: () => [],
    usage: () => ({}),
    reload: () => Promise.resolve({ ok: false, problems: [] }),
    access: () => undefined,
    refused: () => undefined,
  })
  const { url } = edge.listen()
  const base = `${url.replace(/\/$/, "")}/codex/v1`

  async function add(accounts: readonly FakeAccount[]): Promise<void> {
    const outcomes = pool.seeds(accounts.map(({ refreshToken }) => ({ refreshToken, account: null })))
    for (const { id } of outcomes) {
      const outcome = await pool.outcome(id, clock.mono() + 5_000)
      if (outcome?.kind !== "adopted") throw new Error(`not adopted: ${JSON.stringify(outcome)}`)
    }
  }

  return {
    base,
    pool,
    module,
    attempts,
    requests,
    add,
    post: (body: unknown, headers: Record<string, string> = {}, path = "/responses") =>
      fetch(base + path, {
        method: "POST",
        headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    get: (path: string, headers: Record<string, string> = {}) =>
      fetch(base + path, { headers: { authorization: `Bearer ${KEY}`, ...headers } }),
    async stop(): Promise<void> {
      await edge.stop(true)
      await pool.close(100)
      metrics.close()
      store.close()
    },
  }
}

export type Stack = Awaited<ReturnType<typeof startStack>>

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex")
}
