/** What the edge needs from a provider and offers to its routes. */

import type { AnyElysia } from "elysia"
import type { Clock, Live, Random } from "../observe/clock.ts"
import type { HaltSignal } from "../observe/halt.ts"
import type { Log } from "../observe/ports.ts"
import type {
  AnswerBody,
  CallBase,
  ClientError,
  Fetcher,
  HeaderReader,
  Inbound,
  Provider,
  Relay,
  Sender,
} from "../relay/ports.ts"
import type { Reply } from "../relay/reply.ts"
import type { Span } from "../relay/span.ts"
import type { Pool, QuotaReader, Refresher } from "../scheduler/ports.ts"
import type { TokenSet } from "../store/types.ts"
import type { Target } from "./target.ts"

/** Failures that the edge finds before a provider's own logic runs. */
export type EdgeFault =
  | { readonly kind: "unauthorized"; readonly message: string }
  | { readonly kind: "forbidden"; readonly message: string }
  | { readonly kind: "not_found"; readonly message: string }
  | { readonly kind: "method_not_allowed"; readonly message: string; readonly allow: string }
  | { readonly kind: "too_large"; readonly message: string }
  | { readonly kind: "unsupported_media"; readonly message: string }
  | { readonly kind: "bad_request"; readonly message: string }
  /** The body is not JSON, or JSON of the wrong shape. */
  | { readonly kind: "invalid_json" | "invalid_request"; readonly message: string }
  | { readonly kind: "rate_limited"; readonly message: string; readonly retryAfter: number }
  | { readonly kind: "draining"; readonly message: string }
  | { readonly kind: "unavailable"; readonly message: string; readonly retryAfter?: number }
  | { readonly kind: "not_implemented"; readonly message: string }
  | { readonly kind: "internal"; readonly message: string }

/** Puts a fault into the API's own error body. */
export type ErrorShape = (fault: EdgeFault) => ClientError

/** Thrown by handlers and body readers; the edge turns it into the API's shape. The one error type of the edge. */
export class HttpError extends Error {
  override readonly name = "HttpError"
  constructor(readonly fault: EdgeFault) {
    super(fault.message)
  }
}

/** Who a key belongs to. */
export interface Principal {
  /** "default" for pollux_key, "admin" for admin_key, else the name of a `[[keys]]` entry. */
  readonly name: string
  readonly admin: boolean
  /** Models the key may use; null for all. */
  readonly models: readonly string[] | null
}

/** Whether the key may use a model; lists of models show only these. The relay that routes are given refuses all others. */
export function allowsModel(principal: Principal, model: string): boolean {
  return principal.models === null || principal.models.includes(model)
}

/** A client's request, from the connection it came over. */
export interface ClientRequest {
  readonly method: string
  readonly target: Target
  readonly headers: HeaderReader
  /** Bytes of the body as it is sent; null where that is not known before its end. */
  readonly length: number | null
  /** Null where there is none. Read once, by this or by `bytes`. */
  readonly body: AnswerBody | null
  /** All of the body. Rejects with what broke it. */
  bytes(): Promise<Uint8Array>
  /** All of the body where that is here already, so that nobody need wait for it; else null. */
  whole?(): Span | null
  /** Aborted when the client leaves. */
  readonly signal: HaltSignal
  /** The other side's address, normalised. */
  readonly address: string
  /** Whoever sent this has a key: the connection may rest for longer than a stranger's, once it is answered. */
  welcome(): void
}

/** What a handler makes of a request: one of the relay's answers, or one of the runtime's kind. */
export type Answered = Reply | Response

/** A guarded API request. */
export interface ApiContext {
  readonly request: ClientRequest
  /** Path without query, percent-encoding kept. */
  readonly path: string
  readonly query: URLSearchParams
  readonly principal: Principal
  readonly inbound: Inbound
}

/** What is done with a request once its body is there. */
export interface Taking {
  /** @param body decoded (gzip, deflate, br, zstd undone), at most 30 MiB */
  take(body: Span): Answered | Promise<Answered>
  /** For whatever is wrong with the body; default: the API's own. */
  readonly shape?: ErrorShape
}

/** A method, and a path that may end in `*`, as the router is given them. */
export interface HotRoute {
  readonly method: string
  readonly path: string
}

export interface RouteTools {
  /**
   * Makes an Elysia handler of a guarded one: key, drain, key limits and request id come before it; HttpError and every other
   * throw become the API's shape.
   */
  api(
    handler: (context: ApiContext) => Answered | Promise<Answered>,
  ): (context: { request: Request }) => Response | Promise<Response>
  /**
   * The same for requests with a body: `handler` looks at the head alone and says what is done with the body; where it throws or
   * answers, none is read.
   * @param hot the route it is for, if that is asked so often that the router's own microsecond counts (see `Front`)
   */
  posted(
    handler: (context: ApiContext) => Taking | Answered,
    hot?: HotRoute,
  ): (context: { request: Request }) => Response | Promise<Response>
}

export type Exchanged =
  | { readonly kind: "ok"; readonly tokens: TokenSet }
  /** `code`: TOKEN_EXCHANGE_FAILED, MISSING_REFRESH_TOKEN, MISSING_ID_TOKEN. */
  | { readonly kind: "failed"; readonly code: string; readonly message: string }

/** What to show a person for a device login. */
export interface DeviceStart {
  readonly userCode: string
  readonly verificationUrl: string
  /** Opaque, kept by the login until it ends; secret. */
  readonly handle: string
  readonly intervalMs: number
  readonly expiresInMs: number
}

export interface DeviceFlow {
  start(signal: AbortSignal): Promise<DeviceStart | { readonly kind: "failed"; readonly message: string }>
  /** `pending`: ask again after the interval; `slow_down`: after a longer one. */
  poll(handle: string, signal: AbortSignal): Promise<{ readonly kind: "pending" | "slow_down" } | Exchanged>
}

export interface OAuthProvider {
  readonly name: string
  /** Paths that take the browser back, e.g. ["/oauth2callback"]. */
  readonly callbackPaths: readonly string[]
  /** Fixed loopback ports the redirect must use, in order of preference; empty: the server's own port. */
  readonly loopbackPorts: readonly number[]
  /** Path of the redirect URI on the loopback host. */
  readonly redirectPath: string
  authorizeUrl(p: { readonly state: string; readonly challenge: string; readonly redirectUri: string }): URL
  exchange(
    p: { readonly code: string; readonly verifier: string; readonly redirectUri: string },
    signal: AbortSignal,
  ): Promise<Exchanged>
  readonly device: DeviceFlow | null
  /** One sentence for people about an `error=` answer, or null for a general one. */
  explain(error: string, description: string | null): string | null
}

/** One provider as `app.ts` composes it: the whole folder behind one object. */
export interface ProviderModule<C extends CallBase = CallBase> {
  readonly name: string
  readonly shape: ErrorShape
  readonly oauth: OAuthProvider
  readonly refresher: Refresher
  /** Asks what is left of an account's quota; null when the provider has no such call. */
  readonly quotas: QuotaReader | null
  readonly provider: Provider<C>
  /**
   * The API routes; `resource:*`, login and auth routes are the edge's own.
   * A path below the provider's prefix that no route takes gets `not_found` in `shape`.
   */
  routes(deps: { readonly tools: RouteTools; readonly relay: Relay<C>; readonly pool: Pool }): AnyElysia
  /** Account hint of one `resource:add` object (`project_id`, `projectId`), or null. */
  seedAccount(item: Readonly<Record<string, unknown>>): string | null
  /** Names under which the scheduler may know what a client sends as its session, best first; absent: that name itself. */
  sessionNames?(session: string): readonly string[]
}

/** What a provider's factory is given. `S` is its settings; read `.current` at each use, a reload may swap it. */
export interface ProviderDeps<S> {
  readonly settings: Live<S>
  readonly fetcher: Fetcher
  readonly sender: Sender
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}
