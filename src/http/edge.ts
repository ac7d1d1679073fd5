import { Elysia } from "elysia"
import type { Config } from "../config/types.ts"
import type { Clock, Live, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { CallBase, Relay } from "../relay/ports.ts"
import type { Pool } from "../scheduler/ports.ts"
import { faultResponse, neutralShape } from "./faults.ts"
import { Front } from "./front.ts"
import { gate } from "./gate.ts"
import { type AccessEntry, type Endpoint, Guard, type Handler } from "./guard.ts"
import { type HealthDeps, healthSpots } from "./health.ts"
import { Listener } from "./listener.ts"
import { OAuthDesk } from "./oauth-routes.ts"
import { Passages } from "./passages.ts"
import { PathTable } from "./paths.ts"
import {
  type Answered,
  type ClientRequest,
  type ErrorShape,
  HttpError,
  type ProviderModule,
  type RouteTools,
} from "./ports.ts"
import { resourceVerbs, type Verb } from "./resources.ts"
import { Feeds } from "./watch.ts"

/** One provider with its pool and its relay. `C` must be the same in all three; `mount` sees to it. */
export interface Mounted<C extends CallBase = CallBase> {
  readonly module: ProviderModule<C>
  readonly pool: Pool
  readonly relay: Relay<C>
}

/** Joins a provider's parts where their call type is known, for a list where it is not. */
export function mount<C extends CallBase>(module: ProviderModule<C>, pool: Pool, relay: Relay<C>): Mounted<C> {
  return { module, pool, relay }
}

export interface EdgeDeps extends HealthDeps {
  readonly config: Live<Config>
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly providers: readonly Mounted[]
  /** Every request that did not go through a relay, when its answer is made. */
  access(entry: AccessEntry): void
  /** A request was answered that nobody could make out. */
  refused(status: number): void
}

export interface Edge {
  /** @throws PortError when the address is taken or not allowed */
  listen(): { readonly url: string; readonly port: number }
  /** Serves one request. Never rejects. */
  handle(request: ClientRequest): Answered | Promise<Answered>
  /** New requests and `/readyz` get 503 from here on; the port stays open. */
  drain(): void
  /** Requests not yet answered in full. */
  active(): number
  /** Closes the port; `force` also cuts what is still being answered, otherwise it resolves when that is done. */
  stop(force: boolean): Promise<void>
}

export function createEdge(deps: EdgeDeps): Edge {
  let draining = false
  const guard = new Guard({ ...deps, draining: () => draining })
  const addressOf = (request: ClientRequest): string => guard.address(request)
  const feeds = new Feeds()
  const listener = new Listener({ ...deps, handle })
  const passages = new Passages()
  const desk = new OAuthDesk({ ...deps, guard, ownPort: () => listener.port })
  const front = new Front()
  const app = new Elysia({ handler: { standardHostname: false }, normalize: false })
  const shapes = new Map<string, ErrorShape>()
  const verbs = new Map<string, Readonly<Record<string, Verb>>>()

  /** An Elysia handler. */
  const route =
    (endpoint: Endpoint, handler: Handler) =>
    ({ request }: { request: Request }) =>
      passages.through(request, (asked) => guard.serve(asked, endpoint, handler))

  for (const spot of healthSpots(deps)) {
    app.route(
      spot.method,
      spot.path,
      route({ access: spot.access, shape: neutralShape, always: spot.always }, spot.run),
      {
        parse: "none",
      },
    )
  }

  for (const { module, pool, relay } of deps.providers) {
    const { name, shape } = module
    shapes.set(name, shape)
    const endpoint: Endpoint = { access: "client", shape }
    const receiving: Endpoint = { ...endpoint, finished: true }
    const tools: RouteTools = {
      api: (handler) => route(endpoint, handler),
      posted(handler, hot) {
        const receive: Handler = (visit) => guard.receive(visit, shape, handler)
        if (hot !== undefined) front.add(hot, receiving, receive)
        return route(receiving, receive)
      },
    }
    app.use(module.routes({ tools, relay: gate(relay, addressOf), pool }))
    const oauth = desk.routes(module, { oauth: module.oauth, pool })
    for (const path of [`/${name}/auth`, ...module.oauth.callbackPaths]) {
      const handler = path === `/${name}/auth` ? oauth.enter : oauth.back
      const open = route({ access: "open", shape: neutralShape }, handler)
      app.get(path, open, { parse: "none" }).post(path, open, { parse: "none" })
    }
    app.get(`/${name}/login/:id`, route({ access: "admin", shape }, oauth.status), { parse: "none" })
    verbs.set(name, {
      ...oauth.verbs,
      ...resourceVerbs({
        name,
        pool,
        clock: deps.clock,
        log: deps.log,
        models: () => modelsOf(deps.config.current, name),
        seedAccount: (item) => module.seedAccount(item),
        sessionNames: (session) => module.sessionNames?.(session) ?? [session],
      }),
      "resource:watch": {
        method: "GET",
        access: "admin",
        run: () => feeds.open({ name, pool, clock: deps.clock, timers: deps.timers }),
      },
    })
    // Colons cannot be written literally in the router's paths (platform spec 2.2): the verb is looked up here.
    app.all(`/${name}/:verb`, ({ request }) => passages.through(request, (asked) => serveVerb(name, asked)), {
      parse: "none",
    })
  }

  app.onError(({ code, error, request }) => {
    if (code === "NOT_FOUND") return passages.through(request, serveUnknown)
    deps.log.error("router failed", { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    return faultResponse({ kind: "internal", message: "An internal server error occurred." }, neutralShape)
  })

  const table = new PathTable(app.routes.map(({ method, path }) => ({ method, path })))

  function serveVerb(name: string, request: ClientRequest): Answered | Promise<Answered> {
    const segment = verbSegment(request, name)
    const known = verbs.get(name)
    const verb = known !== undefined && Object.hasOwn(known, segment) ? known[segment] : undefined
    if (verb === undefined) return serveUnknown(request)
    const shape = shapes.get(name) ?? neutralShape
    if (request.method === verb.method) return guard.serve(request, { access: verb.access, shape }, verb.run)
    return guard.serve(request, { access: request.method === "OPTIONS" ? "open" : "client", shape }, () => {
      throw wrongMethod(request.method, verb.method)
    })
  }

  /** No route took it. Below a provider's prefix the key comes first, so that nobody without one can map the paths. */
  function serveUnknown(request: ClientRequest): Answered | Promise<Answered> {
    const { path } = request.target
    const shape = shapes.get(path.split("/", 2)[1] ?? "")
    const access = shape === undefined || request.method === "OPTIONS" ? "open" : "client"
    return guard.serve(request, { access, shape: shape ?? neutralShape, always: false }, () => {
      const methods = table.methods(path)
      if (methods.length > 0) throw wrongMethod(request.method, methods.join(", "))
      throw new HttpError({ kind: "not_found", message: "there is nothing at this path" })
    })
  }

  function handle(request: ClientRequest): Answered | Promise<Answered> {
    const hot = front.find(request.method, request.target.path)
    if (hot !== null) return guard.serve(request, hot.endpoint, hot.handler)
    // The router knows no such methods, and no route takes them.
    return UNROUTABLE.has(request.method) ? serveUnknown(request) : passages.route(request, (shell) => app.fetch(shell))
  }

  return {
    listen: () => listener.listen(deps.config.current.basic.listenAddr, deps.config.current.basic.listenPort),
    handle,
    drain() {
      draining = true
      feeds.close()
      desk.drain()
    },
    active: () => listener.active + desk.active,
    async stop(force) {
      draining = true
      feeds.close()
      desk.close()
      await listener.stop(force)
    },
  }
}

/** Methods of which no `Request` can be made (Fetch, 2.2.1). */
const UNROUTABLE: ReadonlySet<string> = new Set(["CONNECT", "TRACE"])

function wrongMethod(method: string, allow: string): HttpError {
  return new HttpError({ kind: "method_not_allowed", message: `${method} is not allowed here; use ${allow}`, allow })
}

/** The path's last segment, percent-decoded; empty when it cannot be. */
function verbSegment({ target }: ClientRequest, name: string): string {
  const raw = target.path.slice(name.length + 2)
  try {
    return decodeURIComponent(raw)
  } catch {
    return ""
  }
}

/** A provider's models by its name in the configuration. */
function modelsOf(config: Config, name: string): readonly string[] {
  for (const [key, settings] of Object.entries(config.providers)) {
    if (key === name) return settings.modelList
  }
  return []
}
