import { type Clock, type Live, systemClock, systemTimers, type Timers } from "../observe/clock.ts"
import { nativeSignal } from "../observe/halt.ts"
import type { Log } from "../observe/ports.ts"
import { HttpVersions, type WaySettings } from "./http-versions.ts"
import { Http1Client } from "./http1/client.ts"
import { codeOf, networkFailure, ProxyFault } from "./network.ts"
import type { Fetcher, Sender, UpstreamInit } from "./ports.ts"
import { handed, uploaded } from "./upload.ts"

export { networkFailure }

export interface UpstreamDeps {
  readonly settings: Live<WaySettings>
  readonly log: Log
  readonly clock?: Clock
  readonly timers?: Timers
}

/** The two ways of a provider's calls; see `Fetcher` and `Sender`. */
export interface Upstreams {
  readonly fetcher: Fetcher
  readonly sender: Sender
}

/**
 * `fetch` as upstream calls use it, and for those that clients wait for connections of our own, wherever the way there is HTTP/1.1
 * without a proxy (`Http1Client` says why).
 *
 * TLS trusts Bun's own roots and what NODE_EXTRA_CA_CERTS or SSL_CERT_FILE name at start.
 */
export function createUpstreams(deps: UpstreamDeps): Upstreams {
  const { settings, log, clock = systemClock, timers = systemTimers } = deps
  const versions = new HttpVersions(settings, log, clock)
  const native = new NativeFetch(versions)
  const http1 = new Http1Client(clock, timers)
  return {
    fetcher: (url, init) => native.ask(url, options(init, settings.current.proxy)),
    sender(url, init) {
      const { proxy } = settings.current
      if (proxy === null && !versions.isMultiplexed(url)) return http1.ask(url, init)
      return native.ask(url, { ...options(init, proxy), decompress: false })
    },
  }
}

class NativeFetch {
  /** HTTP/2 connections of their own. */
  private readonly multiplexed = new Bun.FetchSession()

  constructor(private readonly versions: HttpVersions) {}

  ask(url: string, init: BunFetchRequestInit): Promise<Response> {
    const isMultiplexed = this.versions.isMultiplexed(url)
    if (init.proxy !== false) return this.overProxy(url, init)
    return isMultiplexed ? this.overHttp2(url, init) : this.overHttp1(url, uploaded(init))
  }

  private overHttp1(url: string, init: BunFetchRequestInit): Promise<Response> {
    return fetch(url, url.startsWith("https:") ? { ...init, protocol: "http1.1" } : init)
  }

  private async overHttp2(url: string, init: BunFetchRequestInit): Promise<Response> {
    try {
      return await this.multiplexed.fetch(url, { ...uploaded(init), protocol: "http2" })
    } catch (error) {
      // Found out while the TLS connection was made: the request itself was not sent, so it can be sent again.
      if (codeOf(error) !== "HTTP2Unsupported") throw error
      this.versions.refuse(url)
      return this.overHttp1(url, uploaded(init))
    }
  }

  private async overProxy(url: string, init: BunFetchRequestInit): Promise<Response> {
    try {
      // Without a tunnel, Bun 1.4.5 may miss the answer that follows one which came before its large body was sent.
      const response = await this.overHttp1(url, url.startsWith("https:") ? uploaded(init) : init)
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
}

/** Stages at which a proxied request can only have failed on the way to the proxy. */
const UNREACHED: ReadonlySet<string> = new Set(["dns", "connect"])

function options(init: UpstreamInit, proxy: string | null): BunFetchRequestInit {
  const options: BunFetchRequestInit = {
    method: init.method,
    headers: init.shared === undefined ? init.headers : { ...init.headers, ...init.shared },
    signal: nativeSignal(init.signal),
    redirect: "manual",
    // The runtime's own limit is off: the relay has its own, and pauses of minutes are normal.
    timeout: false,
    // `false` keeps the environment's proxy variables out.
    proxy: proxy ?? false,
  }
  if (init.body !== undefined) options.body = handed(init.body)
  return options
}
