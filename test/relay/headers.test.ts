import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type HeaderRule, headerFilter } from "../../src/relay/headers.ts"

const TABLE: readonly HeaderRule[] = [
  { name: "x-kept", why: "a test" },
  { name: "x-renamed", why: "a test", as: "x-upstream-renamed" },
  { name: "x-family-*", why: "a test" },
  { name: "transfer-encoding", why: "a mistake in a table" },
  { name: "te", why: "a mistake in a table" },
]
const filter = headerFilter(TABLE)
const pass = (from: Record<string, string>): Readonly<Record<string, string>> => filter(new Headers(from).toJSON(), {})

describe("the header filter", () => {
  test("lets pass what the table names, and nothing else", () => {
    expect(
      pass({ "X-Kept": "1", "x-renamed": "2", "x-family-a": "3", "X-Family-B": "4", "x-familiar": "5", cookie: "6" }),
    ).toEqual({ "x-kept": "1", "x-upstream-renamed": "2", "x-family-a": "3", "x-family-b": "4" })
  })

  test("never lets a hop-by-hop header pass, even if a table names it", () => {
    expect(pass({ te: "trailers", "x-kept": "1" })).toEqual({ "x-kept": "1" })
    const all = headerFilter([{ name: "*", why: "a mistake" }])
    const headers = new Headers({
      "keep-alive": "1",
      "proxy-authorization": "x",
      upgrade: "h2c",
      te: "x",
      trailer: "y",
      a: "b",
    })
    expect(all(headers.toJSON(), {})).toEqual({ a: "b" })
  })

  test("drops what the Connection header names, prefixes included", () => {
    expect(
      pass({ connection: "close, X-Kept , x-family-a", "x-kept": "1", "x-family-a": "2", "x-family-b": "3" }),
    ).toEqual({
      "x-family-b": "3",
    })
  })

  test("puts them beside ours, which stay as they are, and replaces what the table lets replace", () => {
    const ours = { "content-type": "text/event-stream", "x-kept": "ours" }
    for (const theirs of [{ "x-kept": "theirs" }, { "x-kept": "theirs", "x-family-a": "1" }]) {
      const both = filter({ ...theirs, "content-type": "x" }, ours)
      expect(both).toEqual({ "content-type": "text/event-stream", ...theirs })
    }
    expect(filter({ "content-type": "x", "x-other": "y" }, ours)).toBe(ours)
    expect(ours).toEqual({ "content-type": "text/event-stream", "x-kept": "ours" })
  })

  test("gives out no name that is not in the table, whatever comes", () => {
    const name = fc.stringMatching(/^[a-z][a-z-]{0,12}$/)
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(name, fc.constantFrom("x-kept", "x-family-z")), fc.stringMatching(/^\w{0,8}$/)),
        (from) => {
          for (const key of Object.keys(pass(from))) {
            expect(key === "x-kept" || key === "x-upstream-renamed" || key.startsWith("x-family-")).toBe(true)
          }
        },
      ),
    )
  })
})
