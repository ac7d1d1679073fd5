import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { isLoopback, isNetwork } from "../../src/config/address.ts"
import { distance, suggest } from "../../src/config/suggest.ts"

describe("the edit distance", () => {
  test("counts insertions, deletions, substitutions and swaps", () => {
    expect(distance("port", "port")).toBe(0)
    expect(distance("prot", "port")).toBe(1)
    expect(distance("pot", "port")).toBe(1)
    expect(distance("ports", "port")).toBe(1)
    expect(distance("part", "port")).toBe(1)
    expect(distance("", "port")).toBe(4)
  })

  test("is a symmetric measure, at most the longer length", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        expect(distance(a, b)).toBe(distance(b, a))
        expect(distance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
        expect(distance(a, b) === 0).toBe(a === b)
      }),
    )
  })
})

describe("a suggestion", () => {
  const names = ["listen_addr", "listen_port", "api_url", "models"]

  test.each([
    ["listen_prot", "listen_port"],
    ["Listen-Port", "listen_port"],
    ["custom_api_url", "api_url"],
    ["model", "models"],
  ])("for %p is %p", (given, meant) => {
    expect(suggest(given, names)).toBe(meant)
  })

  test("is not made where nothing is near", () => {
    for (const given of ["", "x", "database", "x".repeat(1000)]) expect(suggest(given, names)).toBeNull()
  })
})

describe("an address", () => {
  test("is loopback when only this machine can reach it", () => {
    for (const host of ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST", "x.localhost"]) {
      expect([host, isLoopback(host)]).toEqual([host, true])
    }
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "128.0.0.1", "127.0.0.1.example"]) {
      expect([host, isLoopback(host)]).toEqual([host, false])
    }
  })

  test("may be a range", () => {
    for (const text of ["10.0.0.0/8", "10.0.0.1", "::/0", "fd00::/8", "::1/128", "0.0.0.0/32"]) {
      expect([text, isNetwork(text)]).toEqual([text, true])
    }
    for (const text of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "example.com", "", "10.0.0/8"]) {
      expect([text, isNetwork(text)]).toEqual([text, false])
    }
  })
})
