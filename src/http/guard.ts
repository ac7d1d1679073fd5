import type { Config } from "../config/types.ts"
import type { Clock, Live } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { Reply } from "../relay/reply.ts"
import { limitKey, TrustedProxies } from "./address.ts"
import { ENDED_EARLY } from "./body.ts"
import { faultResponse } from "./faults.ts"
import { type KeyHolder, Keyring, presentedKey } from "./keys.ts"
import { MinuteCounter } from "./limits.ts"
import {
  type Answered,
  type ClientRequest,
  type EdgeFault,
  type ErrorShape,
  HttpError,
  type Principal,
  type Taking,
} from "./ports.ts"
import { RequestIds } from "./request-id.ts"
import { fromElsewhere } from "./site.ts"
import { NOBODY, Visit } from "./visit.ts"

/** Wrong keys a minute and address before they are answered 429; a right key is never refused (DESIGN section 9). */
const WRONG_KEYS_PER_MINUTE = 60

/** Who may use an endpoint. `open`: anybody; `client`: any key; `operator`: pollux_key or admin_key; `admin`: see Principal. */
export type Access = "open" | "client" | "operator" | "admin"

export interface Endpoint {
  readonly access: Access
  readonly shape: ErrorShape
  /** Served while the process drains. */
  readonly always?: boolean
  /** Its handler returns what `receive` made, which needs nothing more. */
  readonly finished?: boolean
}

/** A request that did not go through the relay, for the access log. */
export interface AccessEntry {
  readonly method: string
  readonly path: string
  readonly status: number
  /** Why it was turned away, or null when it was not. */
  readonly fault: EdgeFault["kind"] | null
  readonly ms: number
  readonly requestId: string
  /** Name of the key, or null without one. */
  readonly principal: string | null
  readonly address: string
  readonly userAgent: string
}

export type Handler = (visit: Visit) => Answered | Promise<Answered>

export interface GuardDeps {
  readonly config: Live<Config>
  readonly clock: Clock
  readonly log: Log
  draining(): boolean
  access(entry: AccessEntry): void
}

/** What stands before every handler, and puts whatever comes out of it into the right form. */
export class Guard {
  readonly #deps: GuardDeps
  readonly #ids = new RequestIds()
  readonly #wrongKeys = new MinuteCounter()
  readonly #keyUse = new MinuteCounter()
  #config: Config
  #keyring: Keyring
  #proxies: TrustedProxies

  constructor(deps: GuardDeps) {
    this.#deps = deps
    this.#config = deps.config.current
    this.#keyring = new Keyring(this.#config)
    this.#proxies = new TrustedProxies(this.#config.basic.trustedProxies)
  }

  /** Serves one request. Never rejects, never throws. Synchronous as far as the handler is. */
  serve(request: ClientRequest, endpoint: Endpoint, handler: Handler): Answered | Promise<Answered> {
    const visit = new Visit(request, this.#ids.of(request.headers.get("x-request-id")), this.#deps.clock.mono())
    const error = this.#examine(visit, endpoint)
    if (error instanceof Promise) return error.then((late) => this.#enter(late, visit, endpoint, handler))
    return this.#enter(error, visit, endpoint, handler)
  }

  /** Why the request may not enter, or null; then the visit has its key's holder. Waits only to count against a limit. */
  #examine(visit: Visit, { access, always }: Endpoint): HttpError | null | Promise<HttpError | null> {
    const { request, inbound } = visit
    if (always !== true && this.#deps.draining()) return DRAINING
    if (access === "open") return null
    this.#reload()
    const presented = presentedKey(request.headers, request.target.query)
    if (presented === null) return new HttpError({ kind: "unauthorized", message: "Missing API key" })
    const holder = this.#keyring.holder(presented.key, this.#deps.clock)
    if (holder === null) return this.#wrongKey(this.address(request))
    const barred = bar(holder, access)
    if (barred !== null) return barred
    if (access !== "client" && presented.from === "query" && fromElsewhere(request.headers)) return FOREIGN
    const { principal, requestsPerMinute } = holder
    if (requestsPerMinute !== null) return this.#spend(visit, principal, requestsPerMinute)
    inbound.holder = principal
    return null
  }

  #enter(
    error: HttpError | null,
    visit: Visit,
    { shape, finished }: Endpoint,
    handler: Handler,
  ): Answered | Promise<Answered> {
    if (error !== null) return this.#fail(error, visit, shape)
    try {
      const answer = handler(visit)
      if (!(answer instanceof Promise)) return this.#finish(answer, visit)
      return finished === true ? answer : this.#await(answer, visit, shape)
    } catch (thrown) {
      return this.#fail(thrown, visit, shape)
    }
  }

  /** What an endpoint that is `finished` does: `handler` sees the head, and what it returns gets the body. Never rejects. */
  async receive(visit: Visit, shape: ErrorShape, handler: (visit: Visit) => Taking | Answered): Promise<Answered> {
    let told = shape
    try {
      const taking = handler(visit)
      if (!("take" in taking)) return this.#finish(taking, visit)
      told = taking.shape ?? shape
      const coming = visit.bareBody()
      const body = coming instanceof Promise ? await coming : coming
      visit.receivedAll()
      return this.#finish(await taking.take(body), visit)
    } catch (error) {
      return this.#fail(error, visit, told)
    }
  }

  async #await(answer: Promise<Answered>, visit: Visit, shape: ErrorShape): Promise<Answered> {
    try {
      return this.#finish(await answer, visit)
    } catch (error) {
      return this.#fail(error, visit, shape)
    }
  }

  /**
   * Checks a key that came by another way than the three usual ones (a form). Counts against the same limit.
   * @throws HttpError unauthorized, rate_limited, forbidden
   */
  async admit(key: string, address: string, access: "operator" | "admin"): Promise<KeyHolder> {
    this.#reload()
    const holder = this.#keyring.holder(key, this.#deps.clock)
    if (holder === null) throw await this.#wrongKey(address)
    const barred = bar(holder, access)
    if (barred !== null) throw barred
    return holder
  }

  /** The client's address, X-Forwarded-For considered where a trusted proxy sent it. */
  address({ address, headers }: ClientRequest): string {
    this.#reload()
    return this.#proxies.any ? this.#proxies.client(address, headers.get("x-forwarded-for")) : address
  }

  #reload(): void {
    const config = this.#deps.config.current
    if (config === this.#config) return
    this.#config = config
    this.#keyring = new Keyring(config)
    this.#proxies = new TrustedProxies(config.basic.trustedProxies)
  }

  async #wrongKey(address: string): Promise<HttpError> {
    const wait = await this.#wrongKeys.over(limitKey(address), WRONG_KEYS_PER_MINUTE)
    return wait === null
      ? new HttpError({ kind: "unauthorized", message: "Invalid API key" })
      : new HttpError({ kind: "rate_limited", message: "too many wrong keys from this address", retryAfter: wait })
  }

  async #spend(visit: Visit, principal: Principal, limit: number): Promise<HttpError | null> {
    const wait = await this.#keyUse.over(principal.name, limit)
    if (wait === null) {
      visit.inbound.holder = principal
      return null
    }
    return new HttpError({
      kind: "rate_limited",
      message: `this key is limited to ${limit} requests a minute`,
      retryAfter: wait,
    })
  }

  #fail(error: unknown, visit: Visit, shape: ErrorShape): Answered {
    const fault = error instanceof HttpError ? error.fault : visit.cut ? ENDED_EARLY : null
    if (fault !== null) return this.#finish(faultResponse(fault, shape), visit, fault.kind)
    this.#deps.log.error("request failed by a defect", {
      request_id: visit.id,
      path: visit.path,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    const message = `An internal server error occurred. Its details are in the log under ${visit.id}.`
    return this.#finish(faultResponse({ kind: "internal", message }, shape), visit, "internal")
  }

  #finish(answer: Answered, visit: Visit, fault: AccessEntry["fault"] = null): Answered {
    const told = answer instanceof Reply ? answer : named(answer, visit.id)
    if (told instanceof Reply) told.set("x-request-id", visit.id)
    if (visit.burdened) endWith(told)
    const { inbound, request } = visit
    visit.settle()
    if (!inbound.relayed) {
      this.#deps.access({
        method: inbound.method,
        path: visit.path,
        status: told.status,
        fault,
        ms: this.#deps.clock.mono() - inbound.startedAt,
        requestId: visit.id,
        principal: visit.principal === NOBODY ? null : visit.principal.name,
        address: this.address(request),
        userAgent: inbound.userAgent,
      })
    }
    return told
  }
}

const DRAINING = new HttpError({ kind: "draining", message: "Pollux is shutting down; send the request again" })

const FOREIGN = new HttpError({
  kind: "forbidden",
  message: "a key in the query string is not accepted from another site; send it in a header",
})

/** Why a right key does not open this endpoint, or null. */
function bar(holder: KeyHolder, access: Access): HttpError | null {
  if (access === "client") return null
  if (!holder.operator) return new HttpError({ kind: "forbidden", message: "this key serves API calls only" })
  if (access === "admin" && !holder.principal.admin) {
    return new HttpError({ kind: "forbidden", message: "this needs the admin_key" })
  }
  return null
}

/** The connection ends with this answer. */
export function endWith(answer: Answered): void {
  if (answer instanceof Reply) answer.set("connection", "close")
  else answer.headers.set("connection", "close")
}

/** The answer under the request's id. Answers made by `fetch` or `Response.redirect` have headers that cannot be set. */
function named(response: Response, id: string): Response {
  try {
    response.headers.set("x-request-id", id)
    return response
  } catch {
    const copy = new Response(response.body, response)
    copy.headers.set("x-request-id", id)
    return copy
  }
}
