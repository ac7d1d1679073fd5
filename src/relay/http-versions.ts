import type { Clock, Live } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"

export interface WaySettings {
  readonly enableMultiplexing: boolean
  readonly proxy: string | null
}

/** How long an origin that refused HTTP/2 is not asked again, in milliseconds: it may learn it, or another may take its place. */
const REFUSAL_MS = 3_600_000

/**
 * Which HTTP version goes where: HTTP/2 when multiplexing is on and the way there allows it, which is not through a proxy, not to
 * an `http://` base, and not to an origin that refused it within the hour and under the same settings. Each is logged once.
 */
export class HttpVersions {
  /** Why HTTP/2 cannot be used for an origin, where that was told; a handful, since URLs come from the configuration. */
  private readonly told = new Set<string>()
  /** Origins that do not take HTTP/2, with the monotonic time until which that is believed. */
  private readonly refused = new Map<string, number>()
  private refusedUnder: WaySettings

  constructor(
    private readonly settings: Live<WaySettings>,
    private readonly log: Log,
    private readonly clock: Clock,
  ) {
    this.refusedUnder = settings.current
  }

  /** Whether `url` is asked over HTTP/2. */
  isMultiplexed(url: string): boolean {
    const { enableMultiplexing, proxy } = this.settings.current
    if (!enableMultiplexing) return false
    const origin = originOf(url)
    if (proxy !== null) this.fallBack(origin, "the runtime speaks HTTP/1.1 through a proxy")
    else if (!url.startsWith("https:")) this.fallBack(origin, "HTTP/2 needs https")
    else return !this.refuses(origin)
    return false
  }

  /** The server at `url` does not speak HTTP/2. */
  refuse(url: string): void {
    const origin = originOf(url)
    if (!this.refuses(origin)) this.warn(origin, "the server does not offer it")
    this.refused.set(origin, this.clock.mono() + REFUSAL_MS)
  }

  private refuses(origin: string): boolean {
    if (this.refusedUnder !== this.settings.current) {
      this.refusedUnder = this.settings.current
      this.refused.clear()
    }
    const until = this.refused.get(origin)
    return until !== undefined && this.clock.mono() < until
  }

  private fallBack(origin: string, reason: string): void {
    if (this.told.has(`${origin} ${reason}`)) return
    this.told.add(`${origin} ${reason}`)
    this.warn(origin, reason)
  }

  private warn(origin: string, reason: string): void {
    this.log.warn("http2_unavailable", { origin, reason, using: "HTTP/1.1" })
  }
}

function originOf(url: string): string {
  const path = url.indexOf("/", url.indexOf("//") + 2)
  return path === -1 ? url : url.slice(0, path)
}
