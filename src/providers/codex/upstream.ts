/** What goes to the backend and what comes back from it beside the body (spec codex 4): URLs and header allow-lists. */
import type { CodexSettings } from "../../config/types.ts"
import type { Live } from "../../observe/clock.ts"
import { copied } from "../../observe/copied.ts"
import type { HaltSignal } from "../../observe/halt.ts"
import { type HeaderFields, headerFilter, type ReplyFields } from "../../relay/headers.ts"
import type { Answer, HeaderReader, Sender } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { CodexCall } from "./call.ts"
import type { Caller } from "./caller.ts"
import { sessionHeader } from "./sessions.ts"

interface ForwardRule {
  /** The upstream's spelling: hyphens, since proxies drop underscores. */
  readonly to: string
  /** Spellings a client may use, first one present wins. */
  readonly from: readonly string[]
  /** Longest value that is passed on. */
  readonly max: number
}

const same = (name: string, max = 256): ForwardRule => ({ to: name, from: [name], max })

/** Everything of a client's headers that reaches the backend. What is not named here does not. */
const FORWARD: readonly ForwardRule[] = [
  { to: "session-id", from: ["session-id", "session_id"], max: 256 },
  { to: "thread-id", from: ["thread-id", "thread_id"], max: 256 },
  same("x-client-request-id"),
  same("x-codex-turn-metadata", 16_384),
  same("x-codex-window-id"),
  same("x-codex-beta-features", 1024),
  same("x-codex-parent-thread-id"),
  same("x-codex-installation-id"),
  same("x-openai-subagent"),
  same("x-openai-memgen-request"),
  same("x-responsesapi-include-timing-metrics"),
]

const FORWARD_UNNAMED = FORWARD.filter(({ to }) => to !== "session-id" && to !== "thread-id")

const LITE = "x-openai-internal-codex-responses-lite"
const TURN_STATE = "x-codex-turn-state"
/** Longest turn state passed on; it is opaque and the backend's own. */
const TURN_STATE_LENGTH = 16_384

/** Answer headers that reach the client; cookies, Cloudflare's and all others do not. */
const toClient = headerFilter([
  { name: "x-codex-*", why: "limits and turn state, which Codex clients read" },
  { name: "openai-model", why: "the model that answered" },
  { name: "x-models-etag", why: "tells Codex clients when to fetch the catalogue anew" },
  { name: "x-reasoning-included", why: "read by Codex clients" },
  { name: "x-request-id", as: "x-upstream-request-id", why: "for reports to the provider; ours keeps its own name" },
  { name: "retry-after", why: "RFC 9110 section 10.2.3" },
])

const PRINTABLE = /^[\x20-\x7e]+$/

/**
 * The client's headers that go along.
 * @param named what `sessionHeader` says, where that is known already
 * @param cacheKey the body's prompt_cache_key: names the session where no header does, so that the upstream's cache is found again
 */
export function forwardedHeaders(
  headers: HeaderReader,
  cacheKey: string | null,
  lite: boolean,
  named: string | null = sessionHeader(headers),
): Readonly<Record<string, string>> {
  const forwarded: Record<string, string> = {}
  // Where no header names a session, some need not be looked for.
  for (const { to, from, max } of named === null ? FORWARD_UNNAMED : FORWARD) {
    for (const name of from) {
      const value = headers.get(name)
      if (value === null || !isSendable(value, max)) continue
      forwarded[to] = value
      break
    }
  }
  if (lite) forwarded[LITE] = "true"
  const session = forwarded["session-id"] ?? forwarded["thread-id"] ?? named ?? cacheKey
  if (session !== null && isSendable(session, 256)) {
    forwarded["session-id"] ??= session
    forwarded["thread-id"] ??= session
    forwarded["x-client-request-id"] ??= forwarded["thread-id"]
  }
  return forwarded
}

export function turnStateOf(headers: HeaderReader): string | null {
  const value = headers.get(TURN_STATE)
  return value !== null && isSendable(value, TURN_STATE_LENGTH) ? value : null
}

/** Whom and which version the backend sees: the two headers carry the same number. */
export function identityHeaders(caller: Caller, version: string, defaultOriginator: string): Record<string, string> {
  const originator = caller.originator ?? defaultOriginator
  return { originator, version, "user-agent": userAgent(caller, originator, version) }
}

function userAgent(caller: Caller, originator: string, version: string): string {
  const own = caller.userAgent
  if (own !== null && caller.version !== null && own.startsWith(`${originator}/${caller.version}`)) {
    return own.replaceAll(caller.version, version)
  }
  return `${originator}/${version} (pollux)`
}

/** Headers that name the credential. */
export function credentialHeaders(lease: Pick<Lease, "token" | "identity">, fedramp: boolean): Record<string, string> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${lease.token}`,
    "chatgpt-account-id": lease.identity.account,
  }
  if (fedramp) headers["x-openai-fedramp"] = "true"
  return headers
}

export interface UpstreamDeps {
  readonly sender: Sender
  readonly settings: Live<CodexSettings>
  /** Whether the credential's workspace must be marked as FedRAMP. */
  readonly isFedramp: (lease: Lease) => boolean
}

type Urls = Readonly<Record<CodexCall["endpoint"], string>>
type SharedHeaders = Readonly<Record<string, string>>

interface Known {
  readonly endpoint: CodexCall["endpoint"]
  readonly version: string
  readonly headers: SharedHeaders
}

/** The backend as the relay sends to it. */
export class Upstream {
  /** Most kinds of callers of which the headers are kept. */
  static readonly MAX_KINDS = 256
  readonly #deps: UpstreamDeps
  #settings: CodexSettings
  #urls: Urls
  /** Headers that calls have in common, by all that they are made of beside the settings. */
  readonly #shared = new Map<string, SharedHeaders>()
  /** The last of them for a caller without an identity of its own: nearly always it is the same again. */
  #stranger: Known | null = null

  constructor(deps: UpstreamDeps) {
    this.#deps = deps
    this.#settings = deps.settings.current
    this.#urls = urlsOf(this.#settings)
  }

  /** Rejects with what the sender rejects with. */
  send(lease: Lease, call: CodexCall, signal: HaltSignal): Promise<Answer> {
    const { sender, settings, isFedramp } = this.#deps
    if (this.#settings !== settings.current) this.#reload(settings.current)
    const headers = { ...call.headers, ...credentialHeaders(lease, isFedramp(lease)) }
    // Another credential could not make anything of it.
    if (call.turnState !== null && lease.sticky) headers[TURN_STATE] = call.turnState
    const shared = this.#sharedBy(call)
    return sender(this.#urls[call.endpoint], { method: "POST", headers, shared, body: call.body, signal })
  }

  #reload(settings: CodexSettings): void {
    this.#settings = settings
    this.#urls = urlsOf(settings)
    this.#shared.clear()
    this.#stranger = null
  }

  #sharedBy(call: CodexCall): SharedHeaders {
    const { caller, version, endpoint } = call
    const { originator, userAgent } = caller
    if (originator !== null) {
      return this.#sharedAs([endpoint, version, originator, caller.version, userAgent].join("\n"), call)
    }
    const last = this.#stranger
    if (last?.endpoint === endpoint && last.version === version) return last.headers
    const headers = this.#sharedAs(endpoint + version, call)
    this.#stranger = { endpoint, version: copied(version), headers }
    return headers
  }

  #sharedAs(key: string, { caller, version, endpoint }: CodexCall): SharedHeaders {
    const known = this.#shared.get(key)
    if (known !== undefined) return known
    const identity = identityHeaders(caller, version, this.#settings.originator)
    // They outlive the request that named them.
    for (const name in identity) identity[name] = copied(identity[name] ?? "")
    const headers = {
      ...identity,
      accept: endpoint === "compact" ? "application/json" : "text/event-stream",
      "content-type": "application/json",
    }
    if (this.#shared.size >= Upstream.MAX_KINDS) this.#shared.clear()
    this.#shared.set(key, headers)
    return headers
  }
}

const urlsOf = ({ apiUrl }: CodexSettings): Urls => ({
  responses: `${apiUrl}/responses`,
  compact: `${apiUrl}/responses/compact`,
})

/** Proxies in between must not hold a stream back. */
const STREAM_HEADERS: ReplyFields = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
}
const JSON_HEADERS: ReplyFields = { "content-type": "application/json" }

/** The backend's headers that the client may see, beside ours. */
export function answerHeaders(upstream: HeaderFields, stream: boolean): ReplyFields {
  return toClient(upstream, stream ? STREAM_HEADERS : JSON_HEADERS)
}

function isSendable(value: string, max: number): boolean {
  return value.length <= max && PRINTABLE.test(value)
}
