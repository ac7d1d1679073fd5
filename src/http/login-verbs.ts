import type { Clock } from "../observe/clock.ts"
import { member, parseObject } from "./body.ts"
import { errorBody, json, refuse } from "./faults.ts"
import type { Guard } from "./guard.ts"
import type { Login, LoginResult } from "./login-table.ts"
import type { Logins, LoginTarget } from "./logins.ts"
import type { ProviderModule } from "./ports.ts"
import { parsePasted, type Returned } from "./redirect.ts"
import type { Verb } from "./resources.ts"
import type { Visit } from "./visit.ts"
import { waitOf } from "./waiting.ts"

/** Seconds that `?wait=true` and a finish wait for the outcome, and the most that can be asked for. */
const USUAL_WAIT = 60
const LONGEST_WAIT = 120

export interface LoginVerbDeps {
  readonly guard: Guard
  readonly clock: Clock
  readonly logins: Logins
  readonly module: ProviderModule
  readonly target: LoginTarget
  /** `port`: the caller receives the browser itself, on this port of loopback. */
  redirectUri(visit: Visit, port: number | null): string
}

/** Logins by programs that hold the key: begin, finish with a pasted address, device flow, status. */
export function loginVerbs(deps: LoginVerbDeps): Readonly<Record<"login" | "login:finish" | "login:device", Verb>> {
  return {
    login: { method: "POST", access: "admin", run: (visit) => begin(deps, visit) },
    "login:finish": { method: "POST", access: "admin", run: (visit) => finish(deps, visit) },
    "login:device": { method: "POST", access: "admin", run: (visit) => device(deps, visit) },
  }
}

/** `GET /{provider}/login/{id}`, with `?wait=` until it has ended. */
export async function loginStatus({ logins, module }: LoginVerbDeps, visit: Visit): Promise<Response> {
  const wait = waitOf(visit.query, USUAL_WAIT, LONGEST_WAIT) ?? 0
  const id = visit.path.slice(visit.path.lastIndexOf("/") + 1)
  const found = logins.table.find(module.name, id)
  if (found === null) return refuse({ kind: "not_found", message: "no login has this id" })
  return json(shown(found.login, found.result ?? (await logins.result(found.login, wait))))
}

async function begin({ guard, logins, module, target, redirectUri }: LoginVerbDeps, visit: Visit): Promise<Response> {
  const body = parseObject(await visit.body())
  const port = member(body, "redirect_port") ?? null
  if (port !== null && !isPort(port)) {
    return refuse({ kind: "invalid_request", message: "redirect_port: expected a port, 1 to 65535" })
  }
  const fixed = module.oauth.loopbackPorts
  if (port !== null && fixed.length > 0 && !fixed.includes(port)) {
    return refuse({
      kind: "invalid_request",
      message: `redirect_port: the provider allows ${fixed.join(" and ")} only`,
    })
  }
  const { login, url } = await logins.begin(target, {
    kind: "key",
    address: guard.address(visit.request),
    account: module.seedAccount(body),
    redirectUri: () => redirectUri(visit, port),
  })
  return json({ id: login.id, url: url.href, redirect_uri: login.redirectUri, expires: login.expires }, 201)
}

async function finish(deps: LoginVerbDeps, visit: Visit): Promise<Response> {
  const { logins, module, target } = deps
  const returned = handedIn(parseObject(await visit.body()))
  const login = returned.state === null ? null : logins.unclaimed(module.name, returned.state)
  if (returned.kind === "error") {
    const { error, description } = returned
    const message = module.oauth.explain(error, description) ?? `the provider refused the login (${error})`
    if (login !== null) logins.fail(login, "AUTHORIZATION_REFUSED", message)
    return json({ error: { code: "AUTHORIZATION_REFUSED", message } }, 400)
  }
  if (login === null || !logins.finish(target, login, returned.code)) {
    const message = "this login has expired, was finished already, or was begun before Pollux was restarted"
    return new Response(errorBody("OAUTH_SESSION_MISSING", message), {
      status: 403,
      headers: { "content-type": "application/json", "cache-control": "no-store" },
    })
  }
  const result = await logins.result(login, waitOf(visit.query, USUAL_WAIT, LONGEST_WAIT) ?? USUAL_WAIT * 1000)
  if (result?.status === "failed") {
    return json({ error: { code: result.code, message: result.message }, login: shown(login, result) }, 403)
  }
  return json(shown(login, result), result === null ? 202 : 200)
}

async function device({ clock, logins, module, target }: LoginVerbDeps, visit: Visit): Promise<Response> {
  const body = parseObject(await visit.body())
  const { login, userCode, verificationUrl, intervalMs } = await logins.beginDevice(target, module.seedAccount(body))
  return json(
    {
      id: login.id,
      user_code: userCode,
      verification_url: verificationUrl,
      interval: Math.ceil(intervalMs / 1000),
      expires_in: Math.max(0, Math.floor((login.expiresAt - clock.mono()) / 1000)),
      expires: login.expires,
    },
    201,
  )
}

type HandedIn = Exclude<Returned, { kind: "invalid" }>

/** `{"url": "http://localhost:.../callback?code=...&state=..."}`, or `{"code", "state"}`. */
function handedIn(body: Readonly<Record<string, unknown>>): HandedIn {
  const url = member(body, "url")
  const code = member(body, "code")
  const state = member(body, "state")
  let returned: Returned = { kind: "invalid" }
  if (typeof url === "string") returned = parsePasted(url)
  else if (typeof code === "string" && typeof state === "string") returned = { kind: "code", code, state }
  if (returned.kind !== "invalid") return returned
  return refuse({
    kind: "invalid_request",
    message: 'expected {"url": "..."}, the address the browser ended at, with its code and state',
  })
}

function shown(login: Login, result: LoginResult | null): unknown {
  const about = { id: login.id, provider: login.provider, kind: login.kind, expires: login.expires }
  if (result === null) return { ...about, status: "pending" }
  const { status } = result
  return result.status === "done"
    ? { ...about, status, credential: result.credential, email: result.email }
    : { ...about, status, reason: result.code, message: result.message, url: result.url }
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535
}
