import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { checkBeginning } from "../../../src/http/http1/beginning.ts"
import { Refusal, type RefusalStatus } from "../../../src/http/http1/refusal.ts"
import { HEAD_BYTES, type RequestHead } from "../../../src/http/http1/request-head.ts"
import { refusalOf, someHeads } from "./support/heads.ts"

const BLANK_LINE = "\r\n\r\n"

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")

const refused = (text: string, status: RefusalStatus = 400): Refusal =>
  refusalOf(text, () => checkBeginning(latin1(text)), status)

describe("a head that has come in part", () => {
  test("may be any part of one that is in order", () => {
    const text = `POST /a?b=c HTTP/1.1\r\nHost: a\r\nX: \xe4\x80\r\nContent-Length: 3${BLANK_LINE}`
    for (let end = 0; end < text.length; end++) expect(() => checkBeginning(latin1(text.slice(0, end)))).not.toThrow()
  })

  test("may be a method in any case, which is looked at later", () => {
    for (const text of ["G", "g", "Z", "z", "A", "GETT", "x y z"]) {
      expect(() => checkBeginning(latin1(text))).not.toThrow()
    }
  })

  test.each([" ", "\n", "\t", "\0", "!", "/", "1", "@", "[", "`", "{", "\x80", "\xc3", "\xe4", "\xff"])(
    "is none where it begins with %j",
    (first) => {
      refused(first)
      refused(`${first}GET / HTTP/1.1\r\n`)
    },
  )

  test("that begins TLS says what to do instead", () => {
    const { message } = refused("\x16\x03\x01\x02\x00\x01")
    expect(message).toContain("http://")
    expect(refused("\x16").message).toBe(message)
    expect(refused("\x80\x2e\x01").message).not.toBe(message)
  })

  test.each([
    "\n",
    "GET / HTTP/1.1\n",
    "GET / HTTP/1.1\r\nHost: a\n",
    "GET / HTTP/1.1\r\n\n",
    "GET / HTTP/1.1\n\r",
    "G\n",
  ])("is refused at once where lines end as in %j, since its end would never be found", (text) => {
    refused(text)
  })

  test("may be as large as one can be, and no larger", () => {
    const line = "GET / HTTP/1.1\r\n"
    // With all but the last byte of its blank line.
    const large = line.padEnd(HEAD_BYTES + 3, "a")
    expect(() => checkBeginning(latin1(large))).not.toThrow()
    refused(`${large}a`, 431)
    refused(large.padEnd(10 * HEAD_BYTES, "a"), 431)
    expect(HEAD_BYTES).toBe(16 * 1024)
  })

  test("may be the half of an empty line too much", () => {
    expect(() => checkBeginning(latin1("\r"))).not.toThrow()
    refused("\ra")
  })

  test("that is too large with its first line alone is told so", () => {
    const large = "GET /".padEnd(HEAD_BYTES + 3, "a")
    expect(() => checkBeginning(latin1(large))).not.toThrow()
    refused(`${large}a`, 414)
    refused(`${large}aa\r\nHost: a\r\n`, 414)
    // The last byte that could end it, and the first that cannot.
    const first = "GET /".padEnd(HEAD_BYTES - 2, "a")
    refused(`${first}\r\nHost: a`, 431)
    refused(`${first}a\r\nHost: a`, 414)
  })

  test("and is whole, but too large, is refused like others", () => {
    refused(`GET / HTTP/1.1\r\n${"X: y\r\n".repeat(HEAD_BYTES / 6)}\r\n`, 431)
  })

  test("names nothing of what was sent in a refusal", () => {
    for (const text of ["\x00hidden", "GET /hidden\n"]) expect(refused(text).message).not.toContain("hidden")
    expect(refused(`GET /${"hidden".repeat(5_000)}`, 414).message).not.toContain("hidden")
  })
})

describe("a byte too much that could end a line", () => {
  /** What a connection makes of the bytes that lie there: a head, nothing for now, or nothing ever. */
  function outcome(bytes: Buffer): RequestHead | "refused" | "waits" {
    const end = bytes.indexOf(BLANK_LINE)
    try {
      if (end !== -1) return someHeads().read(bytes.toString("latin1", 0, end))
      checkBeginning(bytes)
      return "waits"
    } catch (error) {
      if (error instanceof Refusal) return "refused"
      throw error
    }
  }

  const head = "POST /a HTTP/1.1\r\nHost: a\r\nX-B: c\r\nContent-Length: 40"
  const wanted = outcome(latin1(head + BLANK_LINE))
  const behind = `GET /smuggled HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked${BLANK_LINE}`

  test.each(["\r", "\n", "\0"])("as %j never makes another head of one, nor of what is behind it", (stray) => {
    expect(wanted).toMatchObject({ method: "POST", framing: 40 })
    const text = `${head}${BLANK_LINE}`
    for (let at = 0; at <= text.length; at++) {
      for (const more of ["", behind]) {
        const got = outcome(latin1(text.slice(0, at) + stray + text.slice(at) + more))
        expect(["refused", "waits", wanted]).toContainEqual(got)
        if (at <= head.length && more !== "") expect(got).toBe("refused")
      }
    }
  })

  test("never does so wherever else one is left out or doubled", () => {
    const text = `${head}${BLANK_LINE}${behind}`
    const check = fc.property(fc.nat({ max: text.length - 1 }), fc.boolean(), (at, isDoubled) => {
      const byte = text.charAt(at)
      if (byte !== "\r" && byte !== "\n") return
      const changed = text.slice(0, at) + (isDoubled ? byte + byte : "") + text.slice(at + 1)
      const got = outcome(latin1(changed))
      expect(["refused", "waits", wanted]).toContainEqual(got)
    })
    fc.assert(check, { numRuns: 300 })
  })
})
