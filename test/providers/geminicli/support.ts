/** What the tests of this provider share: calls, leases, and a provider that talks to a fake Google over real sockets. */
import { afterEach } from "bun:test"
import type { GeminicliSettings } from "../../../src/config/types.ts"
import type { ProviderModule } from "../../../src/http/ports.ts"
import { type Clock, systemClock, systemTimers, type Timers } from "../../../src/observe/clock.ts"
import type { Log } from "../../../src/observe/ports.ts"
import type { GeminiCall } from "../../../src/providers/geminicli/call.ts"
import { createGeminicli } from "../../../src/providers/geminicli/index.ts"
import { type Asked, parseRequest } from "../../../src/providers/geminicli/request.ts"
import { createUpstreams } from "../../../src/relay/fetcher.ts"
import type { Failure, JudgeContext } from "../../../src/relay/ports.ts"
import type { Lease } from "../../../src/scheduler/ports.ts"
import { type FakeAccount, type FakeGoogle, type FakeGoogleOptions, startFakeGoogle } from "../../fakes/google.ts"

export const NOW = Date.UTC(2026, 7, 1, 12)
export const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text)
export const text = (data: Uint8Array | null | undefined): string => new TextDecoder().decode(data ?? new Uint8Array(0))
/** Text that lies in pieces. */
export const textIn = (pieces: readonly Uint8Array[]): string => text(Buffer.concat(pieces))

export const hello = { contents: [{ role: "user", parts: [{ text: "hi" }] }] }

export function callOf(body: unknown, asked: Partial<Asked> = {}): GeminiCall {
  const json = typeof body === "string" ? body : JSON.stringify(body)
  const parsed = parseRequest(bytes(json), {
    model: "gemini-2.5-pro",
    verb: "streamGenerateContent",
    form: "sse",
    sessions: [],
    promptId: bytes("prompt"),
    ...asked,
  })
  if (parsed.call === null) throw new Error(`the body was refused: ${parsed.fault.message}`)
  return parsed.call
}

export const leaseOf = (over: Partial<Lease> = {}): Lease => ({
  id: 1,
  credential: 1,
  model: "gemini-2.5-pro",
  token: "ya29.token-of-the-lease",
  generation: 3,
  identity: { sub: "100000000001", account: "the-project", email: "owner@example.test", plan: null },
  sticky: false,
  ...over,
})

export const contextOf = (over: Partial<JudgeContext> = {}): JudgeContext => ({
  now: NOW,
  attempts: 1,
  before: () => 0,
  seen: () => 1,
  ...over,
})

export const status = (code: number, body: unknown, headers: Record<string, string> = {}): Failure => ({
  kind: "status",
  status: code,
  headers: new Headers(headers),
  body: typeof body === "string" ? body : JSON.stringify(body),
})

const cleanups: (() => unknown)[] = []
/** Done after the test, the latest first. */
export const cleanup = (task: () => unknown): void => void cleanups.push(task)
afterEach(async () => {
  for (const task of cleanups.splice(0).toReversed()) await task()
})

export const silent: Log = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
}

export interface Rig {
  readonly google: FakeGoogle
  readonly settings: { current: GeminicliSettings }
  readonly module: ProviderModule<GeminiCall>
  /** A lease with a token that the fake knows. */
  lease(account: FakeAccount): Lease
}

export function settingsFor(url: string, over: Partial<GeminicliSettings> = {}): GeminicliSettings {
  return {
    enableMultiplexing: false,
    retryMaxTimes: 3,
    proxy: null,
    firstByteTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    retryWindowMs: 5_000,
    maxWaitMs: 1_000,
    oauthTps: 5,
    modelList: ["gemini-2.5-pro", "gemini-3-pro-preview", "odd-model"],
    apiUrl: url,
    authUrl: `${url}/o/oauth2/v2/auth`,
    tokenUrl: `${url}/token`,
    clientVersion: "0.61.0",
    ...over,
  }
}

/** Pauses take no time. */
export const hasty: Timers = { after: (_, task) => systemTimers.after(0, task) }

/** Everything is stopped after the test. */
export function rig(options: FakeGoogleOptions = {}, timers: Timers = hasty, clock: Clock = systemClock): Rig {
  const google = startFakeGoogle(options)
  cleanup(() => google.stop())
  const settings = { current: settingsFor(google.url) }
  const module = createGeminicli(
    { settings, ...createUpstreams({ settings, log: silent }), clock, random: () => 0.5, log: silent },
    timers,
  )
  return {
    google,
    module,
    settings,
    lease: (account) =>
      leaseOf({
        credential: google.accounts.indexOf(account) + 1,
        token: google.issue(account),
        identity: { sub: account.sub, account: account.project ?? "", email: account.email, plan: account.tier },
      }),
  }
}
