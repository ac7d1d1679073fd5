import { describe, expect, test } from "bun:test"
import { isExposed, parseServer, serverUrl } from "../../src/cli/server-address.ts"

describe("a server is reached from its own machine", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["127.0.0.1", "http://127.0.0.1:8188"],
    ["0.0.0.0", "http://127.0.0.1:8188"],
    ["::", "http://[::1]:8188"],
    ["[::]", "http://[::1]:8188"],
    ["::1", "http://[::1]:8188"],
    ["192.0.2.7", "http://192.0.2.7:8188"],
    ["localhost", "http://localhost:8188"],
  ]
  for (const [address, url] of cases)
    test(`listening on ${address}: ${url}`, () => expect(serverUrl(address, 8188)).toBe(url))
})

describe("--server takes", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["http://127.0.0.1:8188", "http://127.0.0.1:8188"],
    ["http://127.0.0.1:8188/", "http://127.0.0.1:8188"],
    ["localhost:8188", "http://localhost:8188"],
    ["[::1]:8188", "http://[::1]:8188"],
    ["https://pollux.example.com/pool/", "https://pollux.example.com/pool"],
  ]
  for (const [text, url] of cases) test(text, () => expect(parseServer(text)).toEqual({ ok: true, url }))
})

describe("--server refuses", () => {
  for (const text of ["", "ftp://x", "http://user:word@x", "http://x/?key=1", "http://x/#y", "http://", "a b"]) {
    test(`"${text}"`, () => {
      const read = parseServer(text)
      expect(read.ok ? "" : read.problem).toContain("--server: expected an address like")
    })
  }
})

test("a key is exposed on plain HTTP beyond this machine, and nowhere else", () => {
  expect(isExposed("http://192.0.2.7:8188")).toBe(true)
  expect(isExposed("http://pollux.example.com")).toBe(true)
  expect(isExposed("http://127.0.0.1:8188")).toBe(false)
  expect(isExposed("http://[::1]:8188")).toBe(false)
  expect(isExposed("https://pollux.example.com")).toBe(false)
})
