import type { HeaderReader } from "../relay/ports.ts"

/** Fetch Metadata values by which a browser says that another site caused the request (W3C Fetch Metadata, 2.3). */
const FOREIGN_SITES: ReadonlySet<string> = new Set(["cross-site", "same-site"])

/**
 * Whether a browser made this request on behalf of another origin. Programs send none of these headers and are never foreign;
 * a typed address or a bookmark says `none`.
 */
export function fromElsewhere(headers: HeaderReader): boolean {
  const site = headers.get("sec-fetch-site")
  if (site !== null) return FOREIGN_SITES.has(site.toLowerCase())
  const source = headers.get("origin") ?? headers.get("referer")
  if (source === null) return false
  const host = headers.get("host")
  return !URL.canParse(source) || host === null || new URL(source).host !== host.toLowerCase()
}
