/** Where a request points to, read from the request line alone: what a client claims in Host decides nothing (checks B6). */
export interface Target {
  /** Path without query, percent-encoding kept, dot segments resolved. */
  readonly path: string
  /** The query without its question mark; empty when there is none. */
  readonly query: string
}

/** Length of `http://`, after which the host begins. */
const SCHEME = 7

/** The target of a request whose URL is absolute; null for anything else. */
export function targetOf(url: string): Target | null {
  if (!url.startsWith("http://") || url.includes("#")) return null
  const slash = url.indexOf("/", SCHEME)
  if (slash < 0) return { path: "/", query: "" }
  const mark = url.indexOf("?", slash)
  return mark < 0 ? { path: url.slice(slash), query: "" } : { path: url.slice(slash, mark), query: url.slice(mark + 1) }
}
