import type { Config } from "../config/types.ts"
import type { Clock, Live, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { BrowserLogin, forPeople } from "./browser-login.ts"
import { neutralShape } from "./faults.ts"
import { endWith, type Guard, type Handler } from "./guard.ts"
import { type LoginVerbDeps, loginStatus, loginVerbs } from "./login-verbs.ts"
import { Logins, type LoginTarget } from "./logins.ts"
import { LoopbackPort } from "./loopback.ts"
import { HttpError, type ProviderModule } from "./ports.ts"
import { redirectOrigin } from "./redirect.ts"
import type { Verb } from "./resources.ts"
import type { Visit } from "./visit.ts"

export interface OAuthDeps {
  readonly config: Live<Config>
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly guard: Guard
  /** A request was answered that nobody could make out. */
  refused(status: number): void
  /** Where the edge itself listens, or null while it does not. */
  ownPort(): number | null
}

/** A provider's login endpoints, each for the router to hang up. */
export interface OAuthRoutes {
  readonly enter: Handler
  readonly back: Handler
  readonly status: Handler
  readonly verbs: Readonly<Record<string, Verb>>
}

/** Logins of all providers, and the loopback ports that some of them need. */
export class OAuthDesk {
  readonly #deps: OAuthDeps
  readonly #logins: Logins
  readonly #ports = new Map<string, LoopbackPort>()

  constructor(deps: OAuthDeps) {
    this.#deps = deps
    this.#logins = new Logins(deps, (provider) => {
      if (this.#logins.table.returning(provider) === 0) this.#ports.get(provider)?.close()
    })
  }

  routes(module: ProviderModule, target: LoginTarget): OAuthRoutes {
    const { config, clock, guard } = this.#deps
    const { oauth } = module
    const logins = this.#logins
    const redirectUri = (visit: Visit, port: number | null = null) => this.#redirectUri(module, visit, port)
    const browser = new BrowserLogin({ config, guard, logins, module, target, redirectUri })
    const byKey: LoginVerbDeps = { guard, clock, logins, module, target, redirectUri }
    const back = byMethod({ GET: (visit) => browser.back(visit), POST: (visit) => browser.backByForm(visit) })
    if (oauth.loopbackPorts.length > 0) {
      this.#ports.set(module.name, this.#loopbackPort(oauth.loopbackPorts, oauth.callbackPaths, back))
    }
    return {
      enter: byMethod({ GET: (visit) => browser.enter(visit), POST: (visit) => browser.enterByForm(visit) }),
      back,
      status: (visit) => loginStatus(byKey, visit),
      verbs: loginVerbs(byKey),
    }
  }

  /** Requests being answered on loopback ports. */
  get active(): number {
    let sum = 0
    for (const port of this.#ports.values()) sum += port.active
    return sum
  }

  /** Ends the logins that can no longer be finished. */
  drain(): void {
    this.#logins.drain()
  }

  close(): void {
    this.#logins.close()
    for (const port of this.#ports.values()) port.close()
  }

  #redirectUri(module: ProviderModule, visit: Visit, port: number | null): string {
    const { name, oauth } = module
    const own = this.#deps.ownPort()
    const [first] = oauth.loopbackPorts
    if (port !== null) return `http://localhost:${port}${oauth.redirectPath}`
    if (first !== undefined) {
      const fixed = own !== null && oauth.loopbackPorts.includes(own) ? own : (this.#ports.get(name)?.open() ?? first)
      return `http://localhost:${fixed}${oauth.redirectPath}`
    }
    const listening = own ?? this.#deps.config.current.basic.listenPort
    return `${redirectOrigin(visit.request.headers.get("host"), listening)}${oauth.redirectPath}`
  }

  /** Serves the way back and nothing else. */
  #loopbackPort(ports: readonly number[], paths: readonly string[], back: Handler): LoopbackPort {
    const { guard, clock, timers, log, refused } = this.#deps
    return new LoopbackPort(ports, {
      clock,
      timers,
      log,
      refused,
      handle: (request) =>
        guard.serve(request, { access: "open", shape: neutralShape }, async (visit) => {
          const isKnown = paths.includes(request.target.path)
          if (!isKnown) throw new HttpError({ kind: "not_found", message: "this port only takes logins back" })
          const answer = await back(visit)
          // The port closes as soon as no login is under way: no connection may be kept for later.
          endWith(answer)
          return answer
        }),
    })
  }
}

type Step = (visit: Visit) => Promise<Response>

/**
 * One path with a page and its form. HEAD is refused: a link checker must not spend a code, nor begin a login.
 */
function byMethod(steps: { readonly GET: Step; readonly POST: Step }): Handler {
  return forPeople(async (visit) => {
    const { method } = visit.request
    if (method === "GET" || method === "POST") return steps[method](visit)
    throw new HttpError({ kind: "method_not_allowed", message: `${method} is not allowed here`, allow: "GET, POST" })
  })
}
