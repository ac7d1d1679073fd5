/** Requests to Cloud Code: URLs, headers, sending. */
import type { Fetcher } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { GeminiCall, Verb } from "./call.ts"
import { envelopeFor } from "./request.ts"
import type { Signatures } from "./signatures.ts"

const PLATFORM = `(${process.platform}; ${process.arch})`

/** Header values hold visible ASCII only (RFC 9110 5.5); a model's name comes from the configuration. */
const visible = (text: string): string => text.replace(/[^\x21-\x7e]/g, "?")

/** @param version the release of the official client that is announced; Cloud Code expects its name and form (spec 4.3) */
export const userAgent = (version: string, model: string | null): string =>
  `GeminiCLI/${version}${model === null ? "" : `/${visible(model)}`} ${PLATFORM}`

const METHODS: Readonly<Record<Verb, string>> = {
  generateContent: "generateContent",
  streamGenerateContent: "streamGenerateContent?alt=sse",
  countTokens: "countTokens",
}

/** @param method a method of Cloud Code, never text of a client */
export const methodUrl = (apiUrl: string, method: string): string => `${apiUrl}/v1internal:${method}`

/** Headers of every call with a credential; nothing of the client's is passed on. */
export const headersFor = (
  token: string,
  version: string,
  model: string | null,
  accept: string,
): Record<string, string> => ({
  authorization: `Bearer ${token}`,
  "content-type": "application/json",
  accept,
  "user-agent": userAgent(version, model),
})

/** Rejects with what the fetcher rejects with. */
export function send(
  deps: {
    readonly fetcher: Fetcher
    readonly apiUrl: string
    readonly clientVersion: string
    readonly signatures: Signatures
  },
  lease: Lease,
  call: GeminiCall,
  signal: AbortSignal,
): Promise<Response> {
  const who = { project: lease.identity.account, credential: lease.credential }
  return deps.fetcher(methodUrl(deps.apiUrl, METHODS[call.verb]), {
    method: "POST",
    headers: headersFor(
      lease.token,
      deps.clientVersion,
      call.model,
      call.stream ? "text/event-stream" : "application/json",
    ),
    body: envelopeFor(call, who, deps.signatures),
    signal,
  })
}
