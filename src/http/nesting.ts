/** Guards the JSON parser and writer against bodies that are nothing but brackets. */
import type { Span } from "../relay/span.ts"

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Deeper than any request has a reason to be. */
export const MAX_DEPTH = 1_000
/**
 * Shorter bodies cannot nest deep enough to hurt (two bytes a level): 10,000 levels are written in a millisecond. From some
 * 20,000 on the writer overflows its stack, which takes it a second, and 30 MiB of brackets occupy the parser for five.
 */
const HARMLESS_BYTES = 20_000
/** A string longer than this is skipped by a native search instead of byte by byte. */
const SHORT_STRING = 24

/** Whether JSON text nests so deeply that it must not be parsed. Says nothing about its being JSON. */
export function isTooDeep({ bytes, from, to }: Span): boolean {
  if (to - from <= HARMLESS_BYTES) return false
  let depth = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) i = endOfString(bytes, i + 1)
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > MAX_DEPTH) return true
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--
  }
  return false
}

/** Index of the quote that closes the string whose first byte is at `from`; the length if none does. */
function endOfString(bytes: Uint8Array, from: number): number {
  const { length } = bytes
  const near = Math.min(from + SHORT_STRING, length)
  let i = from
  for (; i < near; i++) {
    if (bytes[i] === QUOTE) return i
    if (bytes[i] === BACKSLASH) i++
  }
  while (true) {
    const quote = bytes.indexOf(QUOTE, i)
    if (quote < 0) return length
    // An odd number of backslashes before it means that it is escaped; those before `i` have been paired off.
    let slash = quote
    while (slash > i && bytes[slash - 1] === BACKSLASH) slash--
    if ((quote - slash) % 2 === 0) return quote
    i = quote + 1
  }
}
