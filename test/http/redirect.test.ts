import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { asLocalhost, parsePasted, parseReturned, redirectOrigin } from "../../src/http/redirect.ts"

const LOOPBACK = /^http:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/

describe("the way back", () => {
  test.each([
    [null, "http://localhost:8188"],
    ["", "http://localhost:8188"],
    ["localhost", "http://localhost"],
    ["LOCALHOST:9000", "http://localhost:9000"],
    ["127.0.0.1:9000", "http://127.0.0.1:9000"],
    ["127.1.2.3", "http://127.1.2.3"],
    ["[::1]:9000", "http://[::1]:9000"],
    ["0.0.0.0:8188", "http://localhost:8188"],
    ["10.0.0.1:8188", "http://localhost:8188"],
    ["pool.example", "http://localhost:8188"],
    ["localhost.", "http://localhost:8188"],
    ["localhost:99999", "http://localhost:8188"],
    ["localhost@evil.example", "http://localhost:8188"],
    ["localhost/evil", "http://localhost:8188"],
  ])("for Host %p is %p", (host, origin) => {
    expect(redirectOrigin(host, 8188)).toBe(origin)
  })

  test("is loopback, whatever the Host", () => {
    const hosts = fc.oneof(
      fc.string(),
      fc.domain(),
      fc.webAuthority({ withPort: true, withIPv4: true, withIPv6: true, withUserInfo: true }),
    )
    fc.assert(fc.property(hosts, (host) => expect(redirectOrigin(host, 8188)).toMatch(LOOPBACK)))
  })
})

describe("a loopback address by the name localhost", () => {
  test.each([
    ["127.0.0.1:8188", "http://localhost:8188"],
    ["[::1]:9000", "http://localhost:9000"],
    ["a@127.0.0.1:80", "http://localhost"],
    ["localhost:8188", null],
    ["pool.example", null],
    ["10.0.0.1:8188", null],
    ["127.0.0.1/evil", null],
    ["", null],
    [null, null],
  ])("of Host %p is %p", (host, origin) => {
    expect(asLocalhost(host)).toBe(origin)
  })
})

describe("what came back", () => {
  const parse = (query: string) => parseReturned(new URLSearchParams(query))

  test("is a code with its state, an error, or nothing usable", () => {
    expect(parse("code=a%2Fb&state=s&scope=x")).toEqual({ kind: "code", code: "a/b", state: "s" })
    expect(parse("error=access_denied&error_description=no+seat&state=s")).toEqual({
      kind: "error",
      error: "access_denied",
      description: "no seat",
      state: "s",
    })
    expect(parse("error=e&code=c&state=s").kind).toBe("error")
    for (const query of [
      "",
      "code=a",
      "state=s",
      "code=&state=s",
      "code=a&state=",
      "code=a&code=b&state=s",
      "error=a&error=b",
    ]) {
      expect(parse(query)).toEqual({ kind: "invalid" })
    }
  })

  test("is cut where an error is long", () => {
    const returned = parse(`error=${"e".repeat(5_000)}&error_description=${"d".repeat(5_000)}`)
    expect(returned).toMatchObject({ error: "e".repeat(300), description: "d".repeat(300) })
  })

  test("is the same pasted as an address or as a query", () => {
    const safe = fc.string({ minLength: 1, maxLength: 100 })
    fc.assert(
      fc.property(safe, safe, (code, state) => {
        const query = new URLSearchParams({ code, state }).toString()
        const expected = { kind: "code", code, state } as const
        for (const pasted of [query, `?${query}`, `http://localhost:1455/auth/callback?${query}`]) {
          expect(parsePasted(pasted)).toEqual(expected)
        }
      }),
    )
  })
})
