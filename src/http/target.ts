/** Where a request points to, read from the request line alone: what a client claims in Host decides nothing (checks B6). */
export interface Target {
  /** Path without query, percent-encoding kept, dot segments already resolved by the server. */
  readonly path: string
  /** The query without its question mark; empty when there is none. */
  readonly query: string
}

/** Length of `http://`, after which the host begins. */
const SCHEME = 7

/** The target of a request whose URL is absolute; null for anything else (CONNECT, a fragment in the request line). */
export function targetOf(url: string): Target | null {
  if (!url.startsWith("http://") || url.includes("#")) return null
  const slash = url.indexOf("/", SCHEME)
  if (slash < 0) return { path: "/", query: "" }
  const mark = url.indexOf("?", slash)
  return mark < 0 ? { path: url.slice(slash), query: "" } : { path: url.slice(slash, mark), query: url.slice(mark + 1) }
}

/** A request as the router can read it, and where it points to. */
export interface Routed {
  readonly request: Request
  readonly target: Target
}

/**
 * The request as the router can read it, or null when it must be refused (400).
 *
 * The server leaves `url` a bare path when the Host header is absent (HTTP/1.0) or no host at all: the first is served,
 * the second refused, as are two Host headers (RFC 9112, 3.2), which arrive joined by a comma.
 */
export function routable(request: Request): Routed | null {
  const { url } = request
  const host = request.headers.get("host")
  if (url.startsWith("/")) {
    return host === null || host === "" ? routed(new Request(`http://localhost${url}`, request)) : null
  }
  return host?.includes(",") ? null : routed(request)
}

function routed(request: Request): Routed | null {
  const target = targetOf(request.url)
  return target === null ? null : { request, target }
}
