import { isLoopback, withoutBrackets } from "../config/address.ts"

/**
 * Where a server that listens on `listenAddr` is reached from its own machine: the unspecified addresses stand for loopback.
 * No slash at the end. Pure.
 */
export function serverUrl(listenAddr: string, port: number): string {
  const bare = withoutBrackets(listenAddr)
  const host = bare === "0.0.0.0" || bare === "" ? "127.0.0.1" : bare === "::" ? "::1" : bare
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`
}

export type NamedServer = { readonly ok: true; readonly url: string } | { readonly ok: false; readonly problem: string }

/** Reads `--server`: `http://host:port`, `https://...`, or `host:port`; a path in front of Pollux is kept. Pure. */
export function parseServer(text: string): NamedServer {
  const bad = (why: string): NamedServer => ({
    ok: false,
    problem: `--server: expected an address like http://127.0.0.1:8188, ${why}`,
  })
  const spelled = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(spelled)) return bad("got something else")
  const url = new URL(spelled)
  if (url.protocol !== "http:" && url.protocol !== "https:") return bad(`got ${url.protocol}//`)
  if (url.username !== "" || url.password !== "") return bad("got one with a user name")
  if (url.search !== "" || url.hash !== "") return bad("got one with a query")
  return { ok: true, url: `${url.origin}${url.pathname.replace(/\/+$/, "")}` }
}

/** Whether a key sent to `url` could be read on the way. */
export function isExposed(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === "http:" && !isLoopback(hostname)
}
