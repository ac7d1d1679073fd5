import type { Span } from "../../src/relay/span.ts"

/** What must never be taken for the span's own. */
const STRANGE = '}]"\n\ndata: {"not":"ours"}\n\n'

/** The bytes in the midst of others, as those behind a head are. */
export function amid(bytes: Uint8Array): Span {
  const around = Buffer.from(STRANGE)
  const all = Buffer.concat([around, bytes, around])
  return { bytes: all, from: around.length, to: around.length + bytes.length }
}
