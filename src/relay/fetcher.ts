import type { Live } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { codeOf, networkFailure, ProxyFault } from "./network.ts"
import type { Fetcher, UpstreamInit } from "./ports.ts"
import { TlsShards } from "./tls-shards.ts"

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

  const overHttp1: Send = async (url, init) => {
    if (!url.startsWith("https:")) return fetch(url, init)
    const shard = shards.pick()
    shard.waiting++
    try {
      return await shard.fetch(url, { ...init, protocol: "http1.1" })
    } finally {
      shard.waiting--
    }
  }

  const send = async (url: string, init: BunFetchRequestInit, proxied: boolean): Promise<Response> => {
    if (!settings.current.enableMultiplexing) return overHttp1(url, init)
    const origin = originOf(url)
    if (proxied) fallBack(origin, "the runtime speaks HTTP/1.1 through a proxy")
    else if (!url.startsWith("https:")) fallBack(origin, "HTTP/2 needs https")
    else if (!told.has(`${origin} ${REFUSED}`)) {
      try {
        return await multiplexed.fetch(url, { ...init, protocol: "http2" })
      } catch (error) {
        // Found out while the TLS connection was made: the request itself was not sent, so it can be sent again.
        if (codeOf(error) !== "HTTP2Unsupported") throw error
        fallBack(origin, REFUSED)
      }
    }
    return overHttp1(url, init)
  }

  return async (url, init) => {
    const { proxy } = settings.current
    try {
      const response = await send(url, options(init, proxy), proxy !== null)
      // Only a proxy asks for this, and only where it reads the request: that of an http:// base.
      if (proxy !== null && response.status === 407) {
        void response.body?.cancel().catch(() => undefined)
        throw new ProxyFault("407")
      }
      return response
    } catch (error) {
      if (proxy !== null && UNREACHED.has(networkFailure(error).stage))
        throw new ProxyFault(codeOf(error), { cause: error })
      throw error
    }
  }
}

const REFUSED = "the server does not offer it"

/** Stages at which a proxied request can only have failed on the way to the proxy. */
const UNREACHED: ReadonlySet<string> = new Set(["dns", "connect"])

function options(init: UpstreamInit, proxy: string | null): BunFetchRequestInit {
  return {
    method: init.method,
    headers: init.headers,
    signal: init.signal,
    redirect: "manual",
    // The runtime's own limit is off: the relay has its own, and pauses of minutes are normal.
    timeout: false,
    // `false` keeps the environment's proxy variables out.
    proxy: proxy ?? false,
    ...(init.body !== undefined && { body: init.body }),
    ...(init.raw === true && { decompress: false }),
  }
}

function originOf(url: string): string {
  const path = url.indexOf("/", url.indexOf("//") + 2)
  return path === -1 ? url : url.slice(0, path)
}
