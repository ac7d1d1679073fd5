import { maskEmail, redact } from "../../observe/redact.ts"
import type { Lease } from "../../scheduler/ports.ts"
import { parse } from "./json.ts"

const EMAIL = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+/g
const SECRETS =
  /\borg-[A-Za-z0-9]{6,}|eyJ[\w-]{6,}(?:\.[\w-]*)*|(?<![A-Za-z0-9])(?:rt|ac)_[\w.-]{16,}|(?<![A-Za-z0-9])sk-[\w*-]{8,}/g
const MASK = "***"

/**
 * An upstream's words for the client: without the e-mail addresses, account and organisation ids and tokens that are the
 * operator's. Item ids and the like stay readable, since the client must find its mistake.
 */
export function scrub(text: string, lease: Lease): string {
  const { account, sub, email } = lease.identity
  let clean = text
  for (const own of [lease.token, account, sub, email]) {
    if (own !== null && own.length >= 4) clean = clean.replaceAll(own, own === email ? maskEmail(own) : MASK)
  }
  return clean.replace(EMAIL, (found) => (found.includes(MASK) ? found : maskEmail(found))).replace(SECRETS, MASK)
}

/** A string in a JSON text (RFC 8259 7). */
const JSON_STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/g

/**
 * The same for a JSON text, string by string: in its escapes (`\n`, `\u201c`) a pattern takes letters for the start of a word, so
 * that it would miss what follows them, or leave half an escape behind. All else keeps its bytes. What is no JSON is taken as it stands.
 */
export function scrubJson(source: string, lease: Lease): string {
  if (parse(source) === null) return scrub(source, lease)
  return source.replace(JSON_STRING, (literal) => {
    const text = String(parse(literal))
    const clean = scrub(text, lease)
    return clean === text ? literal : JSON.stringify(clean)
  })
}

/** The same for logs and lists, where nothing that looks like a secret may stand. */
export function scrubForLog(text: string, lease: Lease): string {
  return redact(scrub(text, lease))
}
