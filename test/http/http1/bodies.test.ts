import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Incoming } from "../../../src/http/http1/incoming.ts"
import { type Answered, HttpError } from "../../../src/http/ports.ts"
import { HIGH_WATER_BYTES } from "../../../src/relay/http1/body.ts"
import { ConnectionClosed } from "../../../src/relay/http1/connection.ts"
import type { ChunkReader } from "../../../src/relay/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { spanOf, viewOf } from "../../../src/relay/span.ts"
import { Gate } from "./support/gate.ts"
import { pattern } from "./support/pattern.ts"
import { scenes } from "./support/scene.ts"
import { settled, soon } from "./support/soon.ts"

const newScene = scenes()

const MIB = 1024 * 1024
const GET = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"

const ok = (): Answered => new Reply(200, {}, "ok")
const head = (...fields: readonly string[]): string => ["POST /a HTTP/1.1", "Host: x", ...fields, "", ""].join("\r\n")
const CHUNKED = head("Transfer-Encoding: chunked")
const sized = (body: string): string => `${head(`Content-Length: ${body.length}`)}${body}`

function readerOf({ body }: Incoming): ChunkReader {
  if (body === null) throw new Error("there is no body")
  return body.getReader()
}

async function readAll(request: Incoming): Promise<Buffer> {
  if (request.body === null) return Buffer.alloc(0)
  const reader = readerOf(request)
  const parts: Uint8Array[] = []
  // Copied, since the connection's buffer might be written over.
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) parts.push(Buffer.from(chunk.value))
  return Buffer.concat(parts)
}

async function echo(request: Incoming): Promise<Answered> {
  const { path } = request.target
  if (path === "/read") return new Reply(200, {}, await readAll(request))
  return new Reply(200, {}, viewOf(request.whole() ?? spanOf(await request.bytes())))
}

describe("a body", () => {
  const chunked = `${CHUNKED}5;name="v"\r\nhello\r\n00a \r\n, world!\r\n\r\n1\r\n.\r\n0\r\nTrailer: x\r\nT2:\r\n\r\n`

  test.each([
    ["with a length", sized("hello, world!\r\n."), "hello, world!\r\n."],
    ["in chunks", chunked, "hello, world!\r\n."],
  ])("%s may be cut at every place", async (_, sent, body) => {
    const scene = newScene(echo)
    const client = await scene.client()
    for (let cut = 1; cut < sent.length; cut++) {
      await client.send(sent.slice(0, cut))
      await scene.received(sent.length * (cut - 1) + cut)
      await client.send(sent.slice(cut))
      await scene.received(sent.length * cut)
    }
    const answers = await client.answers(sent.length - 1)
    expect(new Set(answers.map((answer) => answer.body.toString()))).toEqual(new Set([body]))
  })

  test("of any size and framing arrives whole, however it is cut and read", async () => {
    const request = fc.record({
      body: fc.uint8Array({ maxLength: 300 }),
      chunks: fc.option(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 })),
      path: fc.constantFrom("/read", "/bytes"),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat({ max: 1_500 }), { maxLength: 6 }),
        async (requests, places) => {
          const scene = newScene(echo)
          const client = await scene.client()
          const sent = Buffer.concat(requests.map(({ body, chunks, path }) => framed(path, Buffer.from(body), chunks)))
          const cuts = [...new Set(places.filter((place) => place > 0 && place < sent.length))].sort((a, b) => a - b)
          for (const [i, cut] of [...cuts, sent.length].entries()) {
            await client.send(sent.subarray(cuts[i - 1] ?? 0, cut))
            await scene.received(cut)
          }
          const answers = await client.answers(requests.length)
          expect(answers.map(({ body }) => body.toString("hex"))).toEqual(
            requests.map(({ body }) => Buffer.from(body).toString("hex")),
          )
          client.leave()
        },
      ),
      { numRuns: 60 },
    )
  })

  test("is there at once where it came with its head, and there is none without a framing", async () => {
    const seen: unknown[] = []
    const scene = newScene((request) => {
      const isThere = request.inflow !== null
      const hasBody = request.body !== null
      const whole = request.whole()
      seen.push(isThere, hasBody, whole === null ? null : viewOf(whole).length)
      return ok()
    })
    const client = await scene.client()
    await client.send(`${sized("abc")}${CHUNKED}2\r\nab\r\n0\r\n\r\n${GET}${sized("")}${sized("abcd").slice(0, -1)}`)
    await client.answers(5)
    expect(seen).toEqual([true, true, 3, true, true, 2, false, false, 0, false, false, 0, true, true, null])
  })
})

/** @param sizes of the chunks; the rest is one; null for a length */
function framed(path: string, body: Buffer, sizes: readonly number[] | null): Buffer {
  const first = (field: string): Buffer => Buffer.from(head(field).replace("/a", path))
  if (sizes === null) return Buffer.concat([first(`content-length: ${body.length}`), body])
  const parts = [first("transfer-encoding: chunked")]
  for (let at = 0, i = 0; at < body.length; i++) {
    const part = body.subarray(at, at + (sizes[i] ?? body.length))
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n"))
    at += part.length
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")])
}

describe("a body that nobody reads", () => {
  const large = Buffer.alloc(3 * MIB, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")

  test.each([
    ["that came with the head", Buffer.from(sized("GET / HTTP/1.1\r\n\r\n"))],
    ["that is large", framed("/a", large, null)],
    ["in large chunks", framed("/a", large, [MIB, 5])],
    ["in small chunks", framed("/a", large.subarray(0, 9_000), new Array(3_000).fill(3))],
  ])("%s is skipped, and the next request is served", async (_, sent) => {
    const paths: string[] = []
    const scene = newScene(({ target }) => {
      paths.push(target.path)
      return ok()
    })
    const client = await scene.client()
    await client.send(sent)
    await client.send(Buffer.concat([Buffer.from(GET), sent, Buffer.from(GET)]))
    const answers = await client.answers(4)
    expect(paths).toEqual(["/a", "/next", "/a", "/next"])
    expect(answers.every(({ fields }) => fields.connection === undefined)).toBe(true)
  })

  test("is skipped as well where its reader gave up in the middle", async () => {
    const scene = newScene(async (request) => {
      if (request.body === null) return ok()
      const reader = readerOf(request)
      await reader.read()
      await reader.cancel()
      expect((await reader.read()).done).toBe(true)
      return new Reply(413, {}, "enough")
    })
    const client = await scene.client()
    await client.send(framed("/a", large, null))
    await client.send(GET)
    expect((await client.answers(2)).map(({ status }) => status)).toEqual([413, 200])
  })

  test("is not served as requests where the connection ends with the answer", async () => {
    const scene = newScene(() => new Reply(413, { connection: "close" }, "no"))
    const client = await scene.client()
    await client.send(framed("/a", large, null))
    await client.send(GET)
    await client.ends()
    expect((await client.answers(1))[0]?.status).toBe(413)
    expect(scene.refused).toEqual([])
  })
})

const BROKEN: readonly [string, string, string][] = [
  ["no size", "\r\nabc\r\n", "a chunk has no size"],
  ["a size that is no number", "zz\r\n", "a chunk has no size"],
  ["a size with a sign", "+3\r\nabc\r\n", "a chunk has no size"],
  ["a size with a prefix", "0x3\r\nabc\r\n", "a chunk's size is no number"],
  ["a size too large", "fffffffffffffff\r\n", "a chunk's size is too large"],
  ["a size line that ends with a LF alone", "3;\nabc\r\n", "a chunk's line ends without a CR"],
  ["more data than its size says", "3\r\nabcd\r\n0\r\n\r\n", "a chunk does not end where its size says"],
  ["a LF alone behind its data", "3\r\nabc\n0\r\n\r\n", "a chunk does not end where its size says"],
  ["extensions without end", `3;${"x".repeat(17_000)}`, "the chunks' extensions or trailers are too large"],
  ["trailers without end", `0\r\nA: ${"x".repeat(17_000)}`, "the chunks' extensions or trailers are too large"],
]

describe.each(BROKEN)("chunks with %s", (_, broken, why) => {
  test.each([
    ["with the head", `${CHUNKED}${broken}${GET}`, ""],
    ["behind the head", CHUNKED, `${broken}${GET}`],
    ["behind good ones", `${CHUNKED}2\r\nok\r\n`, `2\r\nok\r\n${broken}${GET}`],
  ])(
    "that come %s: the reader hears why, the client is answered, nothing behind is served",
    async (_, first, second) => {
      const paths: string[] = []
      const scene = newScene(async (request) => {
        paths.push(request.target.path)
        const error = await readAll(request).then(String, (reason: unknown) => reason)
        if (!(error instanceof HttpError)) return new Reply(200, {}, `${error}`)
        return new Reply(400, {}, `${error.fault.kind}: ${error.message}`)
      })
      const client = await scene.client()
      await client.send(first)
      await scene.received(first.length)
      await client.send(second)
      await client.ends()
      const [answer] = await client.answers(1)
      expect(answer?.body.toString()).toBe(`bad_request: the request body is not valid: ${why}`)
      expect(answer?.fields.connection).toBe("close")
      expect([paths, scene.refused, scene.logged]).toEqual([["/a"], [], []])
    },
  )

  test("end a connection that skips them, without another word", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    await client.send(CHUNKED)
    await client.answers(1)
    await client.send(`${broken}${GET}`)
    await client.ends()
    await client.answers(1)
  })
})

test("what follows broken chunks is thrown away while the answer is awaited", async () => {
  const gate = new Gate()
  const scene = newScene(gate.handle)
  const client = await scene.client()
  await client.send(`${CHUNKED}zz\r\n`)
  await gate.has(1)
  const more = 4 * MIB
  const { received } = scene.counts
  void client.send(Buffer.alloc(more, GET))
  await scene.received(received + more)
  gate.open()
  await client.ends()
  await client.answers(1)
  expect(gate.asked).toEqual(["/a"])
})

describe("a client that leaves in the middle of its body", () => {
  test.each([
    ["with a length", head("Content-Length: 9"), "abc"],
    ["in chunks", CHUNKED, "9\r\nabc"],
  ])("%s: its reader hears of it behind what came, and the request is aborted", async (_, first, second) => {
    const heard: unknown[] = []
    const scene = newScene(async (request) => {
      const { signal } = request
      signal.addEventListener("abort", () => heard.push("abort"))
      const reader = readerOf(request)
      heard.push(Buffer.from((await reader.read()).value ?? []).toString())
      await reader.read().catch((error: unknown) => heard.push(error instanceof ConnectionClosed))
      await reader.read().catch((error: unknown) => heard.push(error instanceof ConnectionClosed))
      expect(request.signal.aborted).toBe(true)
      return ok()
    })
    const client = await scene.client()
    await client.send(first)
    await scene.received(first.length)
    await client.send(second)
    await soon("some of it is read", () => heard.length === 1)
    client.leave()
    await soon("the reader hears of it", () => heard.length === 4)
    expect(heard).toEqual(["abc", "abort", true, true])
    expect([scene.logged, scene.refused, scene.listener.active]).toEqual([[], [], 0])
  })

  test("has aborted a request whose signal is looked at later", async () => {
    const seen: boolean[] = []
    const scene = newScene(async (request) => {
      await request.bytes().catch(() => seen.push(request.signal.aborted))
      return ok()
    })
    const client = await scene.client()
    const sent = head("Content-Length: 9")
    await client.send(sent)
    await scene.received(sent.length)
    client.leave()
    await soon("the signal is looked at", () => seen.length === 1)
    expect(seen).toEqual([true])
  })
})

describe("a very large body", () => {
  const body = pattern(24 * MIB)

  test.each([
    ["with a length", null],
    ["in chunks", [MIB, 7, 3 * MIB, 65_536, 10 * MIB]],
  ])("%s is held back while nobody reads it, and then comes whole", async (_, sizes) => {
    const gate = Promise.withResolvers<void>()
    let equal = false
    const scene = newScene(async (request) => {
      if (request.body === null) return ok()
      await gate.promise
      equal = (await readAll(request)).equals(body)
      return ok()
    })
    const client = await scene.client()
    void client.send(framed("/a", body, sizes))
    await scene.received(HIGH_WATER_BYTES)
    await settled(50)
    // One packet more than fits, since packets are taken whole.
    expect(scene.counts.received).toBeLessThan(HIGH_WATER_BYTES + MIB)
    gate.resolve()
    await client.answers(1)
    expect(equal).toBe(true)
    await client.send(GET)
    await client.answers(2)
  })

  test("does not keep the next requests waiting, though its end was not read", async () => {
    const scene = newScene(async (request) => {
      if (request.body === null) return ok()
      await readerOf(request).read()
      return ok()
    })
    const client = await scene.client()
    void client.send(framed("/a", body, null))
    void client.send(GET)
    await client.answers(2)
  })

  test("that is all here holds nothing back: a client that leaves is noticed", async () => {
    let aborted = false
    const scene = newScene((request) => {
      request.signal.addEventListener("abort", () => {
        aborted = true
      })
      return new Promise(() => undefined)
    })
    const client = await scene.client()
    const sent = framed("/a", body.subarray(0, HIGH_WATER_BYTES), null)
    await client.send(sent)
    await scene.received(sent.length)
    client.leave()
    await soon("the request is aborted", () => aborted)
  })
})
