/**
 * Where the provider sends the browser back to: always this machine as the browser sees it, never a host that a client could name.
 * @param host the request's Host header: kept when it is loopback (a tunnel may have another port than ours), else not used
 * @param ownPort where this process listens
 */
export function redirectOrigin(host: string | null, ownPort: number): string {
  const url =
    host !== null && /^[\w.:[\]]+$/.test(host) && URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : null
  return url !== null && isLoopbackName(url.hostname) ? url.origin : `http://localhost:${ownPort}`
}

/** The origin of a request to a loopback address, with `localhost` for its name; null when that is its name, or it is not loopback. */
export function asLocalhost(host: string | null): string | null {
  if (host === null || !URL.canParse(`http://${host}`)) return null
  const url = new URL(`http://${host}`)
  if (url.hostname === "localhost" || !isLoopbackName(url.hostname) || url.pathname !== "/") return null
  url.hostname = "localhost"
  return url.origin
}

/** The names of loopback that authorization servers take for an installed app (RFC 8252, 7.3 and 8.3). */
export function isLoopbackName(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

/** What came back with the browser. */
export type Returned =
  | { readonly kind: "code"; readonly code: string; readonly state: string }
  | {
      readonly kind: "error"
      readonly error: string
      readonly description: string | null
      readonly state: string | null
    }
  /** Nothing usable, or the same parameter twice (RFC 6749, 3.1 forbids it). */
  | { readonly kind: "invalid" }

/** Longest code and state that are taken, and longest error text that is shown, in characters. */
const CODE_LENGTH = 4_096
const ERROR_LENGTH = 300

export function parseReturned(query: URLSearchParams): Returned {
  for (const name of ["code", "state", "error"]) {
    if (query.getAll(name).length > 1) return { kind: "invalid" }
  }
  const code = query.get("code")
  const state = query.get("state")
  const error = query.get("error")
  if (error !== null) {
    const description = query.get("error_description")
    return {
      kind: "error",
      error: error.slice(0, ERROR_LENGTH),
      description: description === null ? null : description.slice(0, ERROR_LENGTH),
      state,
    }
  }
  if (!fits(code) || !fits(state)) return { kind: "invalid" }
  return { kind: "code", code, state }
}

/** What a person pasted: the address the browser ended at, or its query alone. */
export function parsePasted(text: string): Returned {
  const pasted = text.trim()
  const query = URL.canParse(pasted) ? new URL(pasted).search : pasted.replace(/^[?]/, "")
  return parseReturned(new URLSearchParams(query))
}

function fits(value: string | null): value is string {
  return value !== null && value !== "" && value.length <= CODE_LENGTH
}
