/**
 * What may pass from one side to the other, as a table: everything else stays behind. A name ending in `*` is a prefix.
 * `why` is for the reader of the table.
 */
export interface HeaderRule {
  /** Lower case. */
  readonly name: string
  readonly why: string
  /** The name it gets on the other side; not for prefixes. */
  readonly as?: string
}

/** Of one connection only (RFC 9110 section 7.6.1, and RFC 9112 for the framing); no table can let them pass. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
])

/** Header fields by name, in lower case; a list only for `set-cookie`. */
export type HeaderFields = Readonly<Record<string, string | readonly string[]>>

/** Header fields of an answer of ours by name, in lower case. */
export type ReplyFields = Readonly<Record<string, string>>

/** The allowed headers of `from` beside `ours`, which are given back themselves where nothing passes. */
export type HeaderFilter = (from: HeaderFields, ours: ReplyFields) => ReplyFields

/**
 * Compiles a table. Headers that the message's own `Connection` header names do not pass either, whatever the table says: they
 * are meant for this connection (RFC 9110 section 7.6.1).
 */
export function headerFilter(rules: readonly HeaderRule[]): HeaderFilter {
  const passable = rules.filter(({ name }) => !HOP_BY_HOP.has(name))
  const exact = passable.filter(({ name }) => !name.endsWith("*")).map(({ name, as }) => ({ name, as: as ?? name }))
  const prefixes = passable.filter(({ name }) => name.endsWith("*")).map(({ name }) => name.slice(0, -1))
  return (from, ours) => {
    const named = connectionNamed(from.connection)
    let to: Record<string, string> | null = null
    for (const { name, as } of exact) {
      const value = from[name]
      if (typeof value !== "string" || named.has(name)) continue
      to ??= { ...ours }
      to[as] = value
    }
    if (prefixes.length === 0) return to ?? ours
    for (const name in from) {
      if (!hasPrefix(name, prefixes) || HOP_BY_HOP.has(name) || named.has(name)) continue
      const value = from[name]
      if (typeof value !== "string") continue
      to ??= { ...ours }
      to[name] = value
    }
    return to ?? ours
  }
}

const NONE: ReadonlySet<string> = new Set()

function hasPrefix(name: string, prefixes: readonly string[]): boolean {
  for (const prefix of prefixes) if (name.startsWith(prefix)) return true
  return false
}

function connectionNamed(value: HeaderFields[string] | undefined): ReadonlySet<string> {
  if (typeof value !== "string") return NONE
  return new Set(value.split(",").map((name) => name.trim().toLowerCase()))
}
