import type { Config } from "../../../src/config/types.ts"
import { createEdge, type Edge, type EdgeDeps, mount } from "../../../src/http/edge.ts"
import type { AccessEntry } from "../../../src/http/guard.ts"
import type { OAuthProvider } from "../../../src/http/ports.ts"
import type { LogFields } from "../../../src/observe/ports.ts"
import { clientRequest, responseOf } from "../../support/requests.ts"
import { KEY, testConfig } from "./config.ts"
import { FakePool } from "./pool.ts"
import { HandTime } from "./time.ts"
import { ToyRelay, toyModule, toyOAuth } from "./toy.ts"

export interface Bench {
  readonly edge: Edge
  readonly pool: FakePool
  readonly relay: ToyRelay
  readonly time: HandTime
  readonly access: AccessEntry[]
  /** Statuses of requests that nobody could make out. */
  readonly refused: number[]
  readonly logged: { readonly event: string; readonly fields: LogFields }[]
  readonly live: { current: Config }
  /** In-process request with the key. */
  ask(path: string, init?: RequestInit): Promise<Response>
  /** In-process request as it is, from an address. */
  bare(path: string, init?: RequestInit, address?: string): Promise<Response>
}

export interface BenchOptions {
  readonly config?: Config
  readonly oauth?: OAuthProvider
  readonly deps?: Partial<EdgeDeps>
}

/** An edge with one toy provider named "toy". */
export function bench(options: BenchOptions = {}): Bench {
  const pool = new FakePool()
  const relay = new ToyRelay()
  const time = new HandTime()
  const access: AccessEntry[] = []
  const refused: number[] = []
  const logged: { event: string; fields: LogFields }[] = []
  const live = { current: options.config ?? testConfig() }
  const write = (event: string, fields: LogFields = {}) => void logged.push({ event, fields })
  const log = { trace: write, debug: write, info: write, warn: write, error: write, child: () => log }
  const edge = createEdge({
    config: live,
    clock: time,
    timers: time,
    log,
    providers: [mount(toyModule("toy", options.oauth ?? toyOAuth("toy")), pool, relay)],
    ready: () => [],
    metrics: { text: async () => "toy_total 1\n", contentType: "text/plain; version=0.0.4" },
    usage: (query) => ({ query }),
    reload: async () => ({ ok: true, changed: [], needsRestart: [], encryptionKeyId: null }),
    access: (entry) => void access.push(entry),
    refused: (status) => void refused.push(status),
    ...options.deps,
  })
  const bare: Bench["bare"] = async (path, init, address = "127.0.0.1") =>
    responseOf(
      edge.handle(clientRequest(new Request(`http://localhost${path}`, { redirect: "manual", ...init }), address)),
    )
  const ask: Bench["ask"] = (path, init = {}) => {
    const headers = new Headers(init.headers)
    headers.set("authorization", `Bearer ${KEY}`)
    return bare(path, { ...init, headers })
  }
  return { edge, pool, relay, time, access, refused, logged, live, ask, bare }
}

/** POST with a JSON body. */
export function posted(value: unknown): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) }
}
