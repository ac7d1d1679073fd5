import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { SseScanner } from "../../src/relay/sse.ts"

interface Event {
  readonly event: string
  readonly data: string
}

const encoder = new TextEncoder()

/** The standard's algorithm (WHATWG HTML 9.2.6), written the slow way over the whole text. */
function naive(bytes: Uint8Array): Event[] {
  const lines = new TextDecoder().decode(bytes).split(/\r\n|\r|\n/)
  lines.pop()
  const events: Event[] = []
  let data: string[] = []
  let event = ""
  for (const line of lines) {
    if (line === "") {
      if (data.length > 0) events.push({ event, data: data.join("\n") })
      data = []
      event = ""
      continue
    }
    const colon = line.indexOf(":")
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "")
    if (name === "data") data.push(value)
    if (name === "event") event = value
  }
  return events
}

interface Scanned {
  readonly events: Event[]
  readonly tiled: Uint8Array
  readonly between: boolean
}

function scan(chunks: readonly Uint8Array[]): Scanned {
  const scanner = new SseScanner()
  const events: Event[] = []
  const parts: Uint8Array[] = []
  for (const chunk of chunks) {
    scanner.feed(chunk)
    while (scanner.next()) {
      parts.push(scanner.frame())
      if (scanner.dataLines > 0) events.push({ event: scanner.event(), data: scanner.text() })
    }
  }
  parts.push(scanner.tail())
  return { events, tiled: new Uint8Array(Buffer.concat(parts)), between: scanner.betweenFrames }
}

function cut(bytes: Uint8Array, points: readonly number[]): Uint8Array[] {
  const sorted = [0, ...points.map((p) => p % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end))
}

const lineEnd = fc.constantFrom("\n", "\r", "\r\n")
const line = fc.oneof(
  fc.constantFrom(
    "data: {}",
    "data:",
    "data",
    "data:x",
    "data:  two",
    "event: ping",
    "event:",
    "event",
    ": comment",
    ":",
  ),
  fc.constantFrom("", "", "", "dat", "dataset: 1", "eventual: 1", "id: 7", "retry: 10", "data : x", "e", "d"),
  fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => `data: ${text.replace(/[\r\n]/g, "")}`),
  fc.constant(`data: ${"日本語😀".repeat(3)}`),
)
const stream = fc
  .tuple(fc.boolean(), fc.array(fc.tuple(line, lineEnd), { maxLength: 24 }))
  .map(([bom, lines]) => encoder.encode((bom ? "\ufeff" : "") + lines.map(([text, end]) => text + end).join("")))

describe("the SSE scanner", () => {
  test("finds the events of the standard's algorithm at every single cut point", () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const expected = naive(bytes)
        for (let at = 0; at <= bytes.length; at++) {
          expect(scan([bytes.subarray(0, at), bytes.subarray(at)]).events).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
  })

  test("finds the same events under any set of cuts, and its frames with the tail are the input byte for byte", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 40 }), (bytes, points) => {
        const { events, tiled } = scan(cut(bytes, points))
        expect(events).toEqual(naive(bytes))
        expect(Buffer.compare(tiled, bytes)).toBe(0)
      }),
      { numRuns: 400 },
    )
  })

  test("finds the same events in chunks of one byte", () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const single = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
        expect(scan(single).events).toEqual(naive(bytes))
      }),
    )
  })

  test("is between frames exactly where an inserted comment changes no event", () => {
    fc.assert(
      fc.property(stream, fc.nat(), (bytes, point) => {
        const at = point % (bytes.length + 1)
        if (!scan([bytes.subarray(0, at)]).between) return
        const inserted = Buffer.concat([bytes.subarray(0, at), encoder.encode(": keep-alive\n\n"), bytes.subarray(at)])
        // A BOM counts only at the very start, so nothing is inserted before it.
        if (at === 0 && bytes[0] === 0xef) return
        expect(naive(inserted)).toEqual(naive(bytes))
      }),
      { numRuns: 400 },
    )
  })

  test("gives out a frame that ends in CR without waiting for the next byte", () => {
    const scanner = new SseScanner()
    scanner.feed(encoder.encode("data: a\r\r"))
    expect(scanner.next()).toBe(true)
    expect(scanner.text()).toBe("a")
    expect(scanner.next()).toBe(false)
    expect(scanner.betweenFrames).toBe(true)
  })

  test("looks at a frame in place when it lies in one chunk", () => {
    const chunk = encoder.encode("event: x\ndata: 1\n\ndata: 2\n\n")
    const scanner = new SseScanner()
    scanner.feed(chunk)
    expect(scanner.next()).toBe(true)
    expect(scanner.data().buffer).toBe(chunk.buffer)
    expect(scanner.eventIs("x")).toBe(true)
    expect(scanner.eventIs("xy")).toBe(false)
    expect(scanner.dataStartsWith("1")).toBe(true)
    expect(scanner.dataStartsWith("12")).toBe(false)
    expect(scanner.next()).toBe(true)
    expect(scanner.event()).toBe("")
    expect(scanner.next()).toBe(false)
  })

  test("leaves earlier frames valid when later ones are read", () => {
    const scanner = new SseScanner()
    const kept: Uint8Array[] = []
    for (const piece of ["data: a", "a\n\ndata: b", "b\n\ndata: cc\n\nda"]) {
      scanner.feed(encoder.encode(piece))
      while (scanner.next()) kept.push(scanner.data())
    }
    expect(kept.map((bytes) => new TextDecoder().decode(bytes))).toEqual(["aa", "bb", "cc"])
    expect(new TextDecoder().decode(scanner.tail())).toBe("da")
  })

  test("gives out an unterminated last frame on finish only", () => {
    for (const text of ["data: end", "data: end\n", "\ufeffdata: end", "data: x\n\nevent: e\r\ndata: end\r"]) {
      const scanner = new SseScanner()
      scanner.feed(encoder.encode(text))
      while (scanner.next()) expect(scanner.text()).toBe("x")
      expect(scanner.finish()).toBe(true)
      expect(scanner.text()).toBe("end")
      expect(scanner.finish()).toBe(false)
    }
    const whole = new SseScanner()
    whole.feed(encoder.encode("data: x\n\n\n"))
    while (whole.next()) expect(whole.text()).toBe("x")
    expect(whole.finish()).toBe(false)
  })

  test("stops at a frame beyond the bound, wherever the input is cut, and holds none of it", () => {
    const fits = encoder.encode(`data: ${"x".repeat(92)}\n\n`)
    const large = encoder.encode(`data: ${"x".repeat(93)}\n\n`)
    for (let at = 0; at <= fits.length; at++) {
      for (const [bytes, overflowed] of [
        [fits, false],
        [large, true],
      ] as const) {
        const scanner = new SseScanner(100)
        let found = 0
        for (const chunk of [bytes.subarray(0, at), bytes.subarray(at), fits]) {
          scanner.feed(chunk)
          while (scanner.next()) found++
        }
        expect(scanner.overflowed).toBe(overflowed)
        expect(found).toBe(overflowed ? 0 : 2)
        if (overflowed) expect(scanner.tail().length).toBe(0)
      }
    }
  })

  test("reads a frame of 32 MiB that comes in small chunks in linear time and gives it out whole", () => {
    const scanner = new SseScanner()
    const piece = new Uint8Array(16_384).fill(0x61)
    scanner.feed(encoder.encode("data: "))
    expect(scanner.next()).toBe(false)
    for (let i = 0; i < 2048; i++) {
      scanner.feed(piece)
      expect(scanner.next()).toBe(false)
    }
    scanner.feed(encoder.encode("\n\ndata: next\n\n"))
    expect(scanner.next()).toBe(true)
    expect(scanner.data().length).toBe(2048 * 16_384)
    expect(scanner.next()).toBe(true)
    expect(scanner.text()).toBe("next")
  })

  test("gives a large frame's buffer back when it grows out of it, or beyond the bound, and keeps what it gave out", () => {
    const bound = 8 * 1024 * 1024
    const scanner = new SseScanner(bound)
    const feed = (length: number): void => {
      scanner.feed(new Uint8Array(length).fill(0x61))
      expect(scanner.next()).toBe(false)
    }
    scanner.feed(encoder.encode("data: "))
    expect(scanner.next()).toBe(false)
    feed(2 * 1024 * 1024)
    const outgrown = scanner.tail()
    feed(4 * 1024 * 1024)
    expect(outgrown.length).toBe(0)
    scanner.feed(encoder.encode("\n\ndata: "))
    expect(scanner.next()).toBe(true)
    const whole = scanner.data()
    expect(scanner.next()).toBe(false)
    feed(bound - 1024)
    const last = scanner.tail()
    feed(2048)
    expect(scanner.overflowed).toBe(true)
    expect(last.length).toBe(0)
    expect(whole.length).toBe(6 * 1024 * 1024)
    expect(whole.every((byte) => byte === 0x61)).toBe(true)
  })

  test("refuses a chunk while the one before has frames left", () => {
    const scanner = new SseScanner()
    scanner.feed(encoder.encode("data: 1\n\ndata: 2\n\n"))
    expect(scanner.next()).toBe(true)
    expect(() => scanner.feed(encoder.encode("x"))).toThrow("call next() until false")
  })
})
