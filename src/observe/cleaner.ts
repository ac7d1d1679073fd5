import { escapeControls } from "./escape.ts"
import type { LogFields } from "./ports.ts"
import { redact } from "./redact.ts"

/** Names that each line has of its own. */
const RESERVED: ReadonlySet<string> = new Set(["time", "level", "event"])

/** Fields whose name says that the value is a secret; a caller that passes one has made a mistake. Compared without `_`, `-` and case. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "token",
  "accesstoken",
  "refreshtoken",
  "idtoken",
  "apikey",
  "polluxkey",
  "adminkey",
  "encryptionkey",
  "authorization",
  "cookie",
  "setcookie",
  "password",
  "secret",
  "clientsecret",
  "verifier",
  "codeverifier",
  "authorizationcode",
])

/** Texts of this length that repeat (paths, clients, models) are worth remembering as harmless. */
const SHORTEST_KEPT = 10
const LONGEST_KEPT = 256
const MOST_KEPT = 1024
const MOST_NAMES = 512

export interface Cleaner {
  /** Without secrets and control characters. */
  text(text: string): string
  /** `own` (clean already), then the cleaned `fields`; undefined values are left out. */
  fields(own: LogFields, fields: LogFields | undefined): LogFields
}

/** What a field's name makes of its value: kept under this name, or masked. */
interface NameRule {
  readonly name: string
  readonly secret: boolean
}

function ruleOf(name: string): NameRule {
  return {
    name: RESERVED.has(name) ? `${name}_` : escapeControls(name),
    secret: SECRET_FIELDS.has(name.replaceAll(/[-_]/g, "").toLowerCase()),
  }
}

/** Cleans what is logged. It remembers which texts needed nothing (never one that held a secret), since most lines repeat them. */
export function createCleaner(): Cleaner {
  const harmless = new Set<string>()
  const rules = new Map<string, NameRule>()

  function text(given: string): string {
    const keep = given.length >= SHORTEST_KEPT && given.length <= LONGEST_KEPT
    if (keep && harmless.has(given)) return given
    const clean = escapeControls(redact(given))
    if (keep && clean === given) {
      if (harmless.size >= MOST_KEPT) harmless.clear()
      harmless.add(given)
    }
    return clean
  }

  function rule(name: string): NameRule {
    const known = rules.get(name)
    if (known !== undefined) return known
    const made = ruleOf(name)
    if (rules.size < MOST_NAMES) rules.set(name, made)
    return made
  }

  return {
    text,
    fields(own, fields) {
      if (fields === undefined) return own
      const result: Record<string, LogFields[string]> = { ...own }
      for (const given in fields) {
        const value = fields[given]
        if (value === undefined) continue
        const { name, secret } = rule(given)
        if (typeof value === "string") result[name] = secret ? "***" : text(value)
        else if (value !== null && typeof value === "object") result[name] = secret ? "***" : value.map(text)
        else result[name] = value
      }
      return result
    },
  }
}
