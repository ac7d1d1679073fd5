/**
 * Finds the parts of a JSON text in its bytes (RFC 8259), so that one can be cut out or changed while every other byte stays as
 * it was: numbers keep their digits, strings their escapes, keys their order.
 *
 * Meant for text that is known to be JSON. On anything else nothing throws and nothing loops: what is found is unspecified, and
 * an end that is missing is given as -1. No recursion, so nesting costs no stack.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** Bytes `[start, end)` of a text. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** One member of an object: `"key": value`. */
export interface Member {
  /** Unescaped. */
  readonly key: string
  /** With its quotes. */
  readonly name: Span
  readonly value: Span
}

const DECODER = new TextDecoder()

/** JSON white space: space, tab, LF, CR. */
export function skipSpace(bytes: Uint8Array, at: number): number {
  let i = at
  while (i < bytes.length) {
    const byte = bytes[i]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
    i++
  }
  return i
}

/** Offset behind the closing quote of the string that opens at `at`; -1 if it does not end. */
export function skipString(bytes: Uint8Array, at: number): number {
  let i = at + 1
  while (true) {
    const quote = bytes.indexOf(QUOTE, i)
    if (quote === -1) return -1
    let back = quote
    while (back > i && bytes[back - 1] === BACKSLASH) back--
    if ((quote - back) % 2 === 0) return quote + 1
    i = quote + 1
  }
}

/** Offset behind the value that starts at `at` (no space before it); -1 if it does not end. */
export function skipValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first === QUOTE) return skipString(bytes, at)
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return skipScalar(bytes, at)
  let depth = 0
  let i = at
  while (i < bytes.length) {
    const byte = bytes[i]
    if (byte === QUOTE) {
      i = skipString(bytes, i)
      if (i === -1) return -1
      continue
    }
    i++
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth--
      if (depth === 0) return i
    }
  }
  return -1
}

function skipScalar(bytes: Uint8Array, at: number): number {
  let i = at
  while (i < bytes.length) {
    const byte = bytes[i]
    if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || (byte !== undefined && byte <= 0x20)) break
    i++
  }
  return i
}

/** The members of the object that opens at `at`, in order; none if there is no object. */
export function membersOf(bytes: Uint8Array, at: number): readonly Member[] {
  if (bytes[at] !== OPEN_BRACE) return []
  const members: Member[] = []
  let i = skipSpace(bytes, at + 1)
  while (bytes[i] === QUOTE) {
    const nameEnd = skipString(bytes, i)
    if (nameEnd === -1) break
    const colon = skipSpace(bytes, nameEnd)
    if (bytes[colon] !== COLON) break
    const start = skipSpace(bytes, colon + 1)
    const end = skipValue(bytes, start)
    if (end === -1 || end === start) break
    members.push({ key: textOf(bytes, i, nameEnd), name: { start: i, end: nameEnd }, value: { start, end } })
    i = skipSpace(bytes, end)
    if (bytes[i] !== COMMA) break
    i = skipSpace(bytes, i + 1)
  }
  return members
}

/** The elements of the array that opens at `at`, in order; none if there is no array. */
export function elementsOf(bytes: Uint8Array, at: number): readonly Span[] {
  if (bytes[at] !== OPEN_BRACKET) return []
  const elements: Span[] = []
  let i = skipSpace(bytes, at + 1)
  while (i < bytes.length && bytes[i] !== CLOSE_BRACKET) {
    const end = skipValue(bytes, i)
    if (end === -1 || end === i) break
    elements.push({ start: i, end })
    i = skipSpace(bytes, end)
    if (bytes[i] !== COMMA) break
    i = skipSpace(bytes, i + 1)
  }
  return elements
}

/** The last member with this key, as `JSON.parse` takes it, or null. */
export function memberOf(bytes: Uint8Array, at: number, key: string): Member | null {
  return membersOf(bytes, at).findLast((member) => member.key === key) ?? null
}

export const isObjectAt = (bytes: Uint8Array, at: number): boolean => bytes[at] === OPEN_BRACE
export const isArrayAt = (bytes: Uint8Array, at: number): boolean => bytes[at] === OPEN_BRACKET

/** The string with quotes at `[start, end)`, unescaped; "" if it is none. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  const raw = DECODER.decode(bytes.subarray(start, end))
  if (!raw.includes("\\")) return raw.slice(1, -1)
  const value = parseJson(raw)
  return typeof value === "string" ? value : ""
}

/** The value at a span, or undefined if it is not JSON. */
export function valueAt(bytes: Uint8Array, span: Span): unknown {
  return parseJson(DECODER.decode(bytes.subarray(span.start, span.end)))
}

/** Undefined if `text` is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

export const objectOr = (value: unknown): JsonObject | null => (isObject(value) ? value : null)
export const arrayOr = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
/** The text, if it is one and not empty. */
export const textOr = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null)

/** A change of a text: the bytes of a span give way to `text`. */
export interface Edit extends Span {
  readonly text: string
}

const ENCODER = new TextEncoder()

/**
 * Applies edits that do not overlap, given in any order; what is inserted where another edit starts comes before it, and equal
 * insertion points keep the order given.
 */
export function applyEdits(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array<ArrayBuffer> {
  const sorted = edits.toSorted((a, b) => a.start - b.start || a.end - b.end)
  const texts = sorted.map((edit) => ENCODER.encode(edit.text))
  let length = bytes.length
  for (const [index, edit] of sorted.entries()) length += (texts[index]?.length ?? 0) - (edit.end - edit.start)
  const result = new Uint8Array(length)
  let from = 0
  let to = 0
  for (const [index, edit] of sorted.entries()) {
    result.set(bytes.subarray(from, edit.start), to)
    to += edit.start - from
    const text = texts[index]
    if (text !== undefined) {
      result.set(text, to)
      to += text.length
    }
    from = edit.end
  }
  result.set(bytes.subarray(from), to)
  return result
}

/** The edit that removes items `gone` (indices, ascending) from a list of members or elements, with the commas they need. */
export function removals(items: readonly Span[], gone: ReadonlySet<number>): Edit[] {
  const edits: Edit[] = []
  const kept = items.findIndex((_, index) => !gone.has(index))
  for (const [index, item] of items.entries()) {
    if (!gone.has(index)) continue
    const next = items[index + 1]
    const before = items[index - 1]
    // Up to the next item while nothing is kept before; from the end of the item before otherwise.
    if (kept === -1 || index < kept) edits.push({ start: item.start, end: next?.start ?? item.end, text: "" })
    else edits.push({ start: before?.end ?? item.start, end: item.end, text: "" })
  }
  return edits
}

/** A member as one span, name to value. */
export const spanOf = (member: Member): Span => ({ start: member.name.start, end: member.value.end })
