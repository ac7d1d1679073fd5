/** A Codex provider that talks to a fake over real sockets, and values for its pure parts. */

import type { CodexSettings } from "../../../src/config/types.ts"
import type { ApiContext } from "../../../src/http/ports.ts"
import { systemClock } from "../../../src/observe/clock.ts"
import type { Log } from "../../../src/observe/ports.ts"
import { accept } from "../../../src/providers/codex/accept.ts"
import type { CodexCall } from "../../../src/providers/codex/call.ts"
import { callerOf } from "../../../src/providers/codex/caller.ts"
import { createCodex } from "../../../src/providers/codex/index.ts"
import { createUpstreams } from "../../../src/relay/fetcher.ts"
import type { JudgeContext } from "../../../src/relay/ports.ts"
import type { Lease } from "../../../src/scheduler/ports.ts"
import type { FakeAccount, FakeOpenAI } from "../../fakes/openai.ts"
import { clientRequest } from "../../support/requests.ts"
import { amid } from "../../support/spans.ts"

export const MODELS = ["gpt-5.2-codex", "gpt-5.2", "gpt-5.5", "gpt-9-future"]
export const VERSION = "0.155.0"

export const silent: Log = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silent,
}

export function settingsOf(fake: FakeOpenAI | null, changes: Partial<CodexSettings> = {}): CodexSettings {
  return {
    enableMultiplexing: false,
    retryMaxTimes: 3,
    proxy: null,
    firstByteTimeoutMs: 2_000,
    idleTimeoutMs: 2_000,
    retryWindowMs: 10_000,
    maxWaitMs: 1_000,
    oauthTps: 100,
    modelList: MODELS,
    apiUrl: fake?.apiUrl ?? "http://127.0.0.1:1",
    authUrl: fake?.authUrl ?? "http://127.0.0.1:1/oauth/authorize",
    tokenUrl: fake?.tokenUrl ?? "http://127.0.0.1:1/oauth/token",
    clientVersion: VERSION,
    originator: "codex_cli_rs",
    ...changes,
  }
}

export function codexFor(fake: FakeOpenAI | null, changes: Partial<CodexSettings> = {}) {
  const settings = { current: settingsOf(fake, changes) }
  const upstreams = createUpstreams({ settings, log: silent })
  return createCodex({ settings, ...upstreams, clock: systemClock, random: () => 0.5, log: silent })
}

export function leaseOf(account: FakeAccount, token: string, more: Partial<Lease> = {}): Lease {
  return {
    id: 1,
    credential: 7,
    model: "gpt-5.2-codex",
    token,
    generation: 1,
    identity: { sub: account.sub, account: account.accountId, email: account.email, plan: account.plan },
    sticky: false,
    ...more,
  }
}

export const plainLease: Lease = {
  id: 1,
  credential: 7,
  model: "gpt-5.2-codex",
  token: "the-access-token",
  generation: 3,
  identity: { sub: "auth0|someone", account: "4f1d2c3b-account", email: "someone@example.com", plan: "plus" },
  sticky: false,
}

export function contextOf(
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  models: string[] | null = null,
) {
  const bytes = new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body))
  const request = clientRequest(new Request("http://127.0.0.1/codex/v1/responses", { method: "POST", headers }))
  const context: ApiContext = {
    request,
    path: "/codex/v1/responses",
    query: new URLSearchParams(),
    principal: { name: "default", admin: false, models },
    inbound: {
      id: "request-1",
      signal: new AbortController().signal,
      startedAt: 0,
      principal: "default",
      method: "POST",
      path: "/codex/v1/responses",
      userAgent: headers["user-agent"] ?? "",
      address: "192.0.2.7",
    },
  }
  return { context, bytes }
}

/** The call that a client's request becomes. */
export async function callOf(
  body: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
  endpoint: CodexCall["endpoint"] = "responses",
): Promise<CodexCall> {
  const deps = { modelList: MODELS, clientVersion: VERSION, refused: () => [] }
  const { context, bytes } = contextOf({ model: "gpt-5.2-codex", ...body }, headers)
  const accepted = accept(context, amid(bytes), endpoint, deps)
  if (accepted.call === null) throw new Error(accepted.error.body)
  return accepted.call
}

export const plainCall: CodexCall = {
  model: "gpt-5.2-codex",
  stream: true,
  sessions: [],
  endpoint: "responses",
  body: JSON.stringify({ model: "gpt-5.2-codex", input: [] }),
  headers: {},
  turnState: null,
  caller: callerOf(new Headers()),
  version: VERSION,
  parametersDropped: 0,
}

/** `past`: causes this credential failed with before; `others`: distinct credentials per cause, this one included. */
export function judgeContext(
  past: readonly string[] = [],
  others: Readonly<Record<string, number>> = {},
): JudgeContext {
  return {
    now: NOW,
    attempts: past.length + 1,
    before: (cause) => past.filter((name) => name === cause).length,
    seen: (cause) => others[cause] ?? 1,
  }
}

/** 2026-11-22T12:00:00Z */
export const NOW = 1_795_348_800_000

export function bodyOf(call: CodexCall): Record<string, unknown> {
  const text = typeof call.body === "string" ? call.body : new TextDecoder().decode(call.body)
  const value: unknown = JSON.parse(text)
  if (typeof value !== "object" || value === null) throw new Error("the body is no object")
  return { ...value }
}
