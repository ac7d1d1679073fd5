import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { Chunked } from "../../../src/relay/http1/chunked.ts"
import { MalformedMessage } from "../../../src/relay/http1/field-lines.ts"

interface Read {
  readonly data: string
  readonly done: boolean
  /** What is left behind the last chunk, as far as it was fed. */
  readonly behind: string
}

/** Feeds the pieces one after the other, each in memory of its own, until the last chunk came. */
function read(pieces: readonly string[]): Read {
  const chunked = new Chunked()
  let data = ""
  for (const [index, piece] of pieces.entries()) {
    const bytes = Buffer.from(piece, "latin1")
    const got = chunked.push(bytes)
    if (got !== null) {
      expect(got.length).toBeGreaterThan(0)
      expect(got.buffer).toBe(bytes.buffer)
      data += Buffer.from(got).toString("latin1")
    }
    if (!chunked.done) {
      expect(chunked.rest).toBe(bytes.length)
      continue
    }
    return { data, done: true, behind: piece.slice(chunked.rest) + pieces.slice(index + 1).join("") }
  }
  return { data, done: false, behind: "" }
}

/** Cut at each of the places, which count from the text's start. */
function cutAt(text: string, places: readonly number[]): readonly string[] {
  const sorted = [...new Set(places)].sort((a, b) => a - b)
  return [...sorted, text.length]
    .map((end, index) => text.slice(sorted[index - 1] ?? 0, end))
    .filter((piece) => piece !== "")
}

const oneByOne = (text: string): readonly string[] => [...text]

describe("a body in chunks", () => {
  test.each<[string, string, string]>([
    ["of nothing", "0\r\n\r\n", ""],
    ["of one", "5\r\nhello\r\n0\r\n\r\n", "hello"],
    ["of several", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef"],
    ["with sizes in any case", "a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij"],
    ["with zeros in front of sizes", "0000000000003\r\nabc\r\n0000000000000\r\n\r\n", "abc"],
    ["with extensions", '3;a\r\nabc\r\n1 ; b="c;\x80"\r\nd\r\n0;e=f\r\n\r\n', "abcd"],
    ["with white space behind a size", "3 \t \r\nabc\r\n0 \r\n\r\n", "abc"],
    ["with trailers", "3\r\nabc\r\n0\r\nx-a: 1\r\nx-b: 2\r\n\r\n", "abc"],
    ["that looks like chunks itself", "7\r\n0\r\n\r\n5\r\r\n0\r\n\r\n", "0\r\n\r\n5\r"],
  ])("%s is read, whole and byte by byte", (_, text, data) => {
    for (const pieces of [[text], oneByOne(text)]) {
      expect(read(pieces)).toEqual({ data, done: true, behind: "" })
      const more = `${text}HTTP/1.1 200 OK`
      expect(read(pieces.length === 1 ? [more] : oneByOne(more))).toEqual({
        data,
        done: true,
        behind: "HTTP/1.1 200 OK",
      })
    }
  })

  test("is not done before its very last byte", () => {
    const text = "3;x=y\r\nabc\r\nb\r\nhello world\r\n0;z\r\nx-a: 1\r\nx-b:\r\n\r\n"
    for (let end = 0; end < text.length; end++) {
      expect(read([text.slice(0, end)]).done).toBe(false)
      expect(read(oneByOne(text.slice(0, end))).done).toBe(false)
    }
    expect(read([text]).done).toBe(true)
  })

  test("is the same wherever it is cut, in two and in three", () => {
    const text = "3;x=y\r\nabc\r\n012\r\nhello to the world\r\n0;z\r\nx-a: 1\r\n\r\n0\r\n\r\n"
    const wanted = { data: "abchello to the world", done: true, behind: "0\r\n\r\n" }
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second++) {
        expect(read(cutAt(text, [first, second]))).toEqual(wanted)
      }
    }
  })

  test("goes on as one piece what came in one piece", () => {
    const chunked = new Chunked()
    const bytes = Buffer.from("1\r\na\r\n2\r\nbc\r\n5;x\r\nde", "latin1")
    expect(Buffer.from(chunked.push(bytes) ?? []).toString()).toBe("abcde")
    expect(chunked.push(Buffer.from("\r\n"))).toEqual(Buffer.from("\r\n"))
    expect(chunked.push(Buffer.from("f\r"))).toEqual(Buffer.from("f"))
    expect(chunked.push(Buffer.from("\n0\r\n"))).toBeNull()
    expect(chunked.done).toBe(false)
  })

  test("leaves alone what lies beside it in the same memory", () => {
    const around = Buffer.from("before4\r\nwhat\r\n3\r\n is\r\n0\r\n\r\nbehind", "latin1")
    const bytes = around.subarray(6)
    const chunked = new Chunked()
    expect(Buffer.from(chunked.push(bytes) ?? []).toString()).toBe("what is")
    expect(around.toString("latin1", 0, 6)).toBe("before")
    expect(bytes.toString("latin1", chunked.rest)).toBe("behind")
  })

  test("takes nothing any more once it is done", () => {
    const chunked = new Chunked()
    chunked.push(Buffer.from("0\r\n\r\n"))
    expect(chunked.push(Buffer.from("3\r\nabc\r\n"))).toBeNull()
    expect(chunked).toMatchObject({ done: true, rest: 0 })
  })

  const line = fc.stringMatching(/^[ -~]{0,12}$/)
  const part = fc.record({
    data: fc
      .uint8Array({ minLength: 1, maxLength: 40, size: "max" })
      .map((bytes) => Buffer.from(bytes).toString("latin1")),
    zeros: fc.nat({ max: 4 }),
    upper: fc.boolean(),
    extension: fc.option(line, { nil: null }),
  })

  test("gives the same bytes however it is cut into chunks, and those into pieces", () => {
    const trailer = line.map((text) => `x${text}`)
    const scene = fc.record({
      parts: fc.array(part, { maxLength: 8 }),
      trailers: fc.array(trailer, { maxLength: 3 }),
      behind: fc.stringMatching(/^[ -~\r\n]{0,8}$/),
      cuts: fc.array(fc.nat({ max: 600 }), { maxLength: 12 }),
    })
    const check = fc.property(scene, ({ parts, trailers, behind, cuts }) => {
      let coded = ""
      for (const { data, zeros, upper, extension } of parts) {
        const digits = data.length.toString(16)
        coded += `${"0".repeat(zeros)}${upper ? digits.toUpperCase() : digits}`
        coded += `${extension === null ? "" : `;${extension}`}\r\n${data}\r\n`
      }
      coded += `0\r\n${trailers.map((text) => `${text}\r\n`).join("")}\r\n${behind}`
      const wanted = { data: parts.map(({ data }) => data).join(""), done: true, behind }
      expect(read(cutAt(coded, cuts))).toEqual(wanted)
      expect(read([coded])).toEqual(wanted)
    })
    fc.assert(check, { numRuns: 300 })
  })

  test("of a large size is read over many pieces", () => {
    const size = 3 * 1024 * 1024 + 7
    const data = Buffer.alloc(size, "0123456789abc")
    const coded = Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), data, Buffer.from("\r\n0\r\n\r\n")])
    const chunked = new Chunked()
    const got: Buffer[] = []
    for (let at = 0; at < coded.length; at += 65_521) {
      const bytes = chunked.push(Buffer.from(coded.subarray(at, at + 65_521)))
      if (bytes !== null) got.push(Buffer.from(bytes))
    }
    expect(chunked.done).toBe(true)
    expect(Buffer.concat(got).equals(data)).toBe(true)
  })
})

describe("refused", () => {
  /** Whether it is fed whole, byte by byte, or behind a chunk that is in order. */
  function expectRefused(text: string): void {
    const whole = `3\r\nabc\r\n${text}`
    for (const pieces of [[text], oneByOne(text), [whole], oneByOne(whole)]) {
      expect(() => read(pieces), JSON.stringify(pieces).slice(0, 80)).toThrow(MalformedMessage)
    }
  }

  test.each<[string, string]>([
    ["no size", "\r\nabc"],
    ["no size but an extension", ";a\r\nabc"],
    ["white space in front of a size", " 3\r\nabc"],
    ["a sign", "-3\r\nabc"],
    ["a prefix", "0x3\r\nabc"],
    ["a size that is no hexadecimal number", "g\r\nabc"],
    ["a size that is no hexadecimal number further on", "3g\r\nabc"],
    ["what looks like digits only where bytes are taken for less than they are", "\xb3\r\nabc"],
    ["a size of 14 digits", "00000000000003\r\nabc"],
    ["a size beyond all numbers", `${"f".repeat(400)}\r\n`],
    ["digits without end", "0".repeat(100_000)],
    ["a size that ends with LF", "3\nabc\r\n"],
    ["a size that ends with CR alone", "3\rabc\r\n"],
    ["a size that ends with two CR", "3\r\r\nabc\r\n"],
    ["an extension that ends with LF", "3;a\nabc\r\n"],
    ["an extension that ends with CR alone", "3;a\rb\r\nabc\r\n"],
    ["more data than its size", "3\r\nabcd\r\n"],
    ["data that end with LF", "3\r\nabc\n0\r\n"],
    ["data that end with CR alone", "3\r\nabc\r0\r\n"],
    ["data that end with nothing", "3\r\nabc0\r\n\r\n"],
    ["data that end with two line ends", "3\r\nabc\r\n\r\n0\r\n\r\n"],
    ["data that end as LF CR", "3\r\nabc\n\r0\r\n"],
    ["a last chunk that ends with LF", "0\n\r\n"],
    ["a last line that ends with CR alone", "0\r\n\rx"],
    ["hardly anything but extensions", `1;${"a".repeat(9_000)}\r\nx\r\n`.repeat(3)],
    ["extensions without end", `3;${"a".repeat(20_000)}`],
    ["white space without end", `3${" ".repeat(20_000)}`],
    ["a trailer without end", `0\r\n${"a".repeat(20_000)}`],
    ["trailers without end", `0\r\n${"a: b\r\n".repeat(5_000)}`],
  ])("is %s", (_, text) => {
    expectRefused(text)
  })

  test("is a trailer that ends with LF alone", () => {
    expectRefused("0\r\nx: y\n\r\n")
  })

  test("is a last line of LF alone", () => {
    expectRefused("0\r\n\nx: y\r\n\r\n")
  })

  test("are line ends without end where the trailers are", () => {
    expectRefused(`0\r\n${"\n".repeat(100_000)}`)
  })

  test("is a lone CR inside a trailer", () => {
    expectRefused("0\r\nx: y\rz: a\r\n\r\n")
  })

  test("is what stands behind a size with white space alone between", () => {
    expectRefused("3 3\r\nabc\r\n0\r\n\r\n")
  })

  test("is not what stays within the limits", () => {
    const extension = "a".repeat(16 * 1024 - 2)
    // As much of it may come again once as much data has.
    const data = "d".repeat(extension.length)
    const size = data.length.toString(16)
    expect(read([`3;${extension}\r\nabc\r\n${size};b\r\n${data}\r\n2;${extension}\r\nde\r\n0\r\n\r\n`])).toMatchObject({
      data: `abc${data}de`,
      done: true,
    })
    expect(read([`0\r\n${"a: b\r\n".repeat(2_000)}\r\n`]).done).toBe(true)
  })
})
