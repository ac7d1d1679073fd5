/** Where connections go, and what is sent to name it. */
export interface Origin {
  /** Scheme, host and port: connections to it are alike. */
  readonly key: string
  readonly secure: boolean
  /** Without the brackets of an IPv6 address. */
  readonly hostname: string
  readonly port: number
  /** As the Host field says it (RFC 9110 section 7.2). */
  readonly host: string
}

export interface Target {
  readonly origin: Origin
  readonly path: string
}

/** Most URLs kept. They come from the configuration: a few for each provider. */
const MAX_TARGETS = 256

/** URLs taken apart, once each. */
export class Targets {
  private readonly targets = new Map<string, Target>()

  /** @throws TypeError for what is no http or https URL */
  of(url: string): Target {
    const known = this.targets.get(url)
    if (known !== undefined) return known
    const target = parseTarget(url)
    if (this.targets.size >= MAX_TARGETS) this.targets.clear()
    this.targets.set(url, target)
    return target
  }
}

export function parseTarget(url: string): Target {
  const { protocol, hostname, port, host, pathname, search, origin } = new URL(url)
  if (protocol !== "https:" && protocol !== "http:") throw new TypeError("only http and https URLs can be asked")
  const secure = protocol === "https:"
  return {
    origin: {
      key: origin,
      secure,
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? (secure ? 443 : 80) : Number(port),
      host,
    },
    path: pathname + search,
  }
}
