import { hasLoneLf } from "../../relay/http1/field-lines.ts"
import { Refusal } from "./refusal.ts"
import { HEAD_BYTES } from "./request-head.ts"

const CR = 0x0d
const LF = 0x0a
/** What may have come of the blank line at its end. */
const BLANK_PART = 3
/** The first byte of a TLS connection (RFC 8446 section 5.1: a handshake record). */
const HANDSHAKE = 0x16

/**
 * What came of a head that is not whole: whether it can still become one.
 * @throws Refusal
 */
export function checkBeginning(bytes: Buffer): void {
  const [first] = bytes
  // The half of an empty line too much may be all of it that came.
  if (first === undefined || (first === CR && bytes.length === 1)) return
  if (first === HANDSHAKE)
    throw new Refusal(400, "this port speaks plain HTTP: use http://, or put a TLS proxy before it")
  if (!isLetter(first)) throw new Refusal(400, "this is no HTTP/1.1 request")
  // A head with such line ends would never come to its end here.
  if (hasLoneLf(bytes, 0)) throw new Refusal(400, "the head's lines end without a CR")
  if (bytes.length <= HEAD_BYTES + BLANK_PART) return
  throw bytes.subarray(0, HEAD_BYTES).includes(LF)
    ? new Refusal(431, `the head is larger than ${HEAD_BYTES} bytes`)
    : new Refusal(414, `the request's target is longer than ${HEAD_BYTES} bytes`)
}

/** What a method may begin with; no known one begins otherwise. */
export function isLetter(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a))
}
