import type { LogFields } from "./ports.ts"
import { redact } from "./redact.ts"

/**
 * C0 and C1 controls, DEL, line and paragraph separators, bidirectional overrides, the byte order mark and lone surrogates:
 * what can end a line, drive a terminal (ECMA-48) or show text in another order than it stands in.
 */
const UNSAFE =
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const SUSPECT = /[\x00-\x1f\x7f-\uffff]/

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/** `text` on one line and without power over a terminal: unsafe characters become `\n`, `\x1b`, `\u202e`. */
export function escapeControls(text: string): string {
  if (!SUSPECT.test(text)) return text
  return text.replace(UNSAFE, (char) => {
    const code = char.charCodeAt(0)
    return SHORT[char] ?? (code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`)
  })
}

/** Fields whose name says that the value is a secret; a caller that passes one has made a mistake. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "token",
  "access_token",
  "accessToken",
  "refresh_token",
  "refreshToken",
  "id_token",
  "idToken",
  "authorization",
  "cookie",
  "set-cookie",
  "password",
  "secret",
  "client_secret",
  "clientSecret",
  "verifier",
  "code_verifier",
  "pollux_key",
  "polluxKey",
  "admin_key",
  "adminKey",
  "encryption_key",
  "encryptionKey",
  "api_key",
  "apiKey",
])

export function cleanText(text: string): string {
  return escapeControls(redact(text))
}

type Value = LogFields[string]

/** `own` (clean already) with the cleaned `fields` after it; undefined values are left out. */
export function cleanFields(own: LogFields, fields: LogFields | undefined): LogFields {
  const result: Record<string, Value> = { ...own }
  if (fields === undefined) return result
  for (const name in fields) {
    const value = fields[name]
    if (value === undefined) continue
    if (typeof value === "number" || typeof value === "boolean" || value === null) result[name] = value
    else if (SECRET_FIELDS.has(name)) result[name] = "***"
    else result[name] = typeof value === "string" ? cleanText(value) : value.map(cleanText)
  }
  return result
}
