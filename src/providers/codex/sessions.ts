/** Names of a request's session for affinity (spec codex 7.1): only what the client itself sent, best first. */
import { createHash } from "node:crypto"
import type { HeaderReader } from "../../relay/ports.ts"
import { sessionOf, sessionsOf } from "../../relay/sessions.ts"
import { type Json, parseObject } from "./json.ts"

/** Kinds of names, so that a cache key can never be taken for a session. */
const SESSION = "s:"
const CACHE_KEY = "p:"
const RESPONSE = "r:"

const NAMELESS: readonly string[] = []

/** Headers that name the session, in both spellings: some proxies drop underscores (spec codex 9). */
const SESSION_HEADERS = [
  "session-id",
  "session_id",
  "thread-id",
  "thread_id",
  "conversation-id",
  "conversation_id",
] as const

/** @param session what `sessionHeader` says, where that is known already */
export function sessionNames(
  headers: HeaderReader,
  body: Json,
  session: string | null = sessionHeader(headers),
): readonly string[] {
  const metadata = headers.get("x-codex-turn-metadata")
  const { prompt_cache_key: cacheKey, previous_response_id: previous } = body
  if (session === null && metadata === null && cacheKey === undefined && previous === undefined) return NAMELESS
  return sessionsOf([
    named(SESSION, session),
    named(SESSION, metadata === null ? null : parseObject(metadata)?.session_id),
    named(CACHE_KEY, cacheKey),
    named(RESPONSE, previous),
  ])
}

/** The session as a header names it, or null. */
export function sessionHeader(headers: HeaderReader): string | null {
  for (const name of SESSION_HEADERS) {
    const value = headers.get(name)
    if (value === null) continue
    const session = value.trim()
    if (session !== "") return session
  }
  return null
}

/** Longest `prompt_cache_key` that the API takes, in characters; it answers a longer one with 400 string_above_max_length. */
const MAX_CACHE_KEY = 64

/** The session as a `prompt_cache_key`: its own name, or for a long one its SHA-256, so that equal names stay equal. */
export function cacheKeyOf(session: string | null): string | null {
  if (session === null || session.length <= MAX_CACHE_KEY) return session
  return createHash("sha256").update(session).digest("hex")
}

/** What a session that somebody names may be remembered as: they say neither where it stood nor what it is. */
export function namesOf(session: string): readonly string[] {
  return sessionsOf([SESSION, CACHE_KEY, RESPONSE].map((kind) => named(kind, session)))
}

/** The name under which a response that this proxy served is remembered. */
export function responseName(id: string): string | null {
  return sessionOf(named(RESPONSE, id))
}

function named(kind: string, value: unknown): string | null {
  const name = typeof value === "string" ? value.trim() : ""
  return name === "" ? null : kind + name
}
