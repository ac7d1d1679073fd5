import type { Config } from "../config/types.ts"
import type { Live } from "../observe/clock.ts"
import { cookieValue, setCookie } from "./cookies.ts"
import { errorBody, faultResponse, neutralShape, text } from "./faults.ts"
import type { Guard } from "./guard.ts"
import { presentedKey } from "./keys.ts"
import { LOGIN_LIFETIME_MS, type Login, type LoginResult, matches } from "./login-table.ts"
import type { Logins, LoginTarget } from "./logins.ts"
import { page } from "./pages.ts"
import type { ProviderModule } from "./ports.ts"
import { HttpError } from "./ports.ts"
import { asLocalhost, isLoopbackName, parseReturned, type Returned } from "./redirect.ts"
import { fromElsewhere } from "./site.ts"
import type { Visit } from "./visit.ts"
import { acceptsHtml } from "./waiting.ts"

/** How long a browser waits for the outcome before it is told that the account is still being set up, in milliseconds. */
export const PATIENCE_MS = 60_000

/** Largest form that is read, in bytes. */
const FORM_LIMIT = 16 * 1024

export interface BrowserLoginDeps {
  readonly config: Live<Config>
  readonly guard: Guard
  readonly logins: Logins
  readonly module: ProviderModule
  readonly target: LoginTarget
  /** Where the provider is to send the browser back to. */
  redirectUri(visit: Visit): string
}

/** A login that did not come to anything: status, code and sentence of the answer. */
interface Refused {
  readonly status: number
  readonly code: string
  readonly message: string
}

const REFUSED = {
  invalid: {
    status: 400,
    code: "INVALID_CALLBACK",
    message: "The address carries no code and state, or carries them twice.",
  },
  missing: {
    status: 403,
    code: "OAUTH_SESSION_MISSING",
    message: "This login has expired, was finished already, or was begun before Pollux was restarted. Begin anew.",
  },
  mismatch: {
    status: 403,
    code: "CSRF_MISMATCH",
    message: "This login has expired, was finished already, or was begun in another browser. Begin anew.",
  },
} as const satisfies Readonly<Record<string, Refused>>

/** The same entry by the name at which the provider sends the browser back: a cookie set at another one would be missing there. */
function moveTo(location: string): Response {
  return new Response(null, { status: 307, headers: { location, "cache-control": "no-store" } })
}

/** The pages by which a person adds an account: entry, return, and the form for a return without the login's cookie. */
export class BrowserLogin {
  readonly #deps: BrowserLoginDeps
  readonly #cookie: string

  constructor(deps: BrowserLoginDeps) {
    this.#deps = deps
    this.#cookie = `pollux_login_${deps.module.name}`
  }

  /** `GET /{provider}/auth`: 307 to the provider, with the cookie that binds the login to this browser. */
  async enter(visit: Visit): Promise<Response> {
    const { config, guard, module } = this.#deps
    const { headers } = visit.request
    if (module.oauth.loopbackPorts.length > 0 && acceptsHtml(headers)) {
      const origin = asLocalhost(headers.get("host"))
      const { path, query } = visit.target
      if (origin !== null) return moveTo(`${origin}${path}${query === "" ? "" : `?${query}`}`)
    }
    if (!config.current.basic.openLogin) {
      const presented = presentedKey(visit.request.headers, visit.target.query)
      if (presented === null) return this.#askForKey(visit, "unauthorized", "Missing API key")
      if (presented.from === "query" && fromElsewhere(visit.request.headers)) {
        throw new HttpError({
          kind: "forbidden",
          message: "a key in the query string is not accepted from another site",
        })
      }
      await guard.admit(presented.key, guard.address(visit.request), "operator")
    }
    const { url, cookie } = await this.#begin(visit, visit.query)
    return new Response(null, {
      status: 307,
      headers: {
        location: url.href,
        "set-cookie": cookie,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
      },
    })
  }

  /**
   * `POST /{provider}/auth`: the form of an entry that asks for the key. Answered with a link instead of a redirect, which
   * browsers would hold against the form's own `form-action`.
   */
  async enterByForm(visit: Visit): Promise<Response> {
    const form = await readForm(visit)
    const refusal = await this.#wrongKey(visit, form, {})
    if (refusal !== null) return refusal
    const { url, cookie } = await this.#begin(visit, form)
    const { name } = this.#deps.module
    const response = page({
      status: 200,
      title: `Sign in to ${name}`,
      lines: ["You will be sent to the provider to choose an account."],
      link: { href: url.href, text: "Continue" },
    })
    response.headers.set("set-cookie", cookie)
    response.headers.set("refresh", `0;url=${url.href}`)
    return response
  }

  /** The provider sends the browser back. */
  async back(visit: Visit): Promise<Response> {
    const returned = parseReturned(visit.query)
    const cookie = cookieValue(visit.request.headers, this.#cookie)
    if (returned.kind === "invalid") return this.#refuse(visit, REFUSED.invalid)
    const login = this.#login(returned)
    const bound = login !== null && (login.cookie === null || (cookie !== null && matches(login.cookie, cookie)))
    if (returned.kind === "error") {
      const refused = this.#explain(returned)
      if (bound) this.#deps.logins.fail(login, refused.code, refused.message)
      return this.#refuse(visit, refused)
    }
    if (login === null) return this.#refuse(visit, cookie === null ? REFUSED.missing : REFUSED.mismatch)
    // Login CSRF: a state alone proves nothing about who is in front of this browser (RFC 6749, 10.12).
    if (!bound) return this.#confirm(visit, returned, cookie === null ? REFUSED.missing.code : REFUSED.mismatch.code)
    return this.#finish(visit, login, returned.code)
  }

  /** The form that finishes a login whose cookie this browser does not have, with the Pollux key. */
  async backByForm(visit: Visit): Promise<Response> {
    const form = await readForm(visit)
    const returned = parseReturned(form)
    if (returned.kind !== "code") return this.#refuse(visit, REFUSED.invalid)
    const refusal = await this.#wrongKey(visit, form, { code: returned.code, state: returned.state })
    if (refusal !== null) return refusal
    const login = this.#login(returned)
    return login === null ? this.#refuse(visit, REFUSED.missing) : this.#finish(visit, login, returned.code)
  }

  async #begin(visit: Visit, hints: URLSearchParams): Promise<{ readonly url: URL; readonly cookie: string }> {
    const { config, guard, logins, module, target } = this.#deps
    const { url, cookie } = await logins.begin(target, {
      kind: "browser",
      address: guard.address(visit.request),
      account: module.seedAccount(Object.fromEntries(hints)),
      redirectUri: () => this.#deps.redirectUri(visit),
    })
    const secure = !config.current.basic.insecureCookie && !isLoopbackHost(visit.request.headers.get("host"))
    return { url, cookie: setCookie(this.#cookie, cookie ?? "", LOGIN_LIFETIME_MS / 1000, secure) }
  }

  #login(returned: Exclude<Returned, { kind: "invalid" }>): Login | null {
    const { logins, module } = this.#deps
    return returned.state === null ? null : logins.unclaimed(module.name, returned.state)
  }

  async #finish(visit: Visit, login: Login, code: string): Promise<Response> {
    const { logins, target } = this.#deps
    if (!logins.finish(target, login, code)) return this.#refuse(visit, REFUSED.missing)
    const response = this.#tell(visit, await logins.result(login, PATIENCE_MS))
    response.headers.append("set-cookie", setCookie(this.#cookie, "", 0, false))
    return response
  }

  #tell(visit: Visit, result: LoginResult | null): Response {
    if (result?.status === "failed") {
      return this.#refuse(visit, { status: 403, code: result.code, message: result.message })
    }
    const told =
      result === null || result.credential === null
        ? "Signed in. The account is still being set up; its state is in the list of credentials."
        : `${result.email ?? "The account"} is in the pool as credential ${result.credential}.`
    if (!acceptsHtml(visit.request.headers)) return text(`Success\n${told}\n`, 202)
    return page({ status: 202, title: "Success", lines: [told, "You can close this page."] })
  }

  #explain(returned: Extract<Returned, { kind: "error" }>): Refused {
    const { error, description } = returned
    const explained = this.#deps.module.oauth.explain(error, description)
    const said = description === null ? error : `${error}: ${description}`
    return {
      status: 400,
      code: "AUTHORIZATION_REFUSED",
      message: explained === null ? `The provider refused the login (${said}).` : `${explained} (${said})`,
    }
  }

  #confirm(visit: Visit, { code, state }: Extract<Returned, { kind: "code" }>, reason: string): Response {
    if (!acceptsHtml(visit.request.headers)) {
      const message =
        "This browser did not begin the login. Open the address in the one that did, or finish it with the Pollux key."
      return errorResponse({ status: 403, code: reason, message })
    }
    return page({
      status: 403,
      title: "Was it you who began this login?",
      lines: [
        "This browser does not have the login's cookie. If you began it yourself, in another browser or under another address, finish it with the Pollux key.",
        "If somebody sent you here, close this page: going on would add their account to your pool.",
      ],
      form: { hidden: { code, state }, button: "Finish the login" },
    })
  }

  /** The page again, when the form's key is wrong; null when it is right. */
  async #wrongKey(
    visit: Visit,
    form: URLSearchParams,
    hidden: Readonly<Record<string, string>>,
  ): Promise<Response | null> {
    const { guard } = this.#deps
    try {
      await guard.admit(form.get("key") ?? "", guard.address(visit.request), "operator")
      return null
    } catch (error) {
      if (!(error instanceof HttpError) || !acceptsHtml(visit.request.headers)) throw error
      const { status } = neutralShape(error.fault)
      return page({
        status,
        title: "That key was not accepted",
        lines: [`${error.message}.`],
        form: { hidden, button: "Try again" },
      })
    }
  }

  #askForKey(visit: Visit, kind: "unauthorized", message: string): Response {
    if (!acceptsHtml(visit.request.headers)) return faultResponse({ kind, message }, this.#deps.module.shape)
    return page({
      status: 401,
      title: `Sign in to ${this.#deps.module.name}`,
      lines: ["Adding an account to this pool needs its key."],
      form: { hidden: {}, button: "Go on" },
    })
  }

  #refuse(visit: Visit, refused: Refused): Response {
    if (!acceptsHtml(visit.request.headers)) return errorResponse(refused)
    return page({ status: refused.status, title: "The login was not finished", lines: [refused.message, refused.code] })
  }
}

/** Shows a person a page where a program would be told the same as JSON. */
export function forPeople(handler: (visit: Visit) => Promise<Response>): (visit: Visit) => Promise<Response> {
  return async (visit) => {
    try {
      return await handler(visit)
    } catch (error) {
      if (!(error instanceof HttpError) || !acceptsHtml(visit.request.headers)) throw error
      const plain = faultResponse(error.fault, neutralShape)
      const response = page({ status: plain.status, title: "That did not work", lines: [`${error.message}.`] })
      const retryAfter = plain.headers.get("retry-after")
      if (retryAfter !== null) response.headers.set("retry-after", retryAfter)
      return response
    }
  }
}

function errorResponse({ status, code, message }: Refused): Response {
  const headers = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  }
  return new Response(errorBody(code, message), { status, headers })
}

async function readForm(visit: Visit): Promise<URLSearchParams> {
  const type = visit.request.headers.get("content-type") ?? ""
  if (!/^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i.test(type)) {
    throw new HttpError({ kind: "unsupported_media", message: "expected a form (application/x-www-form-urlencoded)" })
  }
  return new URLSearchParams(new TextDecoder().decode(await visit.body(FORM_LIMIT)))
}

function isLoopbackHost(host: string | null): boolean {
  return host !== null && URL.canParse(`http://${host}`) && isLoopbackName(new URL(`http://${host}`).hostname)
}
