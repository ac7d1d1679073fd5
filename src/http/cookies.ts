import type { HeaderReader } from "../relay/ports.ts"

/** The value of a cookie, or null. Of several with one name the first counts (RFC 6265, 5.4: the most specific comes first). */
export function cookieValue(headers: HeaderReader, name: string): string | null {
  const header = headers.get("cookie")
  if (header === null) return null
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=")
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return null
}

/** A `Set-Cookie` value for this host alone, out of reach of scripts; sent back when a provider redirects here (Lax). */
export function setCookie(name: string, value: string, maxAgeSeconds: number, secure: boolean): string {
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}${secure ? "; Secure" : ""}`
}
