/** `GET /codex/v1/models` in both forms (spec codex 8.1). */
import type { CodexSettings } from "../../config/types.ts"
import type { Clock, Live } from "../../observe/clock.ts"
import type { Log } from "../../observe/ports.ts"
import { networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import type { Lease, Pool } from "../../scheduler/ports.ts"
import { callerOf } from "./caller.ts"
import { isObject, type Json, parseObject } from "./json.ts"
import { credentialHeaders, identityHeaders } from "./upstream.ts"
import { isVersion } from "./version.ts"

/** Models carry no creation date upstream; a constant keeps the list the same over restarts. 2025-01-01T00:00:00Z. */
const CREATED = 1_735_689_600

export function modelList(models: readonly string[]): Json {
  const data = models.map((id) => ({ id, object: "model", created: CREATED, owned_by: "codex", display_name: id }))
  return { object: "list", data }
}

/** How long a catalogue is served from memory, as the CLI itself keeps it, in milliseconds. */
const FRESH_MS = 5 * 60_000
/** Pause after a failed fetch. */
const RETRY_MS = 10_000
const TIMEOUT_MS = 10_000
const LEASE_WAIT_MS = 5_000
const MAX_VERSIONS = 32

interface Entry {
  readonly catalogue: Json | null
  /** The upstream's own: answers name it in `x-models-etag`, and clients compare. */
  readonly etag: string | null
  /** Monotonic. */
  readonly until: number
}

export interface CatalogueDeps {
  readonly settings: Live<CodexSettings>
  readonly fetcher: Fetcher
  readonly clock: Clock
  readonly log: Log
  readonly isFedramp: (lease: Lease) => boolean
}

export interface Catalogue {
  readonly body: string
  readonly etag: string | null
}

/**
 * The Codex catalogue for one client version, as the upstream gives it for exactly that version: unknown enum values break older
 * clients. Fetched with a pooled credential, kept for five minutes, filtered by the allow list; empty where none is to be had.
 */
export class Catalogues {
  readonly #entries = new Map<string, Entry>()
  readonly #inFlight = new Map<string, Promise<Entry>>()

  constructor(private readonly deps: CatalogueDeps) {}

  async forVersion(version: string, pool: Pool, allowed: readonly string[]): Promise<Catalogue> {
    if (!isVersion(version)) return EMPTY
    const { catalogue, etag } = await this.#entry(version, pool)
    if (catalogue === null || !Array.isArray(catalogue.models)) return EMPTY
    const models = catalogue.models.filter((model) => isObject(model) && allowed.some((name) => name === model.slug))
    return { body: JSON.stringify({ ...catalogue, models }), etag }
  }

  async #entry(version: string, pool: Pool): Promise<Entry> {
    const now = this.deps.clock.mono()
    const known = this.#entries.get(version)
    if (known !== undefined && now < known.until) return known
    let fetching = this.#inFlight.get(version)
    if (fetching === undefined) {
      fetching = this.#fetch(version, pool, known ?? null).finally(() => this.#inFlight.delete(version))
      this.#inFlight.set(version, fetching)
    }
    return fetching
  }

  /** Never rejects. Not tied to the asking client's signal: others may wait for the same answer. */
  async #fetch(version: string, pool: Pool, before: Entry | null): Promise<Entry> {
    const { clock, log } = this.deps
    let entry: Entry
    try {
      const answer = await this.#ask(version, pool)
      entry = { ...answer, until: clock.mono() + FRESH_MS }
    } catch (error) {
      const reason = error instanceof CatalogueFault ? error.message : networkFailure(error).detail
      log.warn("catalogue_unavailable", { provider: "codex", version, reason })
      entry = { catalogue: before?.catalogue ?? null, etag: before?.etag ?? null, until: clock.mono() + RETRY_MS }
    }
    if (this.#entries.size >= MAX_VERSIONS && !this.#entries.has(version)) {
      const oldest = this.#entries.keys().next().value
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    this.#entries.delete(version)
    this.#entries.set(version, entry)
    return entry
  }

  async #ask(version: string, pool: Pool): Promise<{ catalogue: Json; etag: string | null }> {
    const { settings, fetcher, isFedramp } = this.deps
    const { apiUrl, originator, modelList: models } = settings.current
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const lease = await this.#lease(pool, models[0], signal)
    try {
      const headers = {
        ...identityHeaders(NOBODY, version, originator),
        ...credentialHeaders(lease, isFedramp(lease)),
        accept: "application/json",
      }
      const url = `${apiUrl}/models?client_version=${encodeURIComponent(version)}`
      const response = await fetcher(url, { method: "GET", headers, signal })
      const body = await response.text()
      if (response.status === 401) pool.report(lease, { do: "refresh", generation: lease.generation }, null)
      if (!response.ok) throw new CatalogueFault(`the upstream answered ${response.status}`)
      const catalogue = parseObject(body)
      if (catalogue === null || !Array.isArray(catalogue.models)) throw new CatalogueFault("the answer is no catalogue")
      return { catalogue, etag: response.headers.get("etag") }
    } finally {
      pool.release(lease, { served: false, quotas: [], plan: null, bind: [] })
    }
  }

  async #lease(pool: Pool, model: string | undefined, signal: AbortSignal): Promise<Lease> {
    if (model === undefined) throw new CatalogueFault("model_list is empty")
    const deadline = this.deps.clock.mono() + LEASE_WAIT_MS
    const ask = { model, sessions: [], exclude: NO_ONE, avoid: NO_ONE, only: null, deadline, signal }
    const { lease, refusal } = await pool.acquire(ask)
    if (lease === null) throw new CatalogueFault(`no credential: ${refusal.why}`)
    return lease
  }
}

class CatalogueFault extends Error {
  override readonly name = "CatalogueFault"
}

const EMPTY: Catalogue = { body: JSON.stringify({ models: [] }), etag: null }
const NO_ONE: ReadonlySet<number> = new Set()
const NOBODY = callerOf(new Headers())
