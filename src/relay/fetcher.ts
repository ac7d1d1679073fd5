import { type Clock, type Live, systemClock } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { codeOf, networkFailure, ProxyFault } from "./network.ts"
import type { Fetcher, UpstreamInit } from "./ports.ts"
import { TlsShards } from "./tls-shards.ts"
import { uploaded } from "./upload.ts"

export { networkFailure }

export interface FetcherDeps {
  readonly settings: Live<{ readonly enableMultiplexing: boolean; readonly proxy: string | null }>
  readonly log: Log
  readonly clock?: Clock
}

/** How long an origin that refused HTTP/2 is not asked again, in milliseconds: it may learn it, or another may take its place. */
const REFUSAL_MS = 3_600_000

type Send = (url: string, init: BunFetchRequestInit) => Promise<Response>

/**
 * `fetch` as every upstream call uses it (see `Fetcher`). HTTP/2 when multiplexing is on and the way there allows it: not through
 * a proxy, not to an `http://` base, and not to an origin that refused it within the hour and under the same settings, each of which is logged once.
 *
 * TLS trusts Bun's own roots and what NODE_EXTRA_CA_CERTS or SSL_CERT_FILE name at start.
 */
export function createFetcher(deps: FetcherDeps): Fetcher {
  const { settings, log, clock = systemClock } = deps
  const shards = new TlsShards()
  const multiplexed = new Bun.FetchSession()
  /** Why HTTP/2 cannot be used for an origin, where that was told; a handful, since URLs come from the configuration. */
  const told = new Set<string>()
  /** Origins that do not take HTTP/2, with the monotonic time until which that is believed. */
  const refused = new Map<string, number>()
  let refusedUnder = settings.current

  const refuses = (origin: string): boolean => {
    if (refusedUnder !== settings.current) {
      refusedUnder = settings.current
      refused.clear()
    }
    const until = refused.get(origin)
    return until !== undefined && clock.mono() < until
  }

  const warn = (origin: string, reason: string): void =>
    log.warn("http2_unavailable", { origin, reason, using: "HTTP/1.1" })

  const fallBack = (origin: string, reason: string): void => {
    if (told.has(`${origin} ${reason}`)) return
    told.add(`${origin} ${reason}`)
    warn(origin, reason)
  }

  const overTls: Send = async (url, init) => {
    const shard = shards.pick()
    shard.waiting++
    try {
      return await shard.fetch(url, { ...uploaded(init), protocol: "http1.1" })
    } finally {
      shard.waiting--
    }
  }

  // Through a proxy without a tunnel, Bun 1.4.5 may miss the answer that follows one which came before its large body was sent.
  const overTcp: Send = (url, init) => fetch(url, init.proxy === false ? uploaded(init) : init)

  const overHttp1: Send = (url, init) => (url.startsWith("https:") ? overTls(url, init) : overTcp(url, init))

  const overHttp2 = async (url: string, init: BunFetchRequestInit, origin: string): Promise<Response> => {
    try {
      return await multiplexed.fetch(url, { ...uploaded(init), protocol: "http2" })
    } catch (error) {
      // Found out while the TLS connection was made: the request itself was not sent, so it can be sent again.
      if (codeOf(error) !== "HTTP2Unsupported") throw error
      if (!refuses(origin)) warn(origin, "the server does not offer it")
      refused.set(origin, clock.mono() + REFUSAL_MS)
      return overHttp1(url, init)
    }
  }

  const send = (url: string, init: BunFetchRequestInit, proxied: boolean): Promise<Response> => {
    if (!settings.current.enableMultiplexing) return overHttp1(url, init)
    const origin = originOf(url)
    if (proxied) fallBack(origin, "the runtime speaks HTTP/1.1 through a proxy")
    else if (!url.startsWith("https:")) fallBack(origin, "HTTP/2 needs https")
    else if (!refuses(origin)) return overHttp2(url, init, origin)
    return overHttp1(url, init)
  }

  const overProxy = async (url: string, init: UpstreamInit, proxy: string): Promise<Response> => {
    try {
      const response = await send(url, options(init, proxy), true)
      // Only a proxy asks for this, and only where it reads the request: that of an http:// base.
      if (response.status === 407) {
        void response.body?.cancel().catch(() => undefined)
        throw new ProxyFault("407")
      }
      return response
    } catch (error) {
      if (UNREACHED.has(networkFailure(error).stage)) throw new ProxyFault(codeOf(error), { cause: error })
      throw error
    }
  }

  return (url, init) => {
    const { proxy } = settings.current
    return proxy === null ? send(url, options(init, null), false) : overProxy(url, init, proxy)
  }
}

/** Stages at which a proxied request can only have failed on the way to the proxy. */
const UNREACHED: ReadonlySet<string> = new Set(["dns", "connect"])

function options(init: UpstreamInit, proxy: string | null): BunFetchRequestInit {
  const options: BunFetchRequestInit = {
    method: init.method,
    headers: init.headers,
    signal: init.signal,
    redirect: "manual",
    // The runtime's own limit is off: the relay has its own, and pauses of minutes are normal.
    timeout: false,
    // `false` keeps the environment's proxy variables out.
    proxy: proxy ?? false,
  }
  if (init.body !== undefined) options.body = init.body
  if (init.raw === true) options.decompress = false
  return options
}

function originOf(url: string): string {
  const path = url.indexOf("/", url.indexOf("//") + 2)
  return path === -1 ? url : url.slice(0, path)
}
