import type { SeedHint } from "../store/types.ts"
import { isObject, member } from "./body.ts"
import { HttpError } from "./ports.ts"

/** What a `resource:add` body asks for. */
export interface SeedList {
  /** Distinct, trimmed, in the order given. */
  readonly hints: readonly SeedHint[]
  /** Entries without a refresh token. */
  readonly blanks: number
  /** Entries that repeat an earlier one's refresh token. */
  readonly duplicates: number
}

/** Longest refresh token taken, in characters; the longest seen in the wild are some 2,000. */
const TOKEN_LENGTH = 8 * 1024

/** Most entries of one request. */
const ENTRIES = 100_000

/** Problems named in one refusal; the rest is only counted. */
const NAMED_PROBLEMS = 20

/**
 * Reads a parsed body: an array of objects with `refresh_token` or `refreshToken`; everything else in them is the provider's.
 * All or nothing, so that a 400 means that nothing was stored.
 * @param account the provider's account hint of an object
 * @throws HttpError invalid_request, naming each entry by its place
 */
export function parseSeeds(
  value: unknown,
  account: (item: Readonly<Record<string, unknown>>) => string | null,
): SeedList {
  if (!Array.isArray(value)) invalid('expected a JSON array of objects: [{"refresh_token": "..."}]')
  const items: readonly unknown[] = value
  if (items.length > ENTRIES) invalid(`at most ${ENTRIES} entries, got ${items.length}`)
  const problems: string[] = []
  const hints = new Map<string, SeedHint>()
  let blanks = 0
  let duplicates = 0
  for (const [place, item] of items.entries()) {
    const read = isObject(item) ? tokenOf(item) : { problem: "expected an object" }
    if ("problem" in read) problems.push(`entry ${place}: ${read.problem}`)
    else if (read.token === "") blanks += 1
    else if (hints.has(read.token)) duplicates += 1
    else if (isObject(item)) hints.set(read.token, { refreshToken: read.token, account: account(item) })
  }
  if (problems.length > 0) {
    const more = problems.length - NAMED_PROBLEMS
    invalid(problems.slice(0, NAMED_PROBLEMS).join("; ") + (more > 0 ? `; and ${more} more` : ""))
  }
  return { hints: [...hints.values()], blanks, duplicates }
}

type Read = { readonly token: string } | { readonly problem: string }

function tokenOf(item: Readonly<Record<string, unknown>>): Read {
  const snake = text(member(item, "refresh_token"))
  const camel = text(member(item, "refreshToken"))
  if (snake === null || camel === null) return { problem: "refresh_token must be a string" }
  if (snake !== "" && camel !== "" && snake !== camel) {
    return { problem: "refresh_token and refreshToken differ; send one of them" }
  }
  const token = snake === "" ? camel : snake
  if (token.length > TOKEN_LENGTH) return { problem: `refresh_token is longer than ${TOKEN_LENGTH} characters` }
  // Tokens are visible ASCII (RFC 6749, A.17); anything else could only break a header or a form later.
  if (!/^[\x20-\x7e]*$/.test(token)) return { problem: "refresh_token holds characters that no token has" }
  return { token }
}

/** A member that should be a string: trimmed; empty when absent; null when it is something else. */
function text(value: unknown): string | null {
  if (value === undefined || value === null) return ""
  return typeof value === "string" ? value.trim() : null
}

function invalid(message: string): never {
  throw new HttpError({ kind: "invalid_request", message })
}
