import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { MOST_FIELDS } from "../../../src/http/http1/request-head.ts"
import { post, read, refused, refusedPost, someHeads } from "./support/heads.ts"

describe("the first line", () => {
  test.each(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"])(
    "%s is known",
    (method) => {
      expect(read(`${method} /a HTTP/1.1\r\nhost: b`)).toMatchObject({ method, target: { path: "/a", query: "" } })
    },
  )

  test.each([
    "get",
    "Get",
    "GETT",
    "XGET",
    "PRI",
    "FOO",
    "BREW",
    "P0ST",
    "!",
    "constructor",
    "__proto__",
    "n".repeat(32),
  ])("%s is no method", (method) => {
    refused(`${method} /a HTTP/1.1\r\nhost: b`, 501)
  })

  test.each<[string, boolean]>([
    ["HTTP/1.0", false],
    ["HTTP/1.1", true],
    ["HTTP/1.2", true],
    ["HTTP/1.9", true],
  ])("of %s is read", (version, recent) => {
    expect(read(`GET /a ${version}\r\nhost: b`)).toMatchObject({ method: "GET", recent })
  })

  test.each(["HTTP/0.9", "HTTP/0.1", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"])("of %s is of another version", (version) => {
    refused(`GET /a ${version}\r\nhost: b`, 505)
  })

  test("of a client that begins HTTP/2 at once is refused (RFC 9113 section 3.4)", () => {
    refused("PRI * HTTP/2.0", 505)
  })

  test.each([
    "",
    " ",
    "GET",
    "GET ",
    "GET /a",
    "GET /a ",
    "GET  HTTP/1.1",
    "GET HTTP/1.1",
    " GET /a HTTP/1.1",
    "GET  /a HTTP/1.1",
    "GET /a  HTTP/1.1",
    "GET /a HTTP/1.1 ",
    "GET\t/a HTTP/1.1",
    "GET /a\tHTTP/1.1",
    "GET /a\x0bHTTP/1.1",
    "GET /a\xa0HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET /a HTTP/1.1 HTTP/1.1",
    "GET /\xe4 HTTP/1.1",
    "GET /\x7f HTTP/1.1",
    "GET /\x01 HTTP/1.1",
    "GET /\0 HTTP/1.1",
    "GET /a http/1.1",
    "GET /a HTTP/1",
    "GET /a HTTP/11",
    "GET /a HTTP/1.",
    "GET /a HTTP/.1",
    "GET /a HTTP/1.10",
    "GET /a HTTP/01.1",
    "GET /a HTTP/1,1",
    "GET /a HTTP/1.x",
    "GET /a HTTP /1.1",
    "GET /a HTTPS/1.1",
    "GET /a HTCPCP/1.0",
    "G(T /a HTTP/1.1",
    "G\xcbT /a HTTP/1.1",
    `${"n".repeat(33)} /a HTTP/1.1`,
    "HTTP/1.1 200 OK",
    "host: b",
  ])("%j is none", (line) => {
    refused(line)
    refused(`${line}\r\nhost: b`)
  })
})

describe("Host", () => {
  test.each([
    "",
    "a",
    "a:80",
    "a:",
    ":80",
    "a.example.com:65535",
    "127.0.0.1:3000",
    "[::1]",
    "[::ffff:127.0.0.1]:80",
    "a_b.c-d~e",
    "%41",
    "A",
  ])("%j is one", (host) => {
    expect(read(`GET / HTTP/1.1\r\nHost: ${host}`).fields.host).toBe(host)
    expect(read(`GET / HTTP/1.0\r\nHost: ${host}`).fields.host).toBe(host)
  })

  test.each([
    "a b",
    "a, b",
    "a,b",
    "a/b",
    "a/",
    "a?b",
    "a#b",
    "u@a",
    "@",
    "a\\b",
    "a:b",
    "a:80:80",
    "a:123456",
    "a:-1",
    "[::1",
    "::1",
    "[]",
    "[::1]a",
    "[::1%25eth0]",
    "[g]",
    "a[::1]",
    "http://a",
    "a<b",
    'a"b',
    "\xe4",
    "a\xa0",
    "a\tb",
  ])("%j is none", (host) => {
    refused(`GET / HTTP/1.1\r\nHost: ${host}`)
    refused(`GET / HTTP/1.0\r\nHost: ${host}`)
  })

  test("comes once, in HTTP/1.0 at most once, however it is written", () => {
    refused("GET / HTTP/1.1")
    refused("GET / HTTP/1.1\r\nx-host: a")
    refused("GET http://a/ HTTP/1.1")
    expect(read("GET / HTTP/1.0").fields.host).toBeUndefined()
    for (const minor of [0, 1]) {
      for (const [one, two] of [
        ["a", "b"],
        ["a", "a"],
        ["", ""],
        ["a", ""],
        ["", "a"],
      ]) {
        refused(`GET / HTTP/1.${minor}\r\nHost: ${one}\r\nx: y\r\nhOST: ${two}`)
      }
    }
  })
})

describe("whether the connection lasts", () => {
  test.each<[string, readonly string[], boolean]>([
    ["1", [], true],
    ["1", ["keep-alive"], true],
    ["1", [""], true],
    ["1", ["close"], false],
    ["1", ["CLOSE"], false],
    ["1", ["upgrade, http2-settings"], true],
    ["1", ["x-close, disclose, close-x"], true],
    ["1", ["keep-alive ,\tClose"], false],
    ["1", ["keep-alive", "close"], false],
    ["1", ["close", "keep-alive"], false],
    ["0", [], false],
    ["0", [""], false],
    ["0", ["Keep-Alive"], true],
    ["0", ["x, keep-alive"], true],
    ["0", ["x-keep-alive"], false],
    ["0", ["keep-alive, close"], false],
    ["0", ["close"], false],
  ])("HTTP/1.%s, Connection %j: %p", (minor, options, lasts) => {
    const fields = options.map((option) => `Connection: ${option}`)
    expect(read(`GET / HTTP/1.${minor}`, "host: a", ...fields).lasts).toBe(lasts)
  })
})

describe("Expect", () => {
  test.each(["100-continue", "100-Continue", " 100-CONTINUE\t"])("%j is met", (value) => {
    expect(post(`expect: ${value}`, "content-length: 1").expects).toBe(true)
  })

  test("is not there in most requests", () => {
    expect(post("content-length: 1").expects).toBe(false)
  })

  test.each(["", "200-ok", "100-continue, x", "100-continue;q=1", "100", "x=100-continue"])(
    "%j is refused",
    (value) => {
      refused(`POST / HTTP/1.1\r\nhost: a\r\nExpect: ${value}`, 417)
    },
  )

  test("of two fields is refused", () => {
    refused("POST / HTTP/1.1\r\nhost: a\r\nExpect: 100-continue\r\nexpect: 100-continue", 417)
  })

  test("says nothing in HTTP/1.0 (RFC 9110 section 10.1.1)", () => {
    for (const value of ["100-continue", "x"]) expect(read("POST / HTTP/1.0", `expect: ${value}`).expects).toBe(false)
  })
})

describe("header fields", () => {
  test("are named in lower case and bare of white space; those that come again are joined", () => {
    expect({ ...post("X-A:1", "x-b: \t2 \xe43\t ", "x-C:", "X-a: 2", "x-b: \xa0").fields }).toEqual({
      host: "a",
      "x-a": "1, 2",
      "x-b": "2 \xe43, \xa0",
      "x-c": "",
    })
  })

  test("named as what every object has are fields like others", () => {
    const { fields } = post("__proto__: x", "constructor: y", "__PROTO__: z")
    expect(Object.entries(fields)).toEqual([
      ["host", "a"],
      ["__proto__", "x, z"],
      ["constructor", "y"],
    ])
    expect(post().fields.hasOwnProperty).toBeUndefined()
  })

  test.each(["", "x", ": y", " : y", "x : y", "x\t: y", " x: y", "\tx: y", "x y: z", "x(: y", "\xe4: y", '"x": y'])(
    "%j is none",
    (line) => {
      for (const more of [[line], ["x: y", line], [line, "x: y"]]) refusedPost(...more)
    },
  )

  test("hold no control characters but tabs, nor do their names", () => {
    for (let code = 0; code < 256; code++) {
      const char = String.fromCharCode(code)
      const isControl = (code < 0x20 && char !== "\t") || code === 0x7f
      if (isControl) {
        refusedPost(`x: a${char}b`)
        refusedPost(`x: ${char}`, "y: z")
        refusedPost(`x${char}: y`)
      } else expect(post(`x: a${char}b`).fields.x).toBe(`a${char}b`)
    }
  })

  test("are at most 200, whether they are the same or not", () => {
    for (const line of [(i: number) => `x-${i}: y`, () => "x: y"]) {
      const lines = Array.from({ length: MOST_FIELDS - 1 }, (_, i) => line(i))
      const text = `GET / HTTP/1.1\r\nhost: a\r\n${lines.join("\r\n")}`
      expect(Object.values(read(text).fields).join(", ").split(", ")).toHaveLength(MOST_FIELDS)
      refused(`${text}\r\nx: y`, 431)
    }
    expect(MOST_FIELDS).toBe(200)
  })
})

describe("half a line end", () => {
  const whole = "POST /a HTTP/1.1\r\nHost: a\r\nX-B: c, d\r\nContent-Length: 12"

  test.each(["\r", "\n", "\0", "\r\r\n", "\n\r", "\r\n\n"])("as %j is refused wherever it stands", (stray) => {
    for (let at = 0; at <= whole.length; at++) {
      refused(whole.slice(0, at) + stray + whole.slice(at))
    }
  })

  test("is refused in place of a whole one", () => {
    const lines = whole.split("\r\n")
    for (const end of ["\r", "\n", "\0", "\n\r"]) {
      for (let at = 1; at < lines.length; at++) {
        refused(lines.slice(0, at).join("\r\n") + end + lines.slice(at).join("\r\n"))
      }
    }
  })
})

describe("a well-formed head", () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/)
  const blank = fc.stringMatching(/^[ \t]{0,3}$/)
  const value = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[ -~\t\x80-\xff]{0,20}[!-~\x80-\xff])?)?$/)
  const ours = new Set(["host", "content-length", "transfer-encoding", "connection", "expect", "set-cookie"])
  const field = fc
    .record({ name: token, value, before: blank, after: blank })
    .filter(({ name }) => !ours.has(name.toLowerCase()))
  const scene = fc.record({
    method: fc.constantFrom("GET", "POST", "DELETE"),
    path: fc.stringMatching(/^(?:\/[\w!$&()*+,;=:@~-]{0,8}){1,4}$/),
    query: fc.stringMatching(/^[!"$-~]{0,12}$/),
    fields: fc.array(field, { maxLength: 12 }),
    length: fc.option(fc.nat(), { nil: null }),
  })

  test("is read as what it was written from", () => {
    const check = fc.property(scene, ({ method, path, query, fields, length }) => {
      const lines = fields.map(({ name, value, before, after }) => `${name}:${before}${value}${after}`)
      const framing = length === null ? [] : [`Content-Length: ${length}`]
      const head = read(`${method} ${path}${query === "" ? "" : `?${query}`} HTTP/1.1`, ...lines, "Host: a", ...framing)
      const wanted = new Map<string, string[]>([["host", ["a"]]])
      for (const { name, value } of fields) {
        const key = name.toLowerCase()
        wanted.set(key, [...(wanted.get(key) ?? []), value])
      }
      if (length !== null) wanted.set("content-length", [String(length)])
      expect(new Map(Object.entries(head.fields))).toEqual(new Map([...wanted].map(([k, all]) => [k, all.join(", ")])))
      expect(head).toMatchObject({ method, target: { path, query }, framing: length ?? 0, lasts: true, recent: true })
    })
    fc.assert(check, { numRuns: 300 })
  })

  test("is refused with one byte more that ends lines or texts, be it read by somebody who knows it", () => {
    const check = fc.property(scene, fc.constantFrom("\r", "\n", "\0"), fc.nat(), (parts, stray, place) => {
      const lines = parts.fields.map(({ name, value, before }) => `${name}:${before}${value}`)
      const text = [`${parts.method} ${parts.path} HTTP/1.1`, "host: a", ...lines].join("\r\n")
      const heads = someHeads()
      heads.read(text)
      const at = place % (text.length + 1)
      refused(text.slice(0, at) + stray + text.slice(at), 400, heads)
    })
    fc.assert(check, { numRuns: 1_000 })
  })
})
