/** Recognises a login in what other programs write, by a table of their shapes. Pure; never throws, whatever it is given. */
import { CLIENT_ID as CODEX_CLIENT } from "../providers/codex/oauth.ts"
import { OAUTH_CLIENT_ID as GEMINICLI_CLIENT } from "../providers/geminicli/oauth.ts"
import type { ProviderName } from "./shapes.ts"

export type Recognised =
  | {
      readonly kind: "login"
      readonly provider: ProviderName
      /** Who writes this shape, for people. */
      readonly format: string
      /** Secret. */
      readonly token: string
      readonly project: string | null
    }
  /** Holds a login, or something like one, that cannot be served; `why` is free of secrets. */
  | { readonly kind: "unusable"; readonly format: string; readonly why: string }
  /** Nothing that has to do with logins. */
  | { readonly kind: "unknown" }

type Item = Readonly<Record<string, unknown>>

interface Shape {
  readonly format: string
  /** The first shape that fits decides. */
  fits(item: Item): boolean
  /** Whose it is; null: the token or its neighbours must tell. */
  readonly provider: ProviderName | null
  /** The object that holds the refresh token; default: the item itself. */
  inner?(item: Item): Item
  /** Set when a login of this shape cannot be served. */
  readonly why?: (item: Item) => string
}

const SHAPES: readonly Shape[] = [
  {
    format: "Codex CLI",
    fits: (item) => isItem(item.tokens),
    provider: "codex",
    inner: (item) => (isItem(item.tokens) ? item.tokens : item),
  },
  {
    format: "Codex CLI",
    fits: (item) => ["OPENAI_API_KEY", "personal_access_token", "agent_identity"].some((name) => name in item),
    provider: "codex",
    why: () => "holds a key and no ChatGPT login: run `codex login` first",
  },
  { format: "CLIProxyAPI", fits: (item) => item.type === "codex", provider: "codex" },
  {
    format: "CLIProxyAPI",
    fits: (item) => item.type === "gemini" || item.type === "gemini-cli",
    provider: "geminicli",
    inner: (item) => (isItem(item.token) ? item.token : item),
  },
  { format: "gcloud", fits: (item) => item.type === "authorized_user", provider: "geminicli" },
  {
    format: "service account",
    fits: (item) => item.type === "service_account",
    provider: "geminicli",
    why: () => "is a service account, not the login of a person",
  },
  {
    format: "CLIProxyAPI",
    fits: (item) => typeof item.type === "string" && ["access_token", "token", "email"].some((name) => name in item),
    provider: null,
    why: (item) => `is a login of ${plain(item.type)}, which Pollux does not serve`,
  },
  {
    format: "gcli2api",
    fits: (item) => "refresh_token" in item && ["token_uri", "scopes", "client_secret"].some((name) => name in item),
    provider: "geminicli",
  },
  { format: "Gemini CLI", fits: (item) => "expiry_date" in item && "access_token" in item, provider: "geminicli" },
  { format: "refresh token", fits: (item) => "refresh_token" in item || "refreshToken" in item, provider: null },
  {
    format: "access token",
    fits: (item) => typeof item.access_token === "string",
    provider: null,
    why: () => "holds no refresh token, only one that soon expires",
  },
]

/** What the OAuth clients of Pollux are called; a refresh token serves only the client that it was issued to (RFC 6749, 6). */
const CLIENTS: Readonly<Record<ProviderName, string>> = { geminicli: GEMINICLI_CLIENT, codex: CODEX_CLIENT }

/** What Google's and OpenAI's refresh tokens begin with. */
const PREFIXES: readonly (readonly [RegExp, ProviderName])[] = [
  [/^1\/\//, "geminicli"],
  [/^(?:oaistb_)?rt_/, "codex"],
]

/** A line that can be a token and nothing else: no word, no address, no sentence. */
const BARE = /^(?=.*\d)(?=.*[A-Za-z])(?!.*:\/\/)[\w.~+/=-]+$/

/** Longest token that the server takes, and the shortest that a bare line is taken for, in characters. */
const LONGEST = 8 * 1024
const SHORTEST_BARE = 16

/**
 * @param value a JSON value: an object of some program, or a bare token
 * @param wanted the provider that the operator named, or null
 */
export function recognise(value: unknown, wanted: ProviderName | null): Recognised {
  if (typeof value === "string") return bare(value.trim(), wanted)
  if (!isItem(value)) return { kind: "unknown" }
  const shape = SHAPES.find((one) => one.fits(value))
  if (shape === undefined) return { kind: "unknown" }
  const { format } = shape
  const unusable = (why: string): Recognised => ({ kind: "unusable", format, why })
  if (shape.why !== undefined) return unusable(shape.why(value))
  const inner = shape.inner?.(value) ?? value
  const snake = text(inner.refresh_token)
  const camel = text(inner.refreshToken)
  if (snake === null || camel === null) return unusable("its refresh token is no text")
  if (snake !== "" && camel !== "" && snake !== camel) return unusable("holds two different refresh tokens")
  const token = snake === "" ? camel : snake
  if (token === "") return unusable("holds no refresh token")
  const provider = shape.provider ?? ownerOf(token, value) ?? wanted
  const judged = judge(token, provider, wanted, format)
  if (judged.kind !== "login") return judged
  const client = text(inner.client_id) || text(value.client_id)
  if (client && client !== CLIENTS[judged.provider]) {
    return unusable("was issued to another OAuth client, and serves only that one: log in with `pollux login`")
  }
  const project = judged.provider === "geminicli" ? text(value.project_id) || text(value.projectId) : null
  return { ...judged, project: project || null }
}

function bare(token: string, wanted: ProviderName | null): Recognised {
  const owner = prefixOwner(token)
  const likely = owner !== null || (token.length >= SHORTEST_BARE && BARE.test(token))
  if (!likely) return { kind: "unknown" }
  return judge(token, owner ?? wanted, wanted, "refresh token")
}

function judge(token: string, provider: ProviderName | null, wanted: ProviderName | null, format: string): Recognised {
  const unusable = (why: string): Recognised => ({ kind: "unusable", format, why })
  if (token.length > LONGEST) return unusable(`its refresh token is longer than ${LONGEST} characters`)
  if (!/^[\x20-\x7e]+$/.test(token)) return unusable("its refresh token holds characters that no token has")
  if (/^(?:ya29\.|eyJ)/.test(token))
    return unusable("is an access token, which soon expires: the refresh token is needed")
  if (/^(?:sk-|AIza)/.test(token)) return unusable("is an API key, not a login")
  if (provider === null)
    return unusable("does not tell whose login it is: say --provider geminicli or --provider codex")
  const owner = prefixOwner(token)
  if (owner !== null && owner !== provider) return unusable(`says ${provider}, but its token is of ${owner}`)
  if (wanted !== null && wanted !== provider) return unusable(`is a login of ${provider}, not of ${wanted}`)
  return { kind: "login", provider, format, token, project: null }
}

function prefixOwner(token: string): ProviderName | null {
  return PREFIXES.find(([prefix]) => prefix.test(token))?.[1] ?? null
}

/** Whose token it is, by its beginning or by what stands beside it. */
function ownerOf(token: string, item: Item): ProviderName | null {
  const byPrefix = prefixOwner(token)
  if (byPrefix !== null) return byPrefix
  if (["account_id", "chatgpt_account_id", "chatgpt_plan_type"].some((name) => name in item)) return "codex"
  if (["project_id", "projectId"].some((name) => name in item)) return "geminicli"
  return /googleapis\.com/.test(text(item.scope) ?? "") ? "geminicli" : null
}

/** Members under which programs keep several logins. */
const CONTAINERS = ["accounts", "credentials", "resources", "items", "data", "tokens"] as const

/** Nesting that is followed into containers. */
const DEPTH = 4

/** The single candidates in a JSON value: members of arrays, of the usual containers, and of maps from a name to an object. Pure. */
export function candidates(value: unknown, depth = DEPTH): readonly unknown[] {
  if (depth === 0) return [value]
  if (Array.isArray(value)) {
    const members: readonly unknown[] = value
    return members.flatMap((member) => candidates(member, depth - 1))
  }
  if (!isItem(value) || SHAPES.some((shape) => shape.fits(value))) return [value]
  for (const name of CONTAINERS) {
    if (Array.isArray(value[name])) return candidates(value[name], depth - 1)
  }
  const members = Object.values(value)
  const isMap = members.length > 0 && members.every(isItem)
  return isMap ? members.flatMap((member) => candidates(member, depth - 1)) : [value]
}

function isItem(value: unknown): value is Item {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** A member that should be text: trimmed; empty when absent; null when it is something else. */
function text(value: unknown): string | null {
  if (value === undefined || value === null) return ""
  return typeof value === "string" ? value.trim() : null
}

/** A word of a foreign file, fit to be shown: never long enough to be a secret. */
function plain(value: unknown): string {
  return typeof value === "string" && /^[\w.-]{1,20}$/.test(value) ? value : "another provider"
}
