import type { Live } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { codeOf, networkFailure, ProxyFault } from "./network.ts"
import type { Fetcher, UpstreamInit } from "./ports.ts"
import { TlsShards } from "./tls-shards.ts"
import { uploaded } from "./upload.ts"

export { networkFailure }

export interface FetcherDeps {
  readonly settings: Live<{ readonly enableMultiplexing: boolean; readonly proxy: string | null }>
  readonly log: Log
}

type Send = (url: string, init: BunFetchRequestInit) => Promise<Response>

/**
 * `fetch` as every upstream call uses it (see `Fetcher`). HTTP/2 when multiplexing is on and the way there allows it: not through
 * a proxy, not to an `http://` base, and not to an origin that refused it once, each of which is logged once.
 *
 * TLS trusts Bun's own roots and what NODE_EXTRA_CA_CERTS or SSL_CERT_FILE name at start.
 */
export function createFetcher(deps: FetcherDeps): Fetcher {
  const { settings, log } = deps
  const shards = new TlsShards()
  const multiplexed = new Bun.FetchSession()
  /** Origins that do not take HTTP/2, and other reasons already told; a handful, since URLs come from the configuration. */
  const told = new Set<string>()

  const fallBack = (origin: string, reason: string): void => {
    if (told.has(`${origin} ${reason}`)) return
    told.add(`${origin} ${reason}`)
    log.warn("http2_unavailable", { origin, reason, using: "HTTP/1.1" })
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

  const overHttp1: Send = (url, init) => (url.startsWith("https:") ? overTls(url, init) : fetch(url, uploaded(init)))

  const overHttp2 = async (url: string, init: BunFetchRequestInit, origin: string): Promise<Response> => {
    try {
      return await multiplexed.fetch(url, { ...uploaded(init), protocol: "http2" })
    } catch (error) {
      // Found out while the TLS connection was made: the request itself was not sent, so it can be sent again.
      if (codeOf(error) !== "HTTP2Unsupported") throw error
      fallBack(origin, REFUSED)
      return overHttp1(url, init)
    }
  }

  const send = (url: string, init: BunFetchRequestInit, proxied: boolean): Promise<Response> => {
    if (!settings.current.enableMultiplexing) return overHttp1(url, init)
    const origin = originOf(url)
    if (proxied) fallBack(origin, "the runtime speaks HTTP/1.1 through a proxy")
    else if (!url.startsWith("https:")) fallBack(origin, "HTTP/2 needs https")
    else if (!told.has(`${origin} ${REFUSED}`)) return overHttp2(url, init, origin)
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

const REFUSED = "the server does not offer it"

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
