import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type Span, spanOf, strictTextOf, textOf, viewOf } from "../../src/relay/span.ts"
import { amid } from "../support/spans.ts"

const plain = ({ bytes, from, to }: Span): Span => ({ bytes: new Uint8Array(bytes), from, to })

describe("a span", () => {
  test("of a whole array is that array", () => {
    const bytes = Uint8Array.of(1, 2, 3)
    expect(viewOf(spanOf(bytes))).toBe(bytes)
    expect(viewOf(spanOf(new Uint8Array(0)))).toHaveLength(0)
  })

  test("is seen as its own bytes, without those around it", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const { bytes: all, from, to } = amid(bytes)
        expect(Buffer.from(viewOf({ bytes: all, from, to })).equals(bytes)).toBe(true)
        expect(viewOf({ bytes: all, from: 0, to })).toHaveLength(to)
        expect(viewOf({ bytes: all, from, to: all.length })).toHaveLength(all.length - from)
      }),
    )
  })

  test("that is no UTF-8 is no strict text, and U+FFFD itself is text like any other", () => {
    const strict = (bytes: Uint8Array): string | null => {
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
      } catch {
        return null
      }
    }
    const unit = fc.constantFrom("a", "é", "€", "🙂", "\ufffd", "\ufeff")
    const cut = fc.tuple(fc.string({ unit, maxLength: 6 }), fc.nat(3)).map(([text, less]) => {
      const bytes = new Uint8Array(Buffer.from(text))
      return bytes.slice(0, Math.max(0, bytes.length - less))
    })
    fc.assert(
      fc.property(fc.oneof(cut, fc.uint8Array({ maxLength: 6 })), (bytes) => {
        const expected = strict(bytes)
        for (const span of [amid(bytes), plain(amid(bytes))]) {
          if (expected === null) expect(() => strictTextOf(span)).toThrow(TypeError)
          else expect(strictTextOf(span)).toBe(expected)
        }
      }),
      { numRuns: 3_000 },
    )
  })

  test("is the same text in a Buffer and in any other array: as a decoder reads it, whatever the bytes", () => {
    const odd = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: "binary", maxLength: 20 }).map((text) => new Uint8Array(Buffer.from(text))),
      // A byte order mark before, and a sequence cut short behind.
      fc
        .string({ unit: "grapheme", maxLength: 10 })
        .map((text) => new Uint8Array(Buffer.from(`\ufeff${text}`)).slice(0, -1)),
    )
    fc.assert(
      fc.property(odd, (bytes) => {
        const expected = new TextDecoder().decode(bytes)
        expect(textOf(amid(bytes))).toBe(expected)
        expect(textOf(plain(amid(bytes)))).toBe(expected)
      }),
      { numRuns: 2_000 },
    )
  })
})
