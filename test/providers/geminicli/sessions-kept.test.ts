import { expect, test } from "bun:test"
import { RequestHeads } from "../../../src/http/http1/request-head.ts"
import { sessionHeaders } from "../../../src/providers/geminicli/request.ts"
import { Fields } from "../../../src/relay/http1/fields.ts"
import { KnownFields } from "../../../src/relay/http1/known-fields.ts"
import { heapBytes } from "../../support/heap.ts"

test("a session's name that is remembered keeps nothing else of its request's head, which holds a key", () => {
  const heads = new RequestHeads(new KnownFields())
  const kept: (readonly string[])[] = []
  const before = heapBytes()
  for (let i = 0; i < 10_000; i++) {
    const head = `GET / HTTP/1.1\r\nhost: a\r\nsession-id: session-number-${i}\r\nx: ${"y".repeat(15_000)}`
    kept.push(sessionHeaders(new Fields(heads.read(Buffer.from(head).toString("latin1")).fields)))
  }
  // All the heads are 150 MB.
  expect(heapBytes() - before).toBeLessThan(75_000_000)
  expect(kept.at(-1)).toEqual(["session-number-9999"])
})
