/**
 * Takes secrets out of text before it is logged or shown.
 *
 * A net under the rule that callers pass no secrets: it knows the shapes of tokens, keys, codes, cookies and addresses, and it
 * errs towards masking. What has no shape (a short key, alone) cannot be recognised here and must not reach it.
 */

/** What stands in place of a secret. */
const MASK = "***"

/** From this length on, a run without word structure counts as a secret; request ids (16) stay readable. */
const OPAQUE_LENGTH = 24

/** `j***@example.com`: enough to recognise one's own account by, too little to write to it. */
export function maskEmail(email: string): string {
  const at = email.lastIndexOf("@")
  if (at < 0) return MASK
  const first = at === 0 ? "" : String.fromCodePoint(email.codePointAt(0) ?? 0)
  return `${first}${MASK}${email.slice(at)}`
}

/** Names of query parameters and form fields that carry secrets (RFC 6749, RFC 7636, RFC 8628, and key parameters of the APIs). */
const PARAMETER =
  /\b((?:auth|authorization|user|device)?_?code|code_verifier|code_challenge|state|nonce|(?:api|pollux|admin|encryption|access)?[_-]?key|(?:access|refresh|id|csrf|session|bot)?[_-]?token|client[_-]?secret|secret|passw(?:or)?d|pwd|session_id|sig|signature)(=|%3D)[^&\s"'<>;,]+/gi

/** Members of JSON objects that carry secrets, also where the JSON is itself inside a JSON string. */
const MEMBER =
  /(\\*["'])([\w-]*(?:token|secret|password|cookie|authorization|verifier|(?:api|pollux|admin|encryption|private)[_-]?key)[\w-]*)\1(\s*[:=]\s*)(\\*["'])(?:(?!\4).)*(?:\4|$)/gis

/** Header lines that carry secrets; the whole rest of the line is theirs. */
const HEADER =
  /\b((?:proxy-)?authorization|(?:set-)?cookie2?|x-goog-api-key|x-api-key|api-key)(\s*:\s*)(?!\*\*\*)[^\r\n]+/gi

const RULES: readonly (readonly [pattern: RegExp, replacement: string | ((...groups: string[]) => string)])[] = [
  [MEMBER, (_, quote, name, colon, open) => `${quote}${name}${quote}${colon}${open}${MASK}${open}`],
  [HEADER, `$1$2${MASK}`],
  // Credentials in front of a host (RFC 3986 3.2.1): up to the last @ before the path.
  [/(:\/\/)[^/\s?#"'<>]*@/g, `$1${MASK}@`],
  [/\b(bearer|basic)(\s+)(?!(?:tokens?|auth\w*)(?![\w.~+/=-]))[\w.~+/=-]+/gi, `$1$2${MASK}`],
  [PARAMETER, `$1$2${MASK}`],
  // JWT (RFC 7519): its header always begins with {" in base64url.
  [/eyJ[\w-]{6,}(?:\.[\w-]*)*/g, MASK],
  // Google access tokens, refresh tokens and authorization codes, also percent-encoded.
  [/ya29\.[\w.-]+/g, MASK],
  [/1(?:\/\/|%2F%2F)[\w%-]{6,}/gi, MASK],
  [/\b4(?:\/|%2F)[01][\w%-]{8,}/gi, MASK],
  [/AIza[\w-]{20,}/g, MASK],
  // OpenAI refresh tokens, authorization codes and keys.
  [/(?<![A-Za-z0-9])(?:oaistb_)?(?:rt|ac)_[\w.-]{6,}/g, MASK],
  [/(?<![A-Za-z0-9])sk-[\w-]{8,}/g, MASK],
]

const EMAIL = /[^\s@<>"'(),;:=&/?\\[\]{}|`]+(?:@|%40)(?=[^\s@]*\p{L})[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*/giu
const OPAQUE = /[\w+/-]{24,}={0,2}/g
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** A word, a number, or camelCase: what names, paths and dates are made of. */
const WORD = /^(?:[A-Z]?[a-z]{1,16}(?:[A-Z][a-z]{2,})*|[A-Z]{1,16}|v?\d{1,14}|[a-z]{1,12}\d{1,4}|\d{1,4}[a-z]{1,8})$/

/** Whether a run is made of words and numbers joined by separators; chance makes none of 24 random characters. */
function readable(run: string): boolean {
  if (UUID.test(run)) return true
  for (const part of run.split(/[-_/+]/)) {
    if (part !== "" && !WORD.test(part)) return false
  }
  return true
}

/** 1: part of a token; 2: a sign that a rule may apply. */
const CLASS = new Uint8Array(128)
for (let code = 48; code < 58; code++) CLASS[code] = 1
for (let code = 65; code < 91; code++) CLASS[code] = 1
for (let code = 97; code < 123; code++) CLASS[code] = 1
for (const char of "_-+/") CLASS[char.charCodeAt(0)] = 1
for (const char of `@=%"'`) CLASS[char.charCodeAt(0)] = 2

/** Beginnings of secrets that need neither a long run nor a sign of class 2. */
const OPENING = /bearer|basic|authorization|cookie|api-key|ya29\.|eyJ|1\/\/|4\/[01]|rt_|ac_|sk-/i

function mayHoldSecret(text: string): boolean {
  let run = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const kind = code < 128 ? CLASS[code] : 0
    if (kind === 1) {
      run += 1
      if (run === OPAQUE_LENGTH) return true
    } else if (kind === 2) {
      return true
    } else {
      run = 0
    }
  }
  return OPENING.test(text)
}

/** `text` with every recognised secret masked. Pure and idempotent; a text without secrets comes back as it is. */
export function redact(text: string): string {
  if (text.length < 6 || !mayHoldSecret(text)) return text
  let result = text
  for (const [pattern, replacement] of RULES) {
    result =
      typeof replacement === "string" ? result.replace(pattern, replacement) : result.replace(pattern, replacement)
  }
  result = result.replace(EMAIL, (email) => maskEmail(email.replace(/%40/i, "@")))
  return result.replace(OPAQUE, (run) => (readable(run) ? run : MASK))
}
