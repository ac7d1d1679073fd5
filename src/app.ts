/** Composes the parts into one running app: start order, stop order, reload. No logic of its own. */
import type { Loaded } from "./config/load.ts"
import { applyReload, diffReload } from "./config/reload.ts"
import type { Config } from "./config/types.ts"
import { logAccess } from "./http/access.ts"
import { createEdge, type Mounted, mount } from "./http/edge.ts"
import { rejectionOf } from "./http/faults.ts"
import type { ReloadOutcome } from "./http/health.ts"
import type { ProviderDeps, ProviderModule } from "./http/ports.ts"
import { systemClock as clock, type Live, systemTimers as timers } from "./observe/clock.ts"
import type { RootLog } from "./observe/log.ts"
import { createMetrics } from "./observe/metrics.ts"
import { createCodex } from "./providers/codex/index.ts"
import { createGeminicli } from "./providers/geminicli/index.ts"
import { createUpstreams } from "./relay/fetcher.ts"
import type { CallBase } from "./relay/ports.ts"
import { createRecorder } from "./relay/recorder.ts"
import { createRelay } from "./relay/relay.ts"
import { createPool } from "./scheduler/actor.ts"
import { metered } from "./scheduler/metered.ts"
import { keyId } from "./store/cipher.ts"
import { openStore } from "./store/open.ts"
import { usageReport } from "./store/usage-report.ts"
import { UsageTotals } from "./store/usage-totals.ts"

export interface AppDeps {
  readonly config: Config
  readonly log: RootLog
  readonly version: string
  /** Reads the configuration again. */
  readonly reload: () => Loaded
}

export interface App {
  readonly url: string
  reload(): Promise<ReloadOutcome>
  /** Drains, then closes everything. True when every request was finished in time. */
  stop(reason: string): Promise<boolean>
}

/** After the drain deadline, how long streams get to send their last event. */
const LAST_WORDS_MS = 2_000
/** How long a token refresh in flight is awaited at the end, so that its tokens are stored. */
const REFRESH_GRACE_MS = 10_000

/**
 * Starts everything: store, pools, relays, and the port last, so that nothing is accepted before it can be served.
 * @throws StoreError, PortError: with a message for people and an exit code
 */
export async function startApp(deps: AppDeps): Promise<App> {
  const { log } = deps
  const config: { current: Config } = { current: deps.config }
  const live = <T>(pick: (config: Config) => T): Live<T> => ({
    get current() {
      return pick(config.current)
    },
  })

  const store = openStore({
    path: config.current.basic.databasePath,
    encryptionKey: config.current.basic.encryptionKey,
    previousKeys: config.current.basic.previousEncryptionKeys,
    clock,
    log: log.child({ part: "store" }),
  })
  const metrics = createMetrics({ version: deps.version, clock, timers, ready: () => store.trouble() === null })
  const usage = new UsageTotals(store.usage, { clock, timers, log })
  const recorder = createRecorder({ log, metrics, usage, clock })

  function compose<S extends Config["providers"][keyof Config["providers"]], C extends CallBase>(
    pick: (config: Config) => S,
    create: (deps: ProviderDeps<S>) => ProviderModule<C>,
  ): Mounted<C> {
    const settings = live(pick)
    const module = create({
      settings,
      clock,
      log,
      random: Math.random,
      ...createUpstreams({ settings, log, clock, timers }),
    })
    const { name } = module
    const pool = createPool({
      name,
      settings,
      clock,
      timers,
      random: Math.random,
      source: store.source(name),
      refresher: metered(module.refresher, (outcome) => metrics.refresh(name, outcome)),
      quotas: module.quotas,
      log: log.child({ provider: name }),
    })
    pool.subscribe((event) => {
      if (event.event === "seed") metrics.seed(name, event.outcome.kind)
    }, "seed")
    const answerHeaders = live((c) => c.basic.answerHeaders)
    const relay = createRelay({
      provider: module.provider,
      pool,
      settings,
      clock,
      timers,
      random: Math.random,
      recorder,
      log,
      answerHeaders,
    })
    metrics.watch({ provider: name, pool, relay })
    return mount(module, pool, relay)
  }

  const gemini = compose((c) => c.providers.geminicli, createGeminicli)
  const codex = compose((c) => c.providers.codex, createCodex)
  const pools = [gemini.pool, codex.pool]
  const relays = [gemini.relay, codex.relay]
  allow(config.current)

  /** Label values that metrics may show. */
  function allow({ keys, providers }: Config): void {
    metrics.allow({
      principals: ["default", "admin", ...keys.map((key) => key.name)],
      models: Object.fromEntries(Object.entries(providers).map(([name, { modelList }]) => [name, modelList])),
    })
  }

  /** Brings the stored tokens under the key that is configured now; what kept it from doing so, or null. */
  function rekey(key: string | null): string | null {
    if (key === config.current.basic.encryptionKey) return null
    try {
      const values = store.reencrypt(key)
      // Somebody may have lost the line by mistake.
      if (key === null) log.warn("stored tokens are plain now", { values })
      else log.info("stored tokens are under another key now", { values })
      return null
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.error("reload refused: stored tokens stay under the old key", { reason })
      return `basic.encryption_key: the stored tokens could not be brought under it: ${reason}`
    }
  }

  async function reload(): Promise<ReloadOutcome> {
    const loaded = deps.reload()
    if (!loaded.ok) {
      for (const problem of loaded.problems) log.error("reload refused, the old configuration stays", { problem })
      return { ok: false, problems: loaded.problems }
    }
    const problem = rekey(loaded.config.basic.encryptionKey)
    if (problem !== null) return { ok: false, problems: [problem] }
    const { live: changed, restart: needsRestart } = diffReload(config.current, loaded.config)
    config.current = applyReload(config.current, loaded.config)
    log.setLevel(loaded.config.basic.logLevel)
    allow(loaded.config)
    for (const warning of loaded.warnings) log.warn(warning)
    log.info("configuration reloaded", { changed, needs_restart: needsRestart })
    const encryptionKeyId = keyId(loaded.config.basic.encryptionKey)
    return { ok: true, changed, needsRestart, encryptionKeyId }
  }

  const edge = createEdge({
    config,
    clock,
    timers,
    log,
    providers: [gemini, codex],
    metrics,
    ready() {
      const trouble = store.trouble()
      return trouble === null ? [] : [trouble]
    },
    usage(query) {
      usage.flush()
      return usageReport(store.usage, query, clock.wall())
    },
    reload,
    access: (entry) => {
      logAccess(log, entry)
      rejected(entry.status)
    },
    refused: rejected,
  })

  function rejected(status: number): void {
    const rejection = rejectionOf(status)
    if (rejection !== null) metrics.rejected(rejection)
  }

  async function close(): Promise<void> {
    await Promise.all(pools.map((pool) => pool.close(REFRESH_GRACE_MS)))
    usage.close()
    metrics.close()
    store.close()
  }

  let url: string
  try {
    url = edge.listen().url
  } catch (error) {
    await close()
    throw error
  }
  log.info("listening", { url, version: deps.version, pid: process.pid })

  return {
    url,
    reload,
    async stop(reason) {
      log.info("draining", { reason, open: edge.active(), at_most_s: config.current.basic.drainTimeoutMs / 1000 })
      edge.drain()
      const idle = () => edge.active() === 0
      const clean = await until(idle, config.current.basic.drainTimeoutMs)
      if (!clean) {
        log.warn("drain timeout: open streams are ended", { open: edge.active() })
        for (const relay of relays) relay.abortAll()
        await until(idle, LAST_WORDS_MS)
      }
      await edge.stop(!clean)
      await close()
      log.info("stopped", { clean })
      return clean
    },
  }
}

/** Polls, since what it waits for has many causes; true when it came in time. */
async function until(condition: () => boolean, ms: number): Promise<boolean> {
  const deadline = clock.mono() + ms
  while (!condition()) {
    if (clock.mono() >= deadline) return false
    await Bun.sleep(20)
  }
  return true
}
