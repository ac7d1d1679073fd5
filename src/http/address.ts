import { BlockList, isIP } from "node:net"

/** Address of those that have none. */
export const UNKNOWN = "unknown"

/** An address as it is compared, counted and logged: IPv4 carried in IPv6 is IPv4, zone ids and brackets are dropped. */
export function plainAddress(raw: string): string | null {
  let text = raw.trim()
  if (text.startsWith("[")) text = text.slice(1, text.indexOf("]"))
  else if (text.split(":").length === 2) text = text.slice(0, text.indexOf(":"))
  text = text.split("%", 1)[0] ?? ""
  if (isIP(text) === 0) return null
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1]
  return mapped ?? text.toLowerCase()
}

/**
 * What a limit per address counts under: one IPv4 address, or one IPv6 /64, since a single subscriber is given a whole /64
 * (RFC 6177).
 */
export function limitKey(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = "", tail] = address.split("::")
  const front = head === "" ? [] : head.split(":")
  const back = tail === undefined || tail === "" ? [] : tail.split(":")
  const groups = tail === undefined ? front : [...front, ...Array(8 - front.length - back.length).fill("0"), ...back]
  return `${groups.slice(0, 4).join(":")}::/64`
}

/** Addresses and CIDR ranges of proxies whose X-Forwarded-For is believed. */
export class TrustedProxies {
  readonly #list = new BlockList()
  readonly #any: boolean

  /** @param entries addresses or `address/prefix`; the configuration has checked them, others are ignored. */
  constructor(entries: readonly string[]) {
    let any = false
    for (const entry of entries) {
      const [base = "", prefix] = entry.split("/")
      const family = isIP(base)
      if (family === 0) continue
      const kind = family === 4 ? "ipv4" : "ipv6"
      if (prefix === undefined) this.#list.addAddress(base, kind)
      else this.#list.addSubnet(base, Number(prefix), kind)
      any = true
    }
    this.#any = any
  }

  trusts(address: string): boolean {
    return this.#any && this.#list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")
  }

  /** Whether there are any, so that X-Forwarded-For matters. */
  get any(): boolean {
    return this.#any
  }

  /**
   * The client's address: the socket's, unless that is a trusted proxy; then the rightmost entry of X-Forwarded-For that is
   * not one, since everything left of it may be invented by the client.
   */
  client(socket: string, forwardedFor: string | null): string {
    if (forwardedFor === null || !this.trusts(socket)) return socket
    let nearest = socket
    for (const entry of forwardedFor.split(",").reverse()) {
      const address = plainAddress(entry)
      if (address === null) return nearest
      nearest = address
      if (!this.trusts(address)) return address
    }
    return nearest
  }
}
