import { describe, expect, test } from "bun:test"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { bench } from "./support/bench.ts"
import { event } from "./support/toy.ts"
import type { Exchange } from "./support/upstream.ts"

const EVENTS = event("hello") + event("text", { text: "日本語😀" }) + event("end", { id: "resp-1" })

const CODINGS = [
  ["gzip", gzipSync],
  ["x-gzip", gzipSync],
  [" GZIP ", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
  ["zstd", zstdCompressSync],
] as const

const coded =
  (coding: string, bytes: Uint8Array, status = 200) =>
  async (exchange: Exchange): Promise<void> => {
    await exchange.write(
      `HTTP/1.1 ${status} X\r\ncontent-encoding: ${coding}\r\ncontent-length: ${bytes.length}\r\n\r\n`,
    )
    await exchange.write(bytes)
  }

describe("an upstream that codes its answers although nobody asked", () => {
  test.each(CODINGS)("with %s: streams are read", async (coding, code) => {
    const b = bench({ script: coded(coding, code(Buffer.from(EVENTS))) })
    const response = await fetch(b.url, { method: "POST", body: "hi" })
    expect(await response.text()).toBe(EVENTS)
    await b.recorded(1)
    expect(b.requests[0]).toMatchObject({ status: 200, end: "complete" })
    expect(response.headers.has("content-encoding")).toBe(false)
  })

  test.each(CODINGS)("with %s: whole answers are read", async (coding, code) => {
    const b = bench({ script: coded(coding, code(Buffer.from('{"a":1}'))) })
    const response = await fetch(`${b.url}?unary`, { method: "POST", body: "hi" })
    expect(await response.text()).toBe('{"a":1}')
  })

  test("refusals are read", async () => {
    const b = bench({ script: coded("gzip", gzipSync("slow down"), 429) })
    await (await fetch(b.url, { method: "POST", body: "hi" })).text()
    expect(b.provider.judged[0]?.failure).toMatchObject({ kind: "status", status: 429, body: "slow down" })
  })

  test("what is not what it says fails, and reaches no client", async () => {
    const b = bench({ script: coded("gzip", Buffer.from(EVENTS)) })
    expect((await fetch(b.url, { method: "POST", body: "hi" })).status).toBe(502)
    expect(b.provider.judged[0]?.failure.kind).toBe("cut")
  })
})
