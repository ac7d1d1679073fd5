import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Target } from "../../../src/http/target.ts"
import { read, refused } from "./support/heads.ts"

const targetOf = (raw: string): Target => read(`GET ${raw} HTTP/1.1`, "host: a").target

describe("the target", () => {
  test.each<[string, string, string]>([
    ["/", "/", ""],
    ["/?", "/", ""],
    ["/a/b?x=1", "/a/b", "x=1"],
    ["/a?b?c=/../d", "/a", "b?c=/../d"],
    ["//a//b/", "//a//b/", ""],
    ["/v1beta/models/m:generateContent", "/v1beta/models/m:generateContent", ""],
    ["/a%20b%00%2f%5c", "/a%20b%00%2f%5c", ""],
    ["/~a/b.c/d..e/f.", "/~a/b.c/d..e/f.", ""],
    ["/http://b/c", "/http://b/c", ""],
    ["//b/c", "//b/c", ""],
    ["/@b:80/c", "/@b:80/c", ""],
  ])("%s is %s with the query %j", (raw, path, query) => {
    expect(targetOf(raw)).toEqual({ path, query })
  })

  test.each<[string, string]>([
    ["/a/./b", "/a/b"],
    ["/a/../b", "/b"],
    ["/a/..", "/"],
    ["/a/b/.", "/a/b/"],
    ["/../../b", "/b"],
    ["/..", "/"],
    ["//../b", "/b"],
    ["/a/%2e%2e/b", "/b"],
    ["/a/%2E./b", "/b"],
    ["/a/%2e/b", "/a/b"],
    ["/a\\..\\b", "/b"],
    ["/a/.b/...", "/a/.b/..."],
    ["/a/..%2fb", "/a/..%2fb"],
    ["/a/..;/b", "/a/..;/b"],
  ])("%s is taken for %s, whoever else reads it", (raw, path) => {
    expect(targetOf(raw)).toEqual({ path, query: "" })
    expect(targetOf(`http://b${raw}?x=/../y`)).toEqual({ path, query: "x=/../y" })
  })

  test.each<[string, string, string]>([
    ["http://b", "/", ""],
    ["http://b/", "/", ""],
    ["http://b/c/d?e", "/c/d", "e"],
    ["HTTP://B:80/c", "/c", ""],
    ["https://[::1]:443/c", "/c", ""],
    ["http://b?x=/c", "/", "x=/c"],
    ["http://b//c", "//c", ""],
    ["http://b/http://d/e", "/http://d/e", ""],
  ])("%s is a path with a host in front, which decides nothing", (raw, path, query) => {
    expect(targetOf(raw)).toEqual({ path, query })
  })

  test.each([
    "*",
    "a",
    "a/b",
    "?x=1",
    "a:443",
    "localhost",
    "/a#b",
    "/a?b#c",
    "/#",
    "http://b/#",
    "http://b#/c",
    "http:",
    "http:/a",
    "http://",
    "http:///a",
    "http://?a",
    "http://u@b/c",
    "http://u:p@b/c",
    "http://@/c",
    "http://a\\b/c",
    "http://a\\/c",
    "http://[/c",
    "http://a,b/c",
    "http://a:99999999/c",
    "http://<>/c",
    "ftp://b/c",
    "httpss://b/c",
    "ws://b/c",
    "file:///etc/passwd",
    "xhttp://b/c",
  ])("%s is none", (raw) => {
    for (const method of ["GET", "OPTIONS", "CONNECT"]) refused(`${method} ${raw} HTTP/1.1\r\nhost: a`)
  })

  test("is what the rules for URLs make of it, whatever it is written with (WHATWG URL)", () => {
    const piece = fc.oneof(
      { weight: 3, arbitrary: fc.stringMatching(/^[!-~]{0,6}$/) },
      {
        weight: 4,
        arbitrary: fc.constantFrom("/", "/.", "/..", "%2e", "%2E", "..", "\\", "a", "?", "//", ":", "@", ";"),
      },
    )
    const raw = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`.replaceAll("#", "a"))
    const check = fc.property(raw, fc.constantFrom("", "http://b", "https://[::1]:8"), (origin, prefix) => {
      const { path, query } = targetOf(prefix + origin)
      const { pathname, search } = new URL(`http://localhost${origin}`)
      expect(path).toBe(pathname)
      expect([...new URLSearchParams(`?${query}`)]).toEqual([...new URLSearchParams(search)])
      expect(path).not.toMatch(/\\|[?#]|\/\.\.?(?:\/|$)/)
    })
    fc.assert(check, { numRuns: 1_000 })
  })
})
