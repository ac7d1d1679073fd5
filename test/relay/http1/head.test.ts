import { describe, expect, test } from "bun:test"
import { MalformedMessage } from "../../../src/relay/http1/field-lines.ts"
import { type Framing, type Head, parseHead } from "../../../src/relay/http1/head.ts"
import { KnownFields } from "../../../src/relay/http1/known-fields.ts"

const head = (...lines: readonly string[]): Head => parseHead(lines.join("\r\n"), new KnownFields())
const ok = (...lines: readonly string[]): Head => head("HTTP/1.1 200 OK", ...lines)

function expectRefused(text: string): void {
  expect(() => parseHead(text, new KnownFields()), JSON.stringify(text)).toThrow(MalformedMessage)
}

describe("the status line", () => {
  test.each([
    ["HTTP/1.1 200 OK", 200],
    ["HTTP/1.1 200 ", 200],
    ["HTTP/1.1 200", 200],
    ["HTTP/1.1 404 Not  Found\there", 404],
    ["HTTP/1.1 503 \xfcberlastet", 503],
    ["HTTP/1.0 302 Found", 302],
    ["HTTP/1.1 100 Continue", 100],
    ["HTTP/1.1 599 x", 599],
  ])("%j is read", (line, status) => {
    expect(head(line)).toMatchObject({ status, fields: {} })
  })

  test.each([
    "",
    " ",
    "HTTP/1.1",
    "HTTP/1.1 ",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 20x OK",
    "HTTP/1.1 -20 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 600 OK",
    "HTTP/1.1 200OK",
    "HTTP/1.1 200\tOK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    " HTTP/1.1 200 OK",
    "http/1.1 200 OK",
    "HTTP/2 200",
    "HTTP/2.0 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/1.10 200 OK",
    "HTTP/1,1 200 OK",
    "HTTPS/1.1 200 OK",
    "ICY 200 OK",
    "HTTP/1.1 200 O\x01K",
    "HTTP/1.1 200 O\x7fK",
    "POST / HTTP/1.1",
    "content-length: 3",
  ])("%j is none", (line) => {
    expectRefused(line)
    expectRefused(`${line}\r\ncontent-length: 3`)
  })
})

describe("the body's end", () => {
  test.each<[readonly string[], Framing]>([
    [["Content-Length: 0"], 0],
    [["Content-Length: 5"], 5],
    [["content-length:5"], 5],
    [["CONTENT-LENGTH: \t 5 \t"], 5],
    [["Content-Length: 005"], 5],
    [["Content-Length: 999999999999999"], 999_999_999_999_999],
    [["Content-Length: 5, 5"], 5],
    [["Content-Length: 5,5 ,\t5"], 5],
    [["Content-Length: 5", "X: y", "content-length: 5"], 5],
    [["Transfer-Encoding: chunked"], "chunked"],
    [["transfer-encoding:\tCHUNKED "], "chunked"],
    [["X: y"], "close"],
    [[], "close"],
  ])("of %j is %p", (lines, framing) => {
    expect(ok(...lines)).toMatchObject({ framing, lasts: framing !== "close" })
  })

  test.each([
    "",
    "-5",
    "+5",
    "5.0",
    "5e1",
    "0x5",
    "5 5",
    "5;",
    "five",
    "\xb2",
    "5, 6",
    "5, 05",
    "5,",
    ",5",
    "5,,5",
    "1000000000000000",
    "18446744073709551621",
  ])("is not known by the length %j", (length) => {
    expectRefused(`HTTP/1.1 200 OK\r\ncontent-length: ${length}`)
  })

  test("is not known by lengths of two fields that differ", () => {
    expectRefused("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6")
    expectRefused("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nContent-Length: ")
  })

  test.each([
    "",
    "gzip",
    "identity",
    "gzip, chunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked;a",
    "chunke",
    "chunkedx",
  ])("is not known by the coding %j", (coding) => {
    expectRefused(`HTTP/1.1 200 OK\r\ntransfer-encoding: ${coding}`)
  })

  test("is not known by a length with something invisible around it that is no white space of HTTP", () => {
    for (const length of ["5\xa0", "\x0b5", "\x0c5", "5,\xa05", "5\x0b, 5\x0b"]) {
      expectRefused(`HTTP/1.1 200 OK\r\ncontent-length: ${length}`)
    }
  })

  test("is not known by a length with white space inside, which takes no longer to see the more there is", () => {
    const text = `HTTP/1.1 200 OK\r\ncontent-length: 5${" ".repeat(60_000)}x`
    const before = performance.now()
    expectRefused(text)
    expect(performance.now() - before).toBeLessThan(500)
  })

  test("is not known by a coding with such around it", () => {
    for (const coding of ["\x0bchunked", "chunked\x0c", "chunked\xa0", "\x85chunked"]) {
      expectRefused(`HTTP/1.1 200 OK\r\ntransfer-encoding: ${coding}`)
    }
  })

  test("is not known by codings of two fields", () => {
    expectRefused("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked")
    expectRefused("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\nTransfer-Encoding: chunked")
  })

  test("is not known by both a length and a coding, in either order", () => {
    expectRefused("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked")
    expectRefused("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5")
  })

  test.each([100, 102, 103, 204, 304])("is the head's where the status is %d, whatever the fields say", (status) => {
    const line = `HTTP/1.1 ${status} x`
    expect(head(line)).toMatchObject({ status, framing: 0, lasts: true })
    expect(head(line, "content-length: 5").framing).toBe(0)
    expect(head(line, "transfer-encoding: chunked").framing).toBe(0)
  })

  test.each([201, 205, 206, 301, 400, 500])("is told by the fields where the status is %d", (status) => {
    expect(head(`HTTP/1.1 ${status} x`, "content-length: 5").framing).toBe(5)
    expect(head(`HTTP/1.1 ${status} x`).framing).toBe("close")
  })
})

describe("whether the connection lasts", () => {
  test.each<[string, readonly string[], boolean]>([
    ["1", [], true],
    ["1", ["keep-alive"], true],
    ["1", ["close"], false],
    ["1", ["CLOSE"], false],
    ["1", ["x-close, disclose"], true],
    ["1", ["keep-alive, close"], false],
    ["1", ["keep-alive ,\tClose"], false],
    ["1", ["keep-alive", "close"], false],
    ["1", ["close", "keep-alive"], false],
    ["1", [""], true],
    ["0", [], false],
    ["0", ["Keep-Alive"], true],
    ["0", ["x, keep-alive"], true],
    ["0", ["keep-alive, close"], false],
    ["0", ["upgrade"], false],
  ])("HTTP/1.%s, Connection %j: %p", (minor, options, lasts) => {
    const fields = options.map((option) => `Connection: ${option}`)
    expect(head(`HTTP/1.${minor} 200 OK`, "content-length: 1", ...fields).lasts).toBe(lasts)
  })

  test("it does not where the body ends with it, whatever it says", () => {
    expect(ok("connection: keep-alive")).toMatchObject({ framing: "close", lasts: false })
  })

  test("it does not after chunks from a server of HTTP/1.0, whose framing is at fault", () => {
    const lines = ["HTTP/1.0 200 OK", "connection: keep-alive", "transfer-encoding: chunked"]
    expect(head(...lines).lasts).toBe(false)
  })
})

describe("how long the connection rests", () => {
  test.each<[string, number | null]>([
    ["timeout=5", 5_000],
    ["timeout=0", 0],
    ["Timeout=5, max=100", 5_000],
    ["max=100, timeout=60", 60_000],
    ["max=100;timeout=60", 60_000],
    ["max=100,timeout=60", 60_000],
    ["max=100", null],
    ["timeout", null],
    ["timeout=x", null],
    ["timeout=-1", null],
    ["xtimeout=5", null],
    ["", null],
  ])("by Keep-Alive %j", (value, restMs) => {
    expect(ok("content-length: 1", `Keep-Alive: ${value}`).restMs).toBe(restMs)
  })

  test("is not said without the field", () => {
    expect(ok("content-length: 1").restMs).toBeNull()
  })
})

describe("header fields", () => {
  const fieldsOf = (...lines: readonly string[]): unknown => ({ ...ok(...lines).fields })

  test("are named in lower case, and bare of the white space around their values", () => {
    expect(fieldsOf("X-A:1", "x-b: \t2 3\t ", "X-c:", "x-D: \t ", "Content-TYPE: a:b")).toEqual({
      "x-a": "1",
      "x-b": "2 3",
      "x-c": "",
      "x-d": "",
      "content-type": "a:b",
    })
  })

  test("keep Latin-1 values, and white space that is none of HTTP's", () => {
    expect(fieldsOf("x-a: \xe4\xff\x80", "x-b: \xa0v\x0b")).toEqual({ "x-a": "\xe4\xff\x80", "x-b": "\xa0v\x0b" })
  })

  test("that come again are joined in order, however they are written", () => {
    expect(fieldsOf("x-a: 1", "X-A: 2", "x-b: y", "x-a:", "X-a: 4")).toEqual({ "x-a": "1, 2, , 4", "x-b": "y" })
  })

  test("of cookies are a list, for one as well", () => {
    expect(fieldsOf("Set-Cookie: a=1, b")).toEqual({ "set-cookie": ["a=1, b"] })
    expect(fieldsOf("set-cookie: a=1", "x: y", "SET-COOKIE: b=2", "Set-Cookie: c=3")).toEqual({
      "set-cookie": ["a=1", "b=2", "c=3"],
      x: "y",
    })
  })

  test("named as what every object has are fields like others", () => {
    const { fields } = ok("__proto__: x", "constructor: y", "toString: z", "content-length: 3", "__PROTO__: w")
    expect(Object.getPrototypeOf(fields)).toBeNull()
    expect(Object.entries(fields)).toEqual([
      ["__proto__", "x, w"],
      ["constructor", "y"],
      ["tostring", "z"],
      ["content-length", "3"],
    ])
    expect(ok("x: y").fields.hasOwnProperty).toBeUndefined()
  })

  test("may be named with any character of a token", () => {
    const name = "!#$%&'*+-.^_`|~09azAZ"
    expect(fieldsOf(`${name}: 1`, `${"n".repeat(300)}: 2`)).toEqual({
      [name.toLowerCase()]: "1",
      ["n".repeat(300)]: "2",
    })
  })

  test("named as ever new things do not mix up later ones", () => {
    for (let i = 0; i < 1_500; i++) expect(fieldsOf(`X-${i}: ${i}`)).toEqual({ [`x-${i}`]: String(i) })
  })

  test.each([
    "",
    "no colon",
    ": no name",
    " : no name",
    "name : value",
    "name\t: value",
    " name: value",
    "\tname: value",
    "two words: value",
    "na\x01me: value",
    "na(me): value",
    "n\xe4me: value",
    '"name": value',
    "na/me: value",
    "name[]: value",
    "name;a: value",
    "name\x7f: value",
  ])("%j is none", (line) => {
    expectRefused(`HTTP/1.1 200 OK\r\n${line}`)
    expectRefused(`HTTP/1.1 200 OK\r\nx: y\r\n${line}`)
    expectRefused(`HTTP/1.1 200 OK\r\n${line}\r\nx: y`)
  })

  test("are not continued on the next line", () => {
    for (const more of [" z", "\tz", " z: a", "  ", "\t"]) expectRefused(`HTTP/1.1 200 OK\r\nx: y\r\n${more}\r\na: b`)
    expectRefused("HTTP/1.1 200 OK\r\n x: y")
  })
})

describe("half a line end", () => {
  const whole = "HTTP/1.1 200 OK\r\nx-a: 1\r\nx-b: 2"

  test.each(["\r", "\n", "\0", "\r\r\n", "\n\r", "\r\n\n"])("as %j is refused wherever it stands", (stray) => {
    for (let at = 0; at <= whole.length; at++) {
      if (whole[at - 1] === "\r" && stray.startsWith("\n")) continue
      expectRefused(whole.slice(0, at) + stray + whole.slice(at))
    }
  })

  test("is refused in place of a whole one", () => {
    for (const end of ["\r", "\n"]) {
      expectRefused(`HTTP/1.1 200 OK${end}x-a: 1\r\nx-b: 2`)
      expectRefused(`HTTP/1.1 200 OK\r\nx-a: 1${end}x-b: 2`)
    }
  })
})
