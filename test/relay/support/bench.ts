import { afterEach } from "bun:test"
import { Listener } from "../../../src/http/listener.ts"
import { systemClock, systemTimers } from "../../../src/observe/clock.ts"
import type { HaltSignal } from "../../../src/observe/halt.ts"
import type { Log } from "../../../src/observe/ports.ts"
import type { AttemptRecord, Inbound, Relay, RelaySettings, RequestRecord } from "../../../src/relay/ports.ts"
import { createRelay } from "../../../src/relay/relay.ts"
import { type FakePool, fakePool } from "./pool.ts"
import type { HandTime } from "./time.ts"
import { type Rule, type Toy, type ToyCall, type ToyOptions, toyCall, toyProvider } from "./toy.ts"
import { type Script, startUpstream, type Upstream } from "./upstream.ts"

export interface Bench {
  readonly upstream: Upstream
  readonly provider: Toy
  readonly pool: FakePool
  readonly relay: Relay<ToyCall>
  /** Base URL of a server whose every POST is relayed; the body's text decides the call. */
  readonly url: string
  readonly attempts: AttemptRecord[]
  readonly requests: RequestRecord[]
  readonly logged: string[]
  /** Resolves when `count` requests have been recorded. */
  recorded(count: number): Promise<void>
}

export interface BenchOptions {
  readonly script: Script
  readonly credentials?: number
  readonly pool?: FakePool
  readonly rules?: Readonly<Record<string, Rule>>
  readonly judge?: NonNullable<ToyOptions["judge"]>
  readonly settings?: Partial<RelaySettings>
  readonly call?: Partial<ToyCall>
  readonly answerHeaders?: boolean
  readonly random?: () => number
  readonly time?: HandTime
  readonly change?: (toy: Toy) => Toy
}

const open: (() => void)[] = []

afterEach(() => {
  for (const stop of open.splice(0)) stop()
})

export const SETTINGS: RelaySettings = {
  retryMaxTimes: 3,
  firstByteTimeoutMs: 5_000,
  idleTimeoutMs: 5_000,
  retryWindowMs: 5_000,
  maxWaitMs: 1_000,
}

export const inbound = (signal: HaltSignal, over: Partial<Inbound> = {}): Inbound => ({
  id: "request",
  signal,
  startedAt: performance.now(),
  principal: "default",
  method: "POST",
  path: "/toy",
  userAgent: "test",
  address: "192.0.2.7",
  ...over,
})

/** A scripted upstream, a toy provider, a counting pool and a relay behind a real server. All are stopped after the test. */
export function bench(options: BenchOptions): Bench {
  const upstream = startUpstream(options.script)
  const pool = options.pool ?? fakePool(options.credentials ?? 2)
  const toy = toyProvider({
    url: upstream.url,
    ...(options.rules && { rules: options.rules }),
    ...(options.judge && { judge: options.judge }),
  })
  const provider = options.change?.(toy) ?? toy
  const attempts: AttemptRecord[] = []
  const requests: RequestRecord[] = []
  const logged: string[] = []
  const note = (text: string): void => void logged.push(text)
  const log: Log = { trace: note, debug: note, info: note, warn: note, error: note, child: () => log }
  let waiting: { count: number; resolve: () => void }[] = []
  const relay = createRelay({
    provider,
    pool,
    settings: { current: { ...SETTINGS, ...options.settings } },
    clock: options.time?.clock ?? systemClock,
    timers: options.time?.timers ?? systemTimers,
    random: options.random ?? (() => 0.5),
    recorder: {
      attempt: (record) => void attempts.push(record),
      finish(record) {
        requests.push(record)
        for (const waiter of waiting) if (waiter.count <= requests.length) waiter.resolve()
        waiting = waiting.filter((waiter) => waiter.count > requests.length)
      },
    },
    log,
    answerHeaders: { current: options.answerHeaders ?? false },
  })
  const server = new Listener({
    clock: systemClock,
    timers: systemTimers,
    log,
    refused: () => undefined,
    async handle(request) {
      const text = new TextDecoder().decode(await request.bytes())
      const call = toyCall({
        ...options.call,
        ...(request.target.query === "unary" && { stream: false }),
        ...(text && { text }),
      })
      const startedAt = (options.time?.clock ?? systemClock).mono()
      return relay.serve(call, inbound(request.signal, { startedAt }))
    },
  })
  const { url } = server.listen("127.0.0.1", 0)
  open.push(() => {
    relay.abortAll()
    void server.stop(true)
    upstream.stop()
  })
  return {
    upstream,
    provider,
    pool,
    relay,
    url: `${url}/`,
    attempts,
    requests,
    logged,
    recorded(count) {
      if (requests.length >= count) return Promise.resolve()
      return new Promise((resolve) => waiting.push({ count, resolve }))
    },
  }
}

/** Answers by credential: a list of scripts each, the last of which repeats. */
export function byCredential(scripts: Readonly<Record<number, readonly Script[]>>): Script {
  const seen = new Map<number, number>()
  return (exchange) => {
    const credential = Number(/token-(\d+)/.exec(exchange.headers.get("authorization") ?? "")?.[1])
    const list = scripts[credential] ?? []
    const turn = seen.get(credential) ?? 0
    seen.set(credential, turn + 1)
    return list[Math.min(turn, list.length - 1)]?.(exchange)
  }
}

/** A whole stream: these events, one chunk each, then the end. */
export const streams =
  (...events: readonly string[]): Script =>
  async (exchange) => {
    await exchange.head(200)
    for (const text of events) await exchange.chunk(text)
    await exchange.end()
  }

export const answers =
  (status: number, body = "{}", headers: Readonly<Record<string, string>> = {}): Script =>
  (exchange) =>
    exchange.answer(status, body, headers)
