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

/** Texts up to this length that repeat (paths, clients, models) are worth remembering as harmless. */
const LONGEST_KEPT = 256
/** Places for them; a newcomer takes the place of whom it meets there, so that ids that never repeat drive out few that do. */
const PLACES = 512
const MOST_NAMES = 512

export interface Cleaner {
  /** Without secrets and control characters. */
  text(text: string): string
  /** `own` (clean already), then the cleaned `fields`; undefined values are left out. */
  fields(own: LogFields, fields: LogFields | undefined): LogFields
  /** Whether `fields` are clean as they stand: then they need not be copied. */
  spares(fields: LogFields): boolean
}

/** What a field's name makes of its value: kept under this name, or masked. */
interface NameRule {
  readonly name: string
  readonly secret: boolean
  /** Neither masked nor under another name. */
  readonly plain: boolean
}

function ruleOf(given: string): NameRule {
  const name = RESERVED.has(given) ? `${given}_` : escapeControls(given)
  const secret = SECRET_FIELDS.has(given.replaceAll(/[-_]/g, "").toLowerCase())
  return { name, secret, plain: !secret && name === given }
}

/** A place for a text: length and three of its characters tell those apart that matter. */
function placeOf(text: string): number {
  const { length } = text
  const middle = text.charCodeAt(length >> 1)
  return (length * 31 + text.charCodeAt(0) * 7 + text.charCodeAt(length - 1) * 13 + middle * 3) & (PLACES - 1)
}

/** Cleans what is logged. It remembers which texts needed nothing (never one that held a secret), since most lines repeat them. */
export function createCleaner(): Cleaner {
  const harmless: string[] = new Array(PLACES).fill("")
  const rules = new Map<string, NameRule>()

  function text(given: string): string {
    const place = placeOf(given)
    return harmless[place] === given ? given : learn(given, place)
  }

  function learn(given: string, place: number): string {
    const clean = escapeControls(redact(given))
    if (clean === given && given.length <= LONGEST_KEPT) harmless[place] = given
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
        if (typeof value === "string") result[name] = secret ? MASK : text(value)
        else if (value !== null && typeof value === "object") result[name] = secret ? MASK : value.map(text)
        else result[name] = value
      }
      return result
    },
    spares(fields) {
      for (const name in fields) {
        const value = fields[name]
        if (!rule(name).plain) return false
        if (typeof value === "string") {
          if (text(value) !== value) return false
        } else if (typeof value === "object" && value !== null) return false
      }
      return true
    },
  }
}

const MASK = "***"
