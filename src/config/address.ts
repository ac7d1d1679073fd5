import { BlockList, isIP } from "node:net"

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4")
LOOPBACK.addAddress("::1", "ipv6")

/** `[::1]` as it stands in a URL, without its brackets. */
export function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host
}

/** Whether only this machine can reach `host` (an address, or the name localhost). */
export function isLoopback(host: string): boolean {
  const bare = withoutBrackets(host).toLowerCase()
  if (bare === "localhost" || bare.endsWith(".localhost")) return true
  const version = isIP(bare)
  return version !== 0 && LOOPBACK.check(bare, version === 4 ? "ipv4" : "ipv6")
}

/** Whether `text` is an IP address or a CIDR range (RFC 4632, RFC 4291 2.3). */
export function isNetwork(text: string): boolean {
  const slash = text.indexOf("/")
  if (slash < 0) return isIP(text) !== 0
  const version = isIP(text.slice(0, slash))
  const bits = text.slice(slash + 1)
  return version !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
}
