/**
 * A Google on loopback: OAuth (authorize, token, userinfo) and Cloud Code (loadCodeAssist, onboardUser, operations,
 * generateContent, streamGenerateContent, countTokens, retrieveUserQuota). It refuses what the real one refuses, does wrong what it is told to
 * do wrong, and records every request.
 *
 *     const google = startFakeGoogle()
 *     const account = google.addAccount({ tier: "standard-tier" })
 *     google.fault({ on: "generate", account, status: 429, body: errors.quotaExhausted("gemini-2.5-pro", 40_000) })
 *     writeFileSync("config.toml", `[basic]\npollux_key = "k"\n\n${google.config()}`)
 *     // add account.refreshToken to Pollux, talk to it, look at google.requests
 *     await google.stop()
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { answer, context, countTokens, merged } from "./google/answers.ts"
import { loadCodeAssist, onboardUser, operation, retrieveUserQuota } from "./google/assist.ts"
import { checkCount, checkGenerate, isJson, type Json } from "./google/envelope.ts"
import * as errors from "./google/errors.ts"
import { type Answer, authorize, token, userinfo } from "./google/oauth.ts"
import { writeStream } from "./google/stream.ts"
import type { Endpoint, FakeAccount, FakeGoogle, FakeGoogleOptions, Fault, Recorded } from "./google/types.ts"
import { World } from "./google/world.ts"

export type * from "./google/types.ts"
export { errors }

const METHODS: Readonly<Record<string, Endpoint>> = {
  "/v1internal:loadCodeAssist": "loadCodeAssist",
  "/v1internal:onboardUser": "onboardUser",
  "/v1internal:generateContent": "generateContent",
  "/v1internal:streamGenerateContent": "streamGenerateContent",
  "/v1internal:countTokens": "countTokens",
  "/v1internal:retrieveUserQuota": "retrieveUserQuota",
}

function endpointOf(method: string, path: string): Endpoint | "unknown" {
  if (method === "GET" && path === "/o/oauth2/v2/auth") return "authorize"
  if (method === "POST" && path === "/token") return "token"
  if (method === "GET" && path === "/oauth2/v2/userinfo") return "userinfo"
  if (method === "GET" && path.startsWith("/v1internal/operations/")) return "operation"
  return method === "POST" ? (METHODS[path] ?? "unknown") : "unknown"
}

export function startFakeGoogle(options: FakeGoogleOptions = {}): FakeGoogle {
  const world = new World(options)
  let open = 0
  const server = createServer((request, response) => {
    open++
    response.once("close", () => {
      open--
    })
    handle(world, request, response).catch((error: unknown) => {
      // A mistake in the fake itself must not look like an upstream fault.
      console.error("fake Google:", error)
      response.destroy()
    })
  })
  server.keepAliveTimeout = 60_000
  server.listen(options.port ?? 0, "127.0.0.1")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the fake Google has no port")
  const url = `http://127.0.0.1:${address.port}`
  return {
    url,
    requests: world.requests,
    accounts: world.accounts,
    addAccount: (account = {}) => world.add(account),
    issue: (account) => world.issue(account),
    expire: (account) => world.expire(account),
    revoke: (account) => {
      account.revoked = true
    },
    limit: (account, model, remaining, resetInMs) => {
      account.quota.set(model, { remaining, resetAt: Date.now() + resetInMs })
    },
    signIn: (as) => {
      world.browser = as
    },
    fault: (fault) => world.script(fault),
    clearFaults: () => world.clearFaults(),
    seen: (endpoint) =>
      (endpoint === "retrieveUserQuota" ? world.readings : world.requests).filter(
        (request) => request.endpoint === endpoint,
      ),
    forget: () => {
      world.requests.length = 0
      world.readings.length = 0
    },
    open: () => open,
    config: (extra = {}) =>
      [
        "[providers.geminicli]",
        `api_url = "${url}"`,
        `auth_url = "${url}/o/oauth2/v2/auth"`,
        `token_url = "${url}/token"`,
        ...Object.entries(extra).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
        "",
      ].join("\n"),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function handle(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://fake.invalid")
  const endpoint = endpointOf(request.method ?? "", url.pathname)
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(Buffer.from(piece))
  const body = Buffer.concat(pieces).toString("utf8")
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? ""
  const form = type === "application/x-www-form-urlencoded" ? new URLSearchParams(body) : null
  const json = type === "application/json" ? parse(body) : null
  const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1]
  const account =
    bearer !== undefined
      ? world.byAccess(bearer)
      : form === null
        ? null
        : world.byRefresh(form.get("refresh_token") ?? "")
  const record: Recorded = {
    endpoint,
    method: request.method ?? "",
    path: request.url ?? "",
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(", ") : (value ?? ""),
      ]),
    ),
    rawHeaders: request.rawHeaders,
    body,
    json: json ?? (form === null ? null : Object.fromEntries(form)),
    account,
    at: Date.now(),
    status: 0,
    aborted: false,
  }
  if (endpoint === "retrieveUserQuota") world.readings.push(record)
  else world.requests.push(record)
  response.once("close", () => {
    record.aborted = !response.writableFinished
    if (response.headersSent) record.status = response.statusCode
  })

  const model = typeof json?.model === "string" ? json.model : null
  const fault = endpoint === "unknown" ? null : world.fault(endpoint, account, model)
  if (fault !== null && (await misbehave(request, response, fault))) return

  const plain = (answer: Answer) => send(response, answer.status, answer.body, answer.headers)
  switch (endpoint) {
    case "unknown":
      return send(response, 404, errors.notFound())
    case "authorize":
      return plain(authorize(world, url.searchParams))
    case "token":
      return plain(token(world, form))
    case "userinfo":
      return plain(userinfo(account))
    default:
  }
  if (account === null) return send(response, 401, errors.unauthenticated())
  if (endpoint === "operation") return plain(operation(world, account, url.pathname.slice("/v1internal/".length)))
  if (json === null)
    return send(
      response,
      400,
      errors.invalidArgument("Invalid JSON payload received. Unexpected token or content type."),
    )
  switch (endpoint) {
    case "loadCodeAssist":
      return plain(loadCodeAssist(account, json))
    case "retrieveUserQuota":
      return plain(retrieveUserQuota(account, json))
    case "onboardUser":
      return plain(onboardUser(world, account, json))
    case "countTokens": {
      const refusal = checkCount(account, json)
      const counted = isJson(json.request) ? countTokens(json.request) : {}
      return refusal === null ? send(response, 200, counted) : send(response, refusal.error.code, refusal)
    }
    default:
      return generate(world, account, json, endpoint, url, response, fault)
  }
}

async function generate(
  world: World,
  account: FakeAccount,
  body: Json,
  endpoint: "generateContent" | "streamGenerateContent",
  url: URL,
  response: ServerResponse,
  fault: Fault | null,
): Promise<void> {
  const model = String(body.model)
  const refusal = overQuota(account, model) ?? checkGenerate(world, account, body)
  if (refusal !== null) return send(response, refusal.error.code, refusal)
  if ((world.options.latencyMs ?? 0) > 0) await Bun.sleep(world.options.latencyMs ?? 0)
  if (response.closed) return
  const stream = endpoint === "streamGenerateContent"
  const responses = answer(world, context(world, account, body, stream))
  world.answered++
  account.served.set(model, (account.served.get(model) ?? 0) + 1)
  const traceId = world.unique("trace")
  if (!stream) return send(response, 200, { response: merged(responses), traceId })
  const events = responses.map((value) => ({ response: value, traceId }))
  // Without alt=sse Cloud Code answers with a JSON array, which no client of ours ever asks it for.
  if (url.searchParams.get("alt") !== "sse") return send(response, 200, events)
  await writeStream(response, events, fault?.stream ?? null, world.options.eventDelayMs ?? 0)
}

function overQuota(account: FakeAccount, model: string): errors.GoogleError | null {
  const limit = account.quota.get(model)
  if (limit === undefined) return null
  const left = limit.resetAt - Date.now()
  if (left <= 0) {
    account.quota.delete(model)
    return null
  }
  if (limit.remaining > 0) {
    limit.remaining--
    return null
  }
  return errors.quotaExhausted(model, left)
}

/** True when the fault has answered, or never will. */
async function misbehave(request: IncomingMessage, response: ServerResponse, fault: Fault): Promise<boolean> {
  if (fault.delayMs !== undefined) await Bun.sleep(fault.delayMs)
  if (response.closed) return true
  if (fault.before === "reset") {
    request.socket.destroy()
    return true
  }
  if (fault.before === "hang") return true
  if (fault.status === undefined) return false
  send(response, fault.status, fault.body ?? "", fault.headers)
  return true
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  const type = typeof body === "string" ? "text/html; charset=UTF-8" : "application/json; charset=UTF-8"
  response.writeHead(status, { "content-type": type, ...headers })
  response.end(text)
}

function parse(body: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body)
    return isJson(value) ? { ...value } : null
  } catch {
    return null
  }
}
