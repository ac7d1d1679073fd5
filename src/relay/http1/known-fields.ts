import { copied } from "../../observe/copied.ts"

/** Characters of a field's name (RFC 9110 section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Fields whose values hardly change, and name neither a person nor a session. */
const STEADY: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "cache-control",
  "connection",
  "content-type",
  "host",
  "server",
  "transfer-encoding",
  "user-agent",
  "vary",
])

/** Places for fields, a power of two; newcomers take the place of those they meet there. */
const PLACES = 1024
/** Longest name and value that are kept. */
const NAME_LENGTH = 64
const VALUE_LENGTH = 256
/** Every so many times that a value is another one, that is kept instead. */
const LEARN_EVERY = 16

/** A field as it came before. */
export class KnownField {
  private last: string | null = null
  private misses = 0

  constructor(
    /** The name as it was written. */
    readonly written: string,
    /** In lower case. */
    readonly name: string,
    private readonly steady: boolean,
  ) {}

  /** The value that stands at `[from, to)` of a head. */
  value(text: string, from: number, to: number): string {
    const { last } = this
    if (last !== null && last.length === to - from && text.startsWith(last, from)) return last
    const value = text.slice(from, to)
    if (this.steady && value.length <= VALUE_LENGTH && this.misses++ % LEARN_EVERY === 0) this.last = copied(value)
    return value
  }
}

/**
 * Fields as they come, since everybody sends the same ones every time: what is known is compared where it stands. A text cut out of
 * a head costs little, but to look it up it needs memory of its own, which is cold by the time it comes around again: such texts
 * were most of the 35 pieces of memory that a request took outside the heap, of which 12 are left (Bun 1.4.5).
 */
export class KnownFields {
  private readonly fields: (KnownField | null)[] = new Array(PLACES).fill(null)

  /** The field whose name stands at `[from, to)` of a head; null for what is no name. */
  at(text: string, from: number, to: number): KnownField | null {
    const length = to - from
    if (length <= 0) return null
    const place =
      (text.charCodeAt(from) * 7 +
        text.charCodeAt((from + to) >> 1) * 13 +
        text.charCodeAt(to - 1) * 31 +
        length * 61) &
      (PLACES - 1)
    const known = this.fields[place] ?? null
    const isSame = known !== null && known.written.length === length && text.startsWith(known.written, from)
    return isSame ? known : this.learn(text.slice(from, to), place)
  }

  private learn(text: string, place: number): KnownField | null {
    if (!TOKEN.test(text)) return null
    if (text.length > NAME_LENGTH) return new KnownField(text, text.toLowerCase(), false)
    const own = copied(text)
    const name = own.toLowerCase()
    const field = new KnownField(own, name, STEADY.has(name))
    this.fields[place] = field
    return field
  }
}
