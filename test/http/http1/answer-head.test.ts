import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type AnswerHead, answerHead, closes } from "../../../src/http/http1/answer-head.ts"

const DATE = "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"

const written = (over: Partial<AnswerHead> = {}): string =>
  answerHead({ status: 200, fields: {}, framing: 0, lasts: true, recent: true, date: DATE, ...over })

/** The lines in front of the blank one; fails where there is none, or more than one. */
function linesOf(text: string): readonly string[] {
  expect(text.indexOf("\r\n\r\n")).toBe(text.length - 4)
  return text.slice(0, -4).split("\r\n")
}

const linesWith = (over: Partial<AnswerHead>): readonly string[] => linesOf(written(over))

/** The lines of a field, in order. */
const allOf = (name: string, over: Partial<AnswerHead>): readonly string[] =>
  linesWith(over).filter((line) => line.startsWith(`${name}:`))

describe("an answer's head", () => {
  test("is a status line, fields, the date, and how long the body is", () => {
    expect(written({ fields: { "content-type": "text/plain", "x-a": "b: c" }, framing: 12 })).toBe(
      `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-a: b: c\r\n${DATE}content-length: 12\r\n\r\n`,
    )
  })

  test.each<[number, string]>([
    [200, "OK"],
    [204, "No Content"],
    [304, "Not Modified"],
    [400, "Bad Request"],
    [401, "Unauthorized"],
    [404, "Not Found"],
    [413, "Content Too Large"],
    [429, "Too Many Requests"],
    [500, "Internal Server Error"],
    [503, "Service Unavailable"],
    [505, "HTTP Version Not Supported"],
  ])("of %d says %s", (status, reason) => {
    expect(linesWith({ status })[0]).toBe(`HTTP/1.1 ${status} ${reason}`)
  })

  test("keeps the space in front of the reason where it knows none (RFC 9112 section 4)", () => {
    for (const status of [299, 418, 499, 529, 599]) expect(linesWith({ status })[0]).toBe(`HTTP/1.1 ${status} `)
  })

  test("says HTTP/1.1 to a client of HTTP/1.0 as well (RFC 9110 section 2.5)", () => {
    expect(linesWith({ recent: false })[0]).toBe("HTTP/1.1 200 OK")
  })

  test.each<[AnswerHead["framing"], string[]]>([
    [0, ["content-length: 0"]],
    [5, ["content-length: 5"]],
    [9_007_199_254_740_991, ["content-length: 9007199254740991"]],
    ["chunked", ["transfer-encoding: chunked"]],
    ["close", []],
    [null, []],
  ])("tells the end %p by %j alone, whatever the fields say", (framing, wanted) => {
    const claims = { "content-length": "77", "transfer-encoding": "gzip", "keep-alive": "timeout=5", date: "never" }
    for (const fields of [{}, claims, { "content-length": ["1", "2"], "transfer-encoding": ["x"] }]) {
      const lines = linesWith({ fields, framing })
      expect(lines.filter((line) => /^(?:content-length|transfer-encoding|keep-alive):/.test(line))).toEqual(wanted)
      expect(lines.filter((line) => line.startsWith("date:"))).toEqual([DATE.trimEnd()])
    }
  })

  test("writes a list as a field for each, in order", () => {
    expect(allOf("set-cookie", { fields: { "set-cookie": ["a=1", "b=2, c"], x: "y" } })).toEqual([
      "set-cookie: a=1",
      "set-cookie: b=2, c",
    ])
    expect(allOf("set-cookie", { fields: { "set-cookie": [] } })).toEqual([])
  })

  test.each<[boolean, boolean, readonly string[]]>([
    [true, true, []],
    [true, false, ["connection: keep-alive"]],
    [false, true, ["connection: close"]],
    [false, false, ["connection: close"]],
  ])("where the connection lasts: %p, and the client knows HTTP/1.1: %p, says %j", (lasts, recent, wanted) => {
    for (const framing of [3, "chunked", "close", null] as const) {
      expect(allOf("connection", { lasts, recent, framing })).toEqual(wanted)
    }
  })

  test("says once that the connection ends", () => {
    for (const connection of ["close", "Close", "x, close"]) {
      for (const recent of [true, false]) {
        expect(allOf("connection", { fields: { connection }, lasts: false, recent })).toEqual([
          `connection: ${connection}`,
        ])
      }
    }
    expect(allOf("connection", { fields: { connection: "x" }, lasts: false })).toEqual(["connection: x, close"])
  })
})

describe("what a value holds", () => {
  test("is Latin-1", () => {
    for (const value of ["", "\xe4\xff\x80\x85", "a\tb"]) {
      expect(allOf("x-a", { fields: { "x-a": value } })).toEqual([`x-a: ${value}`])
    }
  })

  test.each(["\r", "\n", "\0", "\r\n", "\u010a", "\u010d", "\u0100", "\u2028", "\uff0a", "\ud83d\ude00", "\ud800"])(
    "is refused with %j, wherever it stands",
    (stray) => {
      for (const value of [stray, `${stray}b`, `a${stray}`, `a${stray}b`]) {
        expect(() => written({ fields: { "x-a": value } })).toThrow(TypeError)
        expect(() => written({ fields: { "x-a": ["fine", value] } })).toThrow(TypeError)
      }
    },
  )

  test("is not in the message of what refuses it, since it may be secret", () => {
    expect(() => written({ fields: { "x-a": "hidden\r\n" } })).toThrow(/x-a(?!.*hidden)/s)
  })

  test("is no better in a name", () => {
    for (const name of ["x\r\nset-cookie", "x\n", "x\0"]) {
      expect(() => written({ fields: { [name]: "a" } })).toThrow(TypeError)
    }
  })

  test("never makes lines of its own, whatever it is", () => {
    const value = fc.string({ unit: "binary", maxLength: 12 })
    const strange = fc.string({
      unit: fc.constantFrom("\r", "\n", "\0", "a", ":", " ", "\u010a", "\xe4"),
      maxLength: 6,
    })
    const check = fc.property(fc.oneof(value, strange), (text) => {
      const over = { fields: { "x-a": text }, framing: 1 }
      let head: string
      try {
        head = written(over)
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError)
        return
      }
      // As it goes over the wire.
      const lines = linesOf(Buffer.from(head, "latin1").toString("latin1"))
      expect(lines).toEqual(["HTTP/1.1 200 OK", `x-a: ${text}`, DATE.trimEnd(), "content-length: 1"])
    })
    fc.assert(check, { numRuns: 500 })
  })
})

test.each<[string | readonly string[] | undefined, boolean]>([
  ["close", true],
  ["CLOSE", true],
  ["keep-alive, close", true],
  ["keep-alive,Close", true],
  ["keep-alive", false],
  ["disclose", false],
  ["closed", false],
  ["", false],
  [undefined, false],
])("a Connection field of %j ends the connection: %p", (connection, wanted) => {
  expect(closes(connection === undefined ? {} : { connection })).toBe(wanted)
})
