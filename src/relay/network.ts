import type { Failure } from "./ports.ts"

type NetworkFailure = Extract<Failure, { kind: "network" }>
type CutFailure = Extract<Failure, { kind: "cut" }>

/** A fault of the connection to the proxy, or of the proxy itself: `fetch` alone does not tell it from one of the origin. */
export class ProxyFault extends Error {
  override readonly name = "ProxyFault"
  constructor(
    /** Code of the underlying error, or the status the proxy answered. */
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(`The proxy cannot be used: ${code}`, options)
  }
}

interface Rule {
  readonly codes: RegExp
  readonly stage: NetworkFailure["stage"]
  readonly says: string
}

/**
 * Codes of rejections, of `fetch` as measured on Bun 1.4.5 and of our own connections (socket errors as Node spells them, X.509
 * verification results as OpenSSL does). The first match counts.
 */
const RULES: readonly Rule[] = [
  { codes: /^(ENOTFOUND|EAI_|ENODATA|ESERVFAIL|DNS)/, stage: "dns", says: "the host name was not resolved" },
  {
    codes: /^(ERR_PROXY_TUNNEL|UnsupportedProxyProtocol|Proxy)/,
    stage: "proxy",
    says: "the proxy did not open a connection",
  },
  { codes: /^ECONNREFUSED$/, stage: "connect", says: "the connection was refused" },
  {
    codes: /^(EHOST|ENET|EADDR|EACCES$|ETIMEDOUT$|EMFILE$|ENFILE$|ConnectionRefused$|FailedToOpenSocket$)/,
    stage: "connect",
    says: "no connection could be made",
  },
  { codes: /^(HTTP2Unsupported)$/, stage: "tls", says: "the server does not speak HTTP/2" },
  { codes: /^MalformedMessage$/, stage: "unknown", says: "the answer is not valid HTTP" },
  { codes: /CERT|^UNABLE_TO_|ISSUER|HOSTNAME_MISMATCH/, stage: "tls", says: "the certificate was not accepted" },
  { codes: /^(EPROTO|ERR_TLS|ERR_SSL|ERR_OSSL)/, stage: "tls", says: "the TLS handshake failed" },
  {
    codes: /^(ECONNRESET|ECONNABORTED|EPIPE|ConnectionClosed|HTTP2|HTTP3)/,
    stage: "reset",
    says: "the connection broke",
  },
]

/**
 * What a rejected call means. The detail holds a code and words of our own only: messages of the runtime name the URL, and a
 * URL may hold a key or a proxy's password.
 */
export function networkFailure(error: unknown): NetworkFailure {
  const code = codeOf(error)
  if (error instanceof ProxyFault) {
    return { kind: "network", stage: "proxy", detail: `the proxy cannot be used (${code})` }
  }
  const rule = RULES.find(({ codes }) => codes.test(code))
  if (rule === undefined) return { kind: "network", stage: "unknown", detail: `the request failed (${code})` }
  const status = rule.stage === "proxy" ? statusOf(error) : null
  return { kind: "network", stage: rule.stage, detail: `${rule.says} (${status === null ? code : `status ${status}`})` }
}

/** What an answer means that had begun and could not be read to its end; the detail is worded as in `networkFailure`. */
export function brokenAnswer(error: unknown): CutFailure {
  const code = codeOf(error)
  const rule = RULES.find(({ codes }) => codes.test(code))
  const says = rule === undefined ? "the answer could not be read to its end" : rule.says
  return { kind: "cut", detail: `${says} (${code})` }
}

/** An error's code, or its class; never its message. */
export function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "unknown"
  if ("code" in error && typeof error.code === "string" && /^\w{1,64}$/.test(error.code)) return error.code
  return error instanceof Error ? error.name : "unknown"
}

function statusOf(error: unknown): number | null {
  return typeof error === "object" && error !== null && "status" in error && typeof error.status === "number"
    ? error.status
    : null
}
