/**
 * A stand-in for auth.openai.com and chatgpt.com on loopback that behaves like them where it hurts: refresh tokens rotate and reuse
 * revokes the family, requests are refused for what the real backend refuses, `response.completed` has an empty `output`.
 *
 *     const fake = startFakeOpenAI()
 *     fake.addAccount({ plan: "plus" })
 *     fake.fault(fake.accounts[0], { kind: "usage_limit", resetsAt: 1_900_000_000 })
 *     writeFileSync("config.toml", fake.config())        // [providers.codex] pointing here
 *     ...
 *     await fake.stop()
 *
 * Known models are `DEFAULT_MODELS`. It starts with one account; `refreshToken` of an account is what goes into `resource:add`.
 */
import { createServer, type IncomingMessage } from "node:http"
import { type AccountOptions, Accounts, type FakeAccount } from "./openai/accounts.ts"
import { Backend, type BackendState } from "./openai/backend.ts"
import type { Json, Reply } from "./openai/events.ts"
import { Exchange, type RecordedRequest } from "./openai/exchange.ts"
import type { Fault, TokenFault } from "./openai/faults.ts"
import { Issuer, type IssuerState } from "./openai/issuer.ts"
import type { FakeModel } from "./openai/rules.ts"

export type { FakeAccount } from "./openai/accounts.ts"
export type { Reply } from "./openai/events.ts"
export type { RecordedRequest } from "./openai/exchange.ts"
export type { Fault, TokenFault } from "./openai/faults.ts"
export type { FakeModel } from "./openai/rules.ts"

export const DEFAULT_MODELS: readonly FakeModel[] = [
  { slug: "gpt-5.2", minimalClientVersion: "0.80.0" },
  { slug: "gpt-5.2-codex", minimalClientVersion: "0.80.0" },
  { slug: "gpt-5.3-codex", minimalClientVersion: "0.95.0" },
  { slug: "gpt-5.5", minimalClientVersion: "0.124.0" },
  { slug: "gpt-5.6-sol", minimalClientVersion: "0.144.0" },
  { slug: "gpt-9-future", minimalClientVersion: "9.0.0" },
]

const USAGE_PATH = "/backend-api/wham/usage"

export interface FakeOpenAIOptions {
  /** 0 (default) lets the system choose. */
  readonly port?: number
  /** Accounts to begin with; default one. */
  readonly accounts?: number
  /** Lifetime of access tokens in seconds; default ten days, as in life. */
  readonly accessSeconds?: number
  readonly models?: readonly FakeModel[]
  readonly eventDelayMs?: number
  /** Wall clock in milliseconds. */
  readonly now?: () => number
}

export interface FakeOpenAI {
  readonly url: string
  readonly apiUrl: string
  readonly authUrl: string
  readonly tokenUrl: string
  readonly accounts: readonly FakeAccount[]
  /** Every request so far, in order of arrival, but for readings of usage. */
  readonly requests: readonly RecordedRequest[]
  /** Readings of usage (`/wham/usage`), which nobody waits for and which come when they like. */
  readonly readings: readonly RecordedRequest[]
  /** Requests to a path that ends with `path`. */
  requestsTo(path: string): readonly RecordedRequest[]
  addAccount(options?: AccountOptions): FakeAccount
  /** Queues faults for one account's next requests, or (null) for the next requests of any account without one. */
  fault(account: FakeAccount | null, ...faults: readonly Fault[]): void
  tokenFault(...faults: readonly TokenFault[]): void
  clearFaults(): void
  /** The usage limit that a fault told of is over, before its reset: usage says so from now on. */
  lift(account: FakeAccount): void
  /** Usage answers 503 from now on. */
  muteUsage(): void
  expireAccess(account: FakeAccount): void
  revoke(account: FakeAccount): void
  isLive(refreshToken: string): boolean
  /** A token set of a new login, as the code exchange gives it. */
  login(account: FakeAccount): ReturnType<Accounts["login"]>
  /** Lifetime in seconds of access tokens issued from now on. */
  setAccessSeconds(seconds: number): void
  /** Who the authorize page logs in; null sends `access_denied` with this description back. */
  visit(account: FakeAccount | null, denial?: string): void
  /** A redirect URI to accept beside the two registered ones. */
  allowRedirect(uri: string): void
  /** Says yes to a device login. */
  approveDevice(userCode: string, account: FakeAccount): boolean
  /** Replaces the default answers; the function may return null for the default one. */
  reply(make: ((request: Json, account: FakeAccount) => Reply | null) | null): void
  /** Refuses this parameter too. */
  refuseParameter(name: string): void
  setModels(models: readonly FakeModel[]): void
  setEventDelay(ms: number): void
  /** The `[providers.codex]` lines that point Pollux here. */
  config(modelList?: readonly string[]): string
  stop(): Promise<void>
}

export function startFakeOpenAI(options: FakeOpenAIOptions = {}): FakeOpenAI {
  const now = options.now ?? Date.now
  const accounts = new Accounts(now, options.accessSeconds ?? 864_000)
  for (let i = 0; i < (options.accounts ?? 1); i += 1) accounts.add()
  const requests: RecordedRequest[] = []
  const readings: RecordedRequest[] = []
  const backendState: BackendState = {
    accounts,
    models: options.models ?? DEFAULT_MODELS,
    reply: null,
    eventDelayMs: options.eventDelayMs ?? 0,
    unsupported: new Set(),
    faults: [],
    usageMuted: false,
    now,
  }
  const issuerState: IssuerState = {
    accounts,
    visitor: accounts.all[0] ?? null,
    denial: "missing_codex_entitlement",
    redirects: new Set(),
    tokenFaults: [],
  }
  let url = ""
  const backend = new Backend(backendState)
  const issuer = new Issuer(issuerState, () => url)

  const routes: Readonly<Record<string, (exchange: Exchange, rawQuery: string) => void | Promise<void>>> = {
    "GET /oauth/authorize": (exchange, rawQuery) => issuer.authorize(exchange, rawQuery),
    "POST /oauth/token": (exchange) => issuer.token(exchange),
    "POST /api/accounts/deviceauth/usercode": (exchange) => issuer.deviceUserCode(exchange),
    "POST /api/accounts/deviceauth/token": (exchange) => issuer.deviceToken(exchange),
    "POST /backend-api/codex/responses": (exchange) => backend.responses(exchange),
    "POST /backend-api/codex/responses/compact": (exchange) => backend.compact(exchange),
    "GET /backend-api/codex/models": (exchange) => backend.models(exchange),
    [`GET ${USAGE_PATH}`]: (exchange) => backend.usage(exchange),
  }

  const server = createServer(async (request, response) => {
    const [path = "", rawQuery = ""] = (request.url ?? "").split("?", 2)
    const body = await readBody(request)
    const closed = new Promise<void>((done) => response.once("close", done))
    const record: RecordedRequest = {
      at: now(),
      method: request.method ?? "",
      path,
      query: new URLSearchParams(rawQuery),
      headers: flatten(request),
      body,
      json: parse(body),
      account: null,
      status: null,
      aborted: false,
      closed,
    }
    response.once("close", () => {
      record.aborted = !response.writableFinished
    })
    if (path === USAGE_PATH) readings.push(record)
    else requests.push(record)
    const exchange = new Exchange(record, request, response)
    const handler = routes[`${record.method} ${path}`]
    if (handler === undefined) return exchange.json(404, { detail: "Not Found" })
    await handler(exchange, rawQuery)
  })
  server.keepAliveTimeout = 60_000
  server.listen(options.port ?? 0, "127.0.0.1")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the fake has no port")
  url = `http://127.0.0.1:${address.port}`

  const apiUrl = `${url}/backend-api/codex`
  return {
    url,
    apiUrl,
    authUrl: `${url}/oauth/authorize`,
    tokenUrl: `${url}/oauth/token`,
    accounts: accounts.all,
    requests,
    readings,
    requestsTo: (path) => requests.filter((request) => request.path.endsWith(path)),
    addAccount: (account) => accounts.add(account),
    fault: (account, ...faults) => {
      const queue = account === null ? backendState.faults : account.faults
      queue.push(...faults)
    },
    tokenFault: (...faults) => {
      issuerState.tokenFaults.push(...faults)
    },
    clearFaults: () => {
      backendState.faults.length = 0
      issuerState.tokenFaults.length = 0
      for (const account of accounts.all) account.faults.length = 0
    },
    lift: (account) => {
      account.limitedUntil = null
    },
    muteUsage: () => {
      backendState.usageMuted = true
    },
    expireAccess: (account) => accounts.expireAccess(account),
    revoke: (account) => accounts.revoke(account),
    isLive: (token) => accounts.isLive(token),
    login: (account) => accounts.login(account),
    setAccessSeconds: (seconds) => {
      accounts.accessSeconds = seconds
    },
    visit: (account, denial) => {
      issuerState.visitor = account
      issuerState.denial = denial ?? issuerState.denial
    },
    allowRedirect: (uri) => {
      issuerState.redirects.add(uri)
    },
    approveDevice: (userCode, account) => issuer.approve(userCode, account),
    reply: (make) => {
      backendState.reply = make
    },
    refuseParameter: (name) => {
      backendState.unsupported.add(name)
    },
    setModels: (models) => {
      backendState.models = models
    },
    setEventDelay: (ms) => {
      backendState.eventDelayMs = ms
    },
    config: (modelList = ["gpt-5.2-codex", "gpt-5.2", "gpt-5.3-codex"]) =>
      [
        "[providers.codex]",
        `api_url = "${apiUrl}"`,
        `auth_url = "${url}/oauth/authorize"`,
        `token_url = "${url}/oauth/token"`,
        `model_list = ${JSON.stringify(modelList)}`,
        "",
      ].join("\n"),
    stop: async () => {
      const stopped = new Promise<void>((done) => server.close(() => done()))
      server.closeAllConnections()
      await stopped
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(Buffer.from(chunk))
  } catch {
    // The caller went away while sending: what came is what is recorded.
  }
  return Buffer.concat(chunks).toString("utf8")
}

function flatten(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value
  }
  return headers
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
