import { describe, expect, test } from "bun:test"
import zlib from "node:zlib"
import fc from "fast-check"
import { parseJson, readBody, saysJson } from "../../src/http/body.ts"
import { type ClientRequest, HttpError } from "../../src/http/ports.ts"
import { clientRequest } from "../support/requests.ts"

const LIMIT = 64 * 1024
const encoders = {
  gzip: zlib.gzipSync,
  "x-gzip": zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
  zstd: zlib.zstdCompressSync,
} as const

function request(
  body: Uint8Array<ArrayBuffer> | ReadableStream | null,
  headers: Record<string, string> = {},
): ClientRequest {
  const init = { method: "POST", headers }
  return clientRequest(body === null ? new Request("http://h/", init) : new Request("http://h/", { ...init, body }))
}

async function kindOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "none",
    (error) => (error instanceof HttpError ? error.fault.kind : String(error)),
  )
}

describe("a request body", () => {
  test("comes out as it went in, whatever the coding", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 2_000 }),
        fc.constantFrom(...(Object.keys(encoders) as (keyof typeof encoders)[])),
        async (bytes, coding) => {
          const encoded = new Uint8Array(encoders[coding](bytes))
          expect(await readBody(request(encoded, { "content-encoding": coding }), LIMIT)).toEqual(
            Buffer.from(bytes) as Uint8Array,
          )
        },
      ),
      { numRuns: 60 },
    )
  })

  test("may be bare deflate data under the name deflate", async () => {
    const bytes = new TextEncoder().encode("hello hello hello")
    const body = await readBody(request(new Uint8Array(zlib.deflateRawSync(bytes)), { "content-encoding": "deflate" }))
    expect(Buffer.from(body)).toEqual(Buffer.from(bytes))
  })

  test("may be empty, and may say identity", async () => {
    expect(await readBody(request(null))).toHaveLength(0)
    expect(await readBody(request(new Uint8Array([1]), { "content-encoding": " Identity " }))).toEqual(
      new Uint8Array([1]),
    )
  })

  test("is put together from chunks when its length is not declared", async () => {
    const parts = [new Uint8Array([1, 2]), new Uint8Array([3]), new Uint8Array([4, 5])]
    const stream = new ReadableStream({
      pull(controller) {
        const part = parts.shift()
        if (part === undefined) controller.close()
        else controller.enqueue(part)
      },
    })
    expect(await readBody(request(stream))).toEqual(new Uint8Array([1, 2, 3, 4, 5]))
  })

  test("is refused by its declared length before it is read", async () => {
    let pulled = 0
    const stream = new ReadableStream({ pull: () => void pulled++ }, { highWaterMark: 0 })
    const declared = request(stream, { "content-length": String(LIMIT + 1) })
    expect(await kindOf(readBody(declared, LIMIT))).toBe("too_large")
    expect(pulled).toBe(0)
  })

  test("of undeclared length is refused at the limit, and no more of it is asked for", async () => {
    let sent = 0
    let cancelled = false
    const stream = new ReadableStream({
      pull(controller) {
        sent += 16_384
        controller.enqueue(new Uint8Array(16_384))
      },
      cancel() {
        cancelled = true
      },
    })
    expect(await kindOf(readBody(request(stream), LIMIT))).toBe("too_large")
    expect(sent).toBeLessThan(LIMIT * 2)
    expect(cancelled).toBe(true)
  })

  test("may be exactly as large as the limit, decoded or not", async () => {
    const bytes = new Uint8Array(LIMIT)
    expect(await readBody(request(bytes), LIMIT)).toHaveLength(LIMIT)
    for (const [coding, encode] of Object.entries(encoders)) {
      const body = await readBody(request(new Uint8Array(encode(bytes)), { "content-encoding": coding }), LIMIT)
      expect(body).toHaveLength(LIMIT)
    }
  })

  test("that unfolds beyond the limit is refused without being unfolded (B16)", async () => {
    const bomb = Buffer.alloc(8 << 20)
    for (const [coding, encode] of Object.entries(encoders)) {
      const packed = new Uint8Array(encode(bomb))
      expect(packed.length * 500).toBeLessThan(bomb.length)
      expect(await kindOf(readBody(request(packed, { "content-encoding": coding }), LIMIT))).toBe("too_large")
    }
  })

  test("that is damaged, cut short or in another coding is a bad request (B16)", async () => {
    const text = Buffer.from("some text that is long enough to be cut ".repeat(50))
    for (const [coding, encode] of Object.entries(encoders)) {
      const packed = new Uint8Array(encode(text))
      const broken = [new Uint8Array(text), packed.slice(0, packed.length >> 1), packed.slice(0, -1)]
      for (const body of broken) {
        expect(await kindOf(readBody(request(body, { "content-encoding": coding }), LIMIT))).toBe("bad_request")
      }
    }
  })

  test("in an unknown coding, or in two at once, is refused as unsupported (B16)", async () => {
    for (const coding of ["compress", "gzip, gzip", "br,zstd", "constructor", "__proto__"]) {
      expect(await kindOf(readBody(request(new Uint8Array([1]), { "content-encoding": coding })))).toBe(
        "unsupported_media",
      )
    }
  })

  test("that breaks off is a bad request", async () => {
    const stream = new ReadableStream({
      pull(controller) {
        controller.error(new Error("connection lost"))
      },
    })
    expect(await kindOf(readBody(request(stream)))).toBe("bad_request")
  })
})

describe("JSON", () => {
  const kind = (bytes: Uint8Array) => kindOf((async () => parseJson(bytes))())
  const encode = (text: string) => new TextEncoder().encode(text)

  test("is refused in one way, however it is broken (B15)", async () => {
    const broken = ["", "{", "[1,]", "NaN", "{'a':1}", '{"a":1}}', "nul", '"\\ud800', "[".repeat(100_000)]
    for (const text of broken) expect(await kind(encode(text))).toBe("invalid_json")
    expect(await kind(new Uint8Array([0x22, 0xff, 0xfe, 0x22]))).toBe("invalid_json")
    expect(await kind(new Uint8Array([0xff, 0xfe, 0x5b, 0, 0x5d, 0]))).toBe("invalid_json")
  })

  test("may begin with a byte order mark, and nothing in it reaches a prototype", () => {
    expect(parseJson(new Uint8Array([0xef, 0xbb, 0xbf, 0x31]))).toBe(1)
    const value = parseJson(encode('{"__proto__":{"admin":true},"a":1e999}'))
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).admin).toBeUndefined()
  })
})

test.each([
  [null, true],
  ["application/json", true],
  ["Application/JSON; charset=utf-8", true],
  ["application/problem+json", true],
  ["text/plain", false],
  ["application/x-www-form-urlencoded", false],
  ["application/jsonp", false],
])("content type %p is JSON: %p", (type, is) => {
  expect(saysJson(new Headers(type === null ? {} : { "content-type": type }))).toBe(is)
})

test("bodies that are nothing but brackets are refused before they occupy the parser for seconds", () => {
  for (const text of ["[".repeat(15_000_000), '{"a":'.repeat(3_000_000)]) {
    const began = performance.now()
    expect(() => parseJson(new TextEncoder().encode(text))).toThrow("invalid JSON")
    expect(performance.now() - began).toBeLessThan(500)
  }
})
