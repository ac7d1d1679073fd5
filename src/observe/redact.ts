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

/** Members of JSON objects that carry secrets, also where the JSON is itself inside a JSON string, or cut off at either end. */
const MEMBER =
  /(?<![\w-])([\w-]*(?:token|secret|password|cookie|authorization|verifier|(?:api|pollux|admin|encryption|private)[_-]?key)[\w-]*)(\\*["'])(\s*[:=]\s*)(\\*["'])(?:(?!\4).)*(?:\4|$)/gis

/** Header lines that carry secrets; the whole rest of the line is theirs. */
const HEADER = /\b((?:proxy-)?authorization|(?:set-)?cookie2?|x-goog-api-key|x-api-key|api-key)(\s*:\s*)[^\r\n]+/gi

const RULES: readonly (readonly [pattern: RegExp, replacement: string | ((...groups: string[]) => string)])[] = [
  [MEMBER, (_, name, quote, colon, open) => `${name}${quote}${colon}${open}${MASK}${open}`],
  [HEADER, `$1$2${MASK}`],
  // Credentials in front of a host (RFC 3986 3.2.1): up to the last @ before the path.
  [/(:\/\/)[^/\s?#"'<>]*@/g, `$1${MASK}@`],
  [/\b(bearer|basic)(\s+)(?!(?:tokens?|auth\w*)(?![\w.~+/=-]))[\w.~+/=*-]+/gi, `$1$2${MASK}`],
  [PARAMETER, `$1$2${MASK}`],
  // JWT (RFC 7519): its header always begins with {" in base64url.
  [/eyJ[\w-]{6,}(?:\.[\w*-]*)*/g, MASK],
  // Google access tokens, refresh tokens and authorization codes, also percent-encoded.
  [/ya29\.[\w.*-]+/g, MASK],
  [/1(?:\/\/|%2F%2F)[\w%-]{6,}/gi, MASK],
  [/\b4(?:\/|%2F)[01][\w%-]{8,}/gi, MASK],
  [/AIza[\w-]{20,}/g, MASK],
  // OpenAI refresh tokens, authorization codes and keys.
  [/(?<![A-Za-z0-9])(?:oaistb_)?(?:rt|ac)_[\w.-]{6,}/g, MASK],
  [/(?<![A-Za-z0-9])sk-[\w-]{8,}/g, MASK],
]

const EMAIL =
  /(?<![^\s@<>"(),;:\\[\]])[^\s@<>"(),;:\\[\]]+(?:@|%40)(?=[^\s@]*\p{L})[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*/giu
/** An address that is masked already. */
const MASKED = /^.?\*{3}@/su
/** What may stand in a local part (RFC 5322 3.2.3) but more often separates it from what is before it. */
const LEAD = /^.*[=&/?'{}|`](?=[^@])/s

/** An address, masked; what a greedy match took before it is kept. */
function hideAddress(found: string): string {
  const address = found.replace(/%40(?!.*(?:@|%40))/i, "@")
  const lead = LEAD.exec(address.slice(0, address.lastIndexOf("@") + 1))?.[0] ?? ""
  const rest = address.slice(lead.length)
  return MASKED.test(rest) ? found : lead + maskEmail(rest)
}

const OPAQUE = /[\w+/-]{24,}={0,2}/g
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** Words, camelCase and numbers joined by separators: what names, paths and dates are made of. */
const READABLE =
  /^(?:[-_/+]|(?:[A-Z]?[a-z]{1,16}(?:[A-Z][a-z]{2,15})*|[A-Z]{1,16}|\d{1,14}|[a-z]{1,12}\d{1,4}[a-z]{0,8}|\d{1,4}[a-z]{1,8})(?![A-Za-z0-9]))+$/

/** Whether a long run is no secret; chance makes no words of 24 random characters. */
function readable(run: string): boolean {
  return READABLE.test(run) || UUID.test(run)
}

/** What follows the last name of a file that Pollux reads or writes; a token has no such ending. */
const FILE_END = /^\.(?:toml|db(?:-wal|-shm|-journal)?|jsonl?|txt|pem|service|sock|env)(?![\w+/=-])/
const LONGEST_FILE_END = 16

/**
 * Whether a run is the absolute path of such a file, each of whose names is too short for a secret or readable: folders made by
 * programs have a random part, and "run: chmod 600 ***.toml" helps nobody.
 */
function namesFile(run: string, at: number, text: string): boolean {
  if (!run.startsWith("/") || (at > 0 && !/[\s"'(]/.test(text.charAt(at - 1)))) return false
  const end = at + run.length
  if (!FILE_END.test(text.slice(end, end + LONGEST_FILE_END))) return false
  return run.split("/").every((name) => name.length < OPAQUE_LENGTH || readable(name))
}

/** Bits for what a character is, or is part of. */
const TOKEN = 1
const SIGN = 2
const WORD_END = 4
const DOT = 8
const SLASH = 16
const UNDERSCORE = 32
const DASH = 64
const CLASS = new Uint8Array(128)
for (const char of "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+") CLASS[char.charCodeAt(0)] = TOKEN
for (const char of `@=%"'`) CLASS[char.charCodeAt(0)] = SIGN
for (const char of " \t\r\n:") CLASS[char.charCodeAt(0)] = WORD_END
CLASS[".".charCodeAt(0)] = DOT
CLASS["/".charCodeAt(0)] = TOKEN | SLASH
CLASS["_".charCodeAt(0)] = TOKEN | UNDERSCORE
CLASS["-".charCodeAt(0)] = TOKEN | DASH

/** Last two letters of the words that announce a secret (bearer, basic, authorization, cookie, cookie2, api-key). */
const ENDINGS = new Set(
  ["er", "ic", "on", "ie", "e2", "ey"].map(([a, b]) => pair(a?.charCodeAt(0) ?? 0, b?.charCodeAt(0) ?? 0)),
)
const ANNOUNCED = /(?:bearer|basic|authorization|cookie2?|api-key)\s*[\s:]/i

/** Two letters in either case as one number. */
function pair(first: number, second: number): number {
  return ((first | 32) << 8) | (second | 32)
}

/** A cheap look, character by character, that lets most texts pass; it may suspect wrongly, never the other way. */
function suspicious(text: string): boolean {
  let run = 0
  let seen = 0
  let announced = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const kind = code < 128 ? (CLASS[code] ?? 0) : 0
    seen |= kind
    if ((kind & TOKEN) !== 0) {
      run += 1
      continue
    }
    if (kind === SIGN) return true
    if (kind === WORD_END && run > 1 && ENDINGS.has(pair(text.charCodeAt(index - 2), text.charCodeAt(index - 1)))) {
      announced = true
    }
    if (run >= OPAQUE_LENGTH && !readable(text.slice(index - run, index))) return true
    run = 0
  }
  if (run >= OPAQUE_LENGTH && !readable(text.slice(text.length - run))) return true
  return (
    (announced && ANNOUNCED.test(text)) ||
    ((seen & DOT) !== 0 && (text.includes("ya29.") || text.includes("eyJ"))) ||
    ((seen & SLASH) !== 0 && (text.includes("1//") || text.includes("4/0") || text.includes("4/1"))) ||
    ((seen & UNDERSCORE) !== 0 && (text.includes("rt_") || text.includes("ac_"))) ||
    ((seen & DASH) !== 0 && text.includes("sk-"))
  )
}

const [C, K, T] = ["c", "k", "t"].map((letter) => letter.charCodeAt(0))

/**
 * Whether it is plain at first sight that `redact` leaves a text as it is, and that nothing in it needs a quote or an escape: an id,
 * a word. It is a single run, too short for a secret, in which no prefix of one (`sk-`, `rt_`, `ac_`) can stand.
 */
export function evident(text: string): boolean {
  const { length } = text
  if (length >= OPAQUE_LENGTH) return false
  let before = 0
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    const kind = code < 128 ? CLASS[code] : 0
    if (kind === (TOKEN | DASH) ? before === K : kind === (TOKEN | UNDERSCORE) && (before === T || before === C)) {
      return false
    }
    if (kind !== TOKEN && kind !== (TOKEN | DASH) && kind !== (TOKEN | UNDERSCORE)) return false
    before = code
  }
  return true
}

/** `text` with every recognised secret masked. Pure; a text without secrets comes back as it is. */
export function redact(text: string): string {
  if (text.length < 6 || !suspicious(text)) return text
  // Long runs first: a prefix that another rule knows may stand in the middle of one.
  let result = text.replace(OPAQUE, (run, at: number) => (readable(run) || namesFile(run, at, text) ? run : MASK))
  for (const [pattern, replacement] of RULES) {
    result =
      typeof replacement === "string" ? result.replace(pattern, replacement) : result.replace(pattern, replacement)
  }
  return result.replace(EMAIL, hideAddress)
}
