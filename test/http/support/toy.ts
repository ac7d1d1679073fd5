import { Elysia } from "elysia"
import {
  type ErrorShape,
  type Exchanged,
  HttpError,
  type OAuthProvider,
  type ProviderModule,
} from "../../../src/http/ports.ts"
import type { CallBase, Inbound, Provider, Relay } from "../../../src/relay/ports.ts"
import type { Reply } from "../../../src/relay/reply.ts"
import { viewOf } from "../../../src/relay/span.ts"
import { replyOf } from "../../support/requests.ts"

const STATUS: Readonly<Record<string, number>> = {
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  too_large: 413,
  unsupported_media: 415,
  rate_limited: 429,
  draining: 503,
  unavailable: 503,
  not_implemented: 501,
  internal: 500,
}

/** `{"toy":kind,"message"}`: no API has this shape, so a test that sees it knows whose it is. */
const toyShape: ErrorShape = (fault) => ({
  status: STATUS[fault.kind] ?? 400,
  body: JSON.stringify({ toy: fault.kind, message: fault.message }),
})

/** A relay that answers by itself and remembers what it was handed. */
export class ToyRelay implements Relay<CallBase> {
  readonly served: { readonly call: CallBase; readonly inbound: Inbound }[] = []
  active = 0
  answer: (call: CallBase, inbound: Inbound) => Promise<Response> = async (call) =>
    new Response(JSON.stringify({ served: call.model }), { headers: { "content-type": "application/json" } })

  async serve(call: CallBase, inbound: Inbound): Promise<Reply> {
    this.served.push({ call, inbound })
    return replyOf(await this.answer(call, inbound))
  }
  abortAll(): void {}
}

export interface ToyOAuth extends OAuthProvider {
  exchanged: { readonly code: string; readonly verifier: string; readonly redirectUri: string }[]
  result: Exchanged | (() => Promise<Exchanged>)
}

export function toyOAuth(name: string, more: Partial<OAuthProvider> = {}): ToyOAuth {
  const oauth: ToyOAuth = {
    name,
    callbackPaths: [`/${name}callback`],
    loopbackPorts: [],
    redirectPath: `/${name}callback`,
    device: null,
    exchanged: [],
    result: {
      kind: "ok",
      tokens: { accessToken: "at-secret", refreshToken: "rt-secret", expiresAt: 0, idToken: null },
    },
    authorizeUrl({ state, challenge, redirectUri }) {
      const url = new URL("http://127.0.0.1:9/authorize")
      url.search = new URLSearchParams({ state, code_challenge: challenge, redirect_uri: redirectUri }).toString()
      return url
    },
    async exchange(p) {
      oauth.exchanged.push(p)
      return typeof oauth.result === "function" ? oauth.result() : oauth.result
    },
    explain: (error) => (error === "no_seat" ? "This workspace has no seat." : null),
    ...more,
  }
  return oauth
}

/** A provider with routes enough to exercise the edge. */
export function toyModule(name: string, oauth: OAuthProvider = toyOAuth(name)): ProviderModule {
  return {
    name,
    shape: toyShape,
    oauth,
    refresher: {
      leadMs: 0,
      refresh: () => Promise.reject(new Error("not used")),
      identify: () => Promise.reject(new Error("not used")),
    },
    provider: unusedProvider(name),
    quotas: null,
    seedAccount: (item) => (typeof item.project_id === "string" ? item.project_id : null),
    routes: ({ tools, relay }) =>
      new Elysia()
        .get(
          `/${name}/v1/models`,
          tools.api((context) => Response.json({ key: context.principal.name })),
          { parse: "none" },
        )
        .post(
          `/${name}/v1/echo`,
          tools.posted(() => ({ take: (body) => new Response(new Uint8Array(viewOf(body))) })),
          { parse: "none" },
        )
        .post(
          `/${name}/v1/hot`,
          tools.posted(() => ({ take: (body) => new Response(new Uint8Array(viewOf(body))) }), {
            method: "POST",
            path: `/${name}/v1/hot`,
          }),
          { parse: "none" },
        )
        .post(
          `/${name}/v1/run/*`,
          tools.posted((context) => {
            const model = context.path.split("/").at(-1) ?? ""
            const call = { model, stream: context.query.has("stream"), sessions: [] }
            return { take: () => relay.serve(call, context.inbound) }
          }),
          { parse: "none" },
        )
        .post(
          `/${name}/v1/refuse`,
          tools.api(() => {
            throw new HttpError({ kind: "invalid_request", message: "no such thing" })
          }),
          { parse: "none" },
        )
        .post(
          `/${name}/v1/defect`,
          tools.api(async () => {
            throw new TypeError("secret-of-the-inside is undefined")
          }),
          { parse: "none" },
        ),
  }
}

function unusedProvider(name: string): Provider<CallBase> {
  const never = (): never => {
    throw new Error("the toy relay sends nothing")
  }
  return { name, send: never, open: never, judge: never, refuse: never }
}
