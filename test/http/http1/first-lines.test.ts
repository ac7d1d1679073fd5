import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { RequestHead, RequestHeads } from "../../../src/http/http1/request-head.ts"
import { heapBytes } from "../../support/heap.ts"
import { someHeads } from "./support/heads.ts"

describe("first lines that were met before", () => {
  const targets = ["/", "/a", "/A", "/a?b", "/a?", "/a/../b", "http://h/a", "/%61", "a", "/a#", `/${"a".repeat(300)}`]
  const texts = ["GET", "POST", "get", "GETT"].flatMap((method) =>
    targets.flatMap((target) =>
      ["1.1", "1.0", "2.0", "1.1 "].flatMap((version) =>
        ["", "\r\nhost: a", "\r\nhost: a\r\ncontent-length: 3", "\r\nx"].map(
          (fields) => `${method} ${target} HTTP/${version}${fields}`,
        ),
      ),
    ),
  )

  /** What becomes of a head. */
  function outcome(text: string, heads: RequestHeads): RequestHead | string {
    try {
      return heads.read(text)
    } catch (error) {
      return String(error)
    }
  }

  test("change nothing about heads that come later", () => {
    const anyOrder = fc.shuffledSubarray(texts, { minLength: texts.length })
    const check = fc.property(anyOrder, (all) => {
      const heads = someHeads()
      for (const text of all) expect(outcome(text, heads)).toEqual(outcome(text, someHeads()))
    })
    fc.assert(check, { numRuns: 20 })
  })

  test("are not taken apart again", () => {
    const heads = someHeads()
    for (const first of ["GET /a HTTP/1.1", "GET /%61/../b HTTP/1.0", "POST http://b/c HTTP/1.1"]) {
      const [one, two] = ["x", "y"].map((value) => heads.read(`${first}\r\nhost: a\r\nx: ${value}`))
      expect([one?.fields.x, two?.fields.x]).toEqual(["x", "y"])
      expect(two?.target).toBe(one?.target ?? { path: "", query: "" })
    }
  })

  test("keep nothing else of their heads", () => {
    const padding = "y".repeat(15_000)
    const kept: unknown[] = []
    const before = heapBytes()
    for (let round = 0; round < 20; round++) {
      const heads = someHeads()
      kept.push(heads)
      for (let i = 0; i < 500; i++) {
        const head = `GET /path/${i} HTTP/1.1\r\nhost: a\r\nx: ${padding}`
        heads.read(Buffer.from(head).toString("latin1"))
      }
    }
    // All the heads are 150 MB.
    expect(heapBytes() - before).toBeLessThan(75_000_000)
    expect(kept).toHaveLength(20)
  })

  test("are not mixed up, be they ever so many", () => {
    const heads = someHeads()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 700; i++) {
        const got = heads.read(`${i % 2 === 0 ? "GET" : "PUT"} /${i} HTTP/1.${i % 3 === 0 ? 0 : 1}\r\nhost: a`)
        expect([got.method, got.target.path, got.recent]).toEqual([i % 2 === 0 ? "GET" : "PUT", `/${i}`, i % 3 !== 0])
      }
    }
  })

  test("are kept without their queries, which may hold keys", () => {
    const heads = someHeads()
    for (const target of ["/a?key=hidden", "/a/../b?key=hidden", "http://b/c?key=hidden", "/a??hidden"]) {
      for (let i = 0; i < 2; i++) heads.read(`GET ${target} HTTP/1.1\r\nhost: a\r\nauthorization: hidden`)
    }
    heads.read("GET /plain HTTP/1.1\r\nhost: a")
    const kept = Bun.inspect(heads, { depth: 20 })
    expect(kept).toContain("/plain")
    expect(kept).not.toContain("hidden")
  })

  test("are few, and short", () => {
    const heads = someHeads()
    let most = 0
    for (let i = 1; i <= 4_000; i++) {
      heads.read(`GET /${i} HTTP/1.1\r\nhost: a`)
      if (i % 250 === 0) most = Math.max(most, Bun.inspect(heads, { depth: 20 }).split('path: "/').length)
    }
    expect(most).toBeWithin(250, 600)
    heads.read(`GET /${"long".repeat(1_000)} HTTP/1.1\r\nhost: a`)
    expect(Bun.inspect(heads, { depth: 20 })).not.toContain("longlong")
  })
})
