/** 1 to 128 visible ASCII characters. */
const ACCEPTABLE = /^[\x21-\x7e]{1,128}$/

/** The caller's own `x-request-id` where it can be put into a log line and a header, else 12 random bytes (16 characters). */
export function requestId(given: string | null): string {
  if (given !== null && ACCEPTABLE.test(given)) return given
  return crypto.getRandomValues(new Uint8Array(12)).toBase64({ alphabet: "base64url" })
}
