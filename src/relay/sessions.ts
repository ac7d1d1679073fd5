import { createHash } from "node:crypto"

/** How many names of a session count; more would let one request fill the scheduler's table. */
export const MAX_SESSIONS = 4
export const MAX_SESSION_LENGTH = 256

/**
 * Names of a session as the scheduler wants them, best first: trimmed, without blanks and duplicates, at most 4 of at most 256
 * characters. A longer one becomes its SHA-256, so that equal names stay equal. Give only what the client sent.
 */
export function sessionsOf(names: Iterable<string | null | undefined>): readonly string[] {
  const sessions: string[] = []
  for (const name of names) {
    const session = sessionOf(name)
    if (session !== null && !sessions.includes(session)) sessions.push(session)
    if (sessions.length === MAX_SESSIONS) break
  }
  return sessions
}

/** One name as it stands in such a list; null where there is none. */
export function sessionOf(name: string | null | undefined): string | null {
  const trimmed = name?.trim() ?? ""
  if (trimmed === "") return null
  return trimmed.length <= MAX_SESSION_LENGTH ? trimmed : digest(trimmed)
}

function digest(name: string): string {
  return `sha256:${createHash("sha256").update(name).digest("hex")}`
}
