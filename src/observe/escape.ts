/**
 * C0 and C1 controls, DEL, line and paragraph separators, bidirectional controls, the byte order mark and lone surrogates:
 * what can end a line, drive a terminal (ECMA-48) or show text in another order than it stands in (UAX 9).
 */
const UNSAFE =
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const SUSPECT = /[\x00-\x1f\x7f-\uffff]/

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/** `text` on one line and without power over a terminal: unsafe characters become `\n`, `\x1b`, `\u202e`. Pure. */
export function escapeControls(text: string): string {
  if (!SUSPECT.test(text)) return text
  return text.replace(UNSAFE, (char) => {
    const code = char.charCodeAt(0)
    return SHORT[char] ?? (code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`)
  })
}
