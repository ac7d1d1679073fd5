/** Requests to Cloud Code: URLs, headers, sending. */

import type { Live } from "../../observe/clock.ts"
import type { HaltSignal } from "../../observe/halt.ts"
import type { Answer, Sender } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { GeminiCall, Verb } from "./call.ts"
import { envelopeFor } from "./request.ts"
import type { Signatures } from "./signatures.ts"
import { Wrapper } from "./wrapper.ts"

const PLATFORM = `(${process.platform}; ${process.arch})`

/** Header values hold visible ASCII only (RFC 9110 5.5); a model's name comes from the configuration. */
const visible = (text: string): string => text.replace(/[^\x21-\x7e]/g, "?")

/** @param version the release of the official client that is announced; Cloud Code expects its name and form (spec 4.3) */
export const userAgent = (version: string, model: string | null): string =>
  `GeminiCLI/${version}${model === null ? "" : `/${visible(model)}`} ${PLATFORM}`

/** @param method a method of Cloud Code, never text of a client */
export const methodUrl = (apiUrl: string, method: string): string => `${apiUrl}/v1internal:${method}`

/** Headers of every call with a credential; nothing of the client's is passed on. */
const sharedHeaders = (agent: string, accept: string): Record<string, string> => ({
  "content-type": "application/json",
  accept,
  "user-agent": agent,
})

const ownHeaders = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

export const headersFor = (token: string, version: string): Record<string, string> => ({
  ...ownHeaders(token),
  ...sharedHeaders(userAgent(version, null), "application/json"),
})

/** What all calls for a model have in common. */
interface ModelHeaders {
  readonly stream: Readonly<Record<string, string>>
  readonly unary: Readonly<Record<string, string>>
}

interface Settings {
  readonly apiUrl: string
  readonly clientVersion: string
}

export interface UpstreamDeps {
  readonly sender: Sender
  readonly settings: Live<Settings>
  readonly signatures: Signatures
}

/** Cloud Code as the relay sends to it. What requests have in common is made once per settings; a token is never kept. */
export class Upstream {
  readonly #deps: UpstreamDeps
  readonly #wrapper = new Wrapper()
  #settings: Settings
  #urls: Readonly<Record<Verb, string>>
  /** By model; as many as the settings list. */
  readonly #headers = new Map<string, ModelHeaders>()

  constructor(deps: UpstreamDeps) {
    this.#deps = deps
    this.#settings = deps.settings.current
    this.#urls = urlsOf(this.#settings)
  }

  /** Rejects with what the sender rejects with. */
  send(lease: Lease, call: GeminiCall, signal: HaltSignal): Promise<Answer> {
    const { sender, settings, signatures } = this.#deps
    if (this.#settings !== settings.current) this.#reload(settings.current)
    const { stream, unary } = this.#headersOf(call.model)
    const who = { project: lease.identity.account, credential: lease.credential }
    return sender(this.#urls[call.verb], {
      method: "POST",
      headers: ownHeaders(lease.token),
      shared: call.stream ? stream : unary,
      body: envelopeFor(call, who, signatures, this.#wrapper),
      signal,
    })
  }

  #reload(settings: Settings): void {
    this.#settings = settings
    this.#urls = urlsOf(settings)
    this.#headers.clear()
  }

  #headersOf(model: string): ModelHeaders {
    const known = this.#headers.get(model)
    if (known !== undefined) return known
    const agent = userAgent(this.#settings.clientVersion, model)
    const headers = {
      stream: sharedHeaders(agent, "text/event-stream"),
      unary: sharedHeaders(agent, "application/json"),
    }
    this.#headers.set(model, headers)
    return headers
  }
}

const urlsOf = ({ apiUrl }: Settings): Readonly<Record<Verb, string>> => ({
  generateContent: methodUrl(apiUrl, "generateContent"),
  streamGenerateContent: methodUrl(apiUrl, "streamGenerateContent?alt=sse"),
  countTokens: methodUrl(apiUrl, "countTokens"),
})
