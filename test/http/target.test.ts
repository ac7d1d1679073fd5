import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { targetOf } from "../../src/http/target.ts"

describe("a target", () => {
  test.each([
    ["http://h/a/b?x=1", { path: "/a/b", query: "x=1" }],
    ["http://h/a?", { path: "/a", query: "" }],
    ["http://h/a?b?c=/d", { path: "/a", query: "b?c=/d" }],
    ["http://h", { path: "/", query: "" }],
    ["http://h/%2e%2e/%00", { path: "/%2e%2e/%00", query: "" }],
    ["http://[::1]:80/x", { path: "/x", query: "" }],
    ["http://h/a#b", null],
    ["a:443", null],
    ["/a", null],
    ["ftp://h/a", null],
  ])("of %p is %p", (url, target) => {
    expect(targetOf(url)).toEqual(target)
  })

  test("does not depend on the host", () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, validSchemes: ["http"] }), fc.domain(), (url, host) => {
        const moved = new URL(url)
        moved.host = host
        expect(targetOf(moved.href)).toEqual(targetOf(new URL(url).href))
      }),
    )
  })
})
