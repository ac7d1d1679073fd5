import { maskEmail, redact } from "../../observe/redact.ts"
import type { Lease } from "../../scheduler/ports.ts"

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

/** The same for logs and lists, where nothing that looks like a secret may stand. */
export function scrubForLog(text: string, lease: Lease): string {
  return redact(scrub(text, lease))
}
