import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { HaltSignal } from "../../../src/observe/halt.ts"
import type { Outflow, Sink } from "../../../src/relay/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { pattern } from "./support/pattern.ts"
import { scenes } from "./support/scene.ts"
import { settled, soon } from "./support/soon.ts"

const newScene = scenes()

const KIB = 1024
const MIB = 1024 * KIB
const GET = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
const EVENTS = { "content-type": "text/event-stream" }

/** Writes pieces of these sizes, one after another, each in a buffer that is written over as soon as that is allowed. */
function pieces(sizes: readonly number[], isPatient: boolean): Outflow {
  return {
    async start(sink) {
      const buffer = Buffer.alloc(Math.max(1, ...sizes))
      let at = 0
      for (const [i, size] of sizes.entries()) {
        pattern(size, at).copy(buffer)
        at += size
        const taken = sink.write(buffer.subarray(0, size))
        buffer.fill(0xee)
        if (isPatient) await taken
        if (i % 3 === 2) await settled(1)
      }
      sink.close()
    },
  }
}

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0)

const SIZES: readonly (readonly [string, readonly number[]])[] = [
  ["nothing at all", []],
  ["an empty piece", [0]],
  ["empty pieces between others", [0, 5, 0, 0, 1, 0]],
  ["one byte", [1]],
  ["sizes of one to three digits", [1, 15, 16, 17, 255, 256, 257, 4_095]],
  ["pieces about 128 KiB", [128 * KIB - 1, 128 * KIB, 128 * KIB + 1, 3]],
  ["pieces about 256 KiB", [256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 3]],
  ["pieces that fill the buffer exactly", [128 * KIB, 128 * KIB - 14, 9, 128 * KIB]],
  ["a large piece among small ones", [9, 9, 5 * MIB, 9, 9]],
  ["very many small ones", Array.from({ length: 3_000 }, (_, i) => i % 90)],
]

describe("a stream", () => {
  test.each(SIZES)("of %s comes whole, each piece a chunk", async (_, sizes) => {
    for (const isPatient of [true, false]) {
      const scene = newScene(() => new Reply(200, EVENTS, pieces(sizes, isPatient)))
      const client = await scene.client()
      await client.send(GET + GET)
      for (const { body, chunks, fields } of await client.answers(2)) {
        expect(body.equals(pattern(sum(sizes)))).toBe(true)
        expect(chunks).toEqual([...sizes.filter((size) => size > 0), 0])
        expect(fields).toMatchObject({ ...EVENTS, "transfer-encoding": "chunked" })
      }
    }
  })

  test("of any pieces comes whole, also over HTTP/1.0 and out of a Response", async () => {
    const size = fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 5_000 }), fc.integer({ min: 120 * KIB, max: 300 * KIB }))
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 12 }), fc.boolean(), async (sizes, isPatient) => {
        const scene = newScene(({ target }) => {
          if (target.path === "/a") return new Reply(200, EVENTS, pieces(sizes, isPatient))
          let at = 0
          const left = sizes.values()
          const body = new ReadableStream<Uint8Array>({
            pull(controller) {
              const { done, value } = left.next()
              if (done) return controller.close()
              controller.enqueue(pattern(value, at))
              at += value
            },
          })
          return new Response(body, { headers: EVENTS })
        })
        for (const sent of [GET, GET.replace("1.1", "1.0"), GET.replace("/a", "/response")]) {
          const client = await scene.client()
          await client.send(sent)
          const [answer] = await client.answers(1)
          expect(answer?.body.equals(pattern(sum(sizes)))).toBe(true)
          client.leave()
        }
      }),
      { numRuns: 30 },
    )
  })

  test("goes out as it comes: what is written is not kept for more", async () => {
    let sink: Sink | null = null
    const start = (given: Sink): void => {
      sink = given
    }
    const scene = newScene(() => new Reply(200, EVENTS, { start }))
    const client = await scene.client()
    await client.send(GET)
    await client.sees("\r\n\r\n")
    const write = (text: string): unknown => sink?.write(Buffer.from(text))
    write("data: 1\n\n")
    await client.sees("9\r\ndata: 1\n\n\r\n")
    expect(scene.listener.active).toBe(1)
    write("data: 2\n\n")
    await client.sees("9\r\ndata: 2\n\n\r\n")
  })
})

describe("a client that reads slowly", () => {
  test("makes write give a promise, and gets every byte in order, though its buffer was written over", async () => {
    const size = 300 * KIB
    let writes = 0
    let waited = 0
    const start = async (sink: Sink): Promise<void> => {
      const buffer = Buffer.alloc(size)
      for (let i = 0; i < 120; i++) {
        pattern(size, i * size).copy(buffer)
        const taken = sink.write(buffer)
        buffer.fill(0xee)
        writes++
        if (!(taken instanceof Promise)) continue
        waited++
        await taken
      }
      sink.close()
    }
    const scene = newScene(() => new Reply(200, EVENTS, { start: (sink) => void start(sink) }))
    const client = await scene.client()
    client.socket.pause()
    await client.send(GET)
    await soon("the client is behind", () => waited === 1)
    const held = writes
    await settled(50)
    expect(writes).toBe(held)
    while (writes === held) await client.reads(client.size + MIB)
    client.socket.resume()
    const [answer] = await client.answers(1)
    expect(answer?.body.equals(pattern(120 * size))).toBe(true)
    expect(waited).toBeGreaterThan(1)
  })

  test("holds a Response's body back", async () => {
    let pulled = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          controller.enqueue(pattern(MIB, pulled * MIB))
          if (++pulled === 40) controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    const scene = newScene(() => new Response(body, { headers: EVENTS }))
    const client = await scene.client()
    client.socket.pause()
    await client.send(GET)
    await soon("some is pulled", () => pulled > 0)
    await settled(100)
    expect(pulled).toBeLessThan(30)
    client.socket.resume()
    expect((await client.answers(1))[0]?.body.equals(pattern(40 * MIB))).toBe(true)
  })

  test.each([
    ["bytes", () => pattern(24 * MIB), pattern(24 * MIB)],
    ["a text", () => "ä".repeat(12 * MIB), Buffer.from("ä".repeat(12 * MIB))],
  ])("gets a whole answer of %s, and the answers behind it", async (_, make, body) => {
    const paths: string[] = []
    const scene = newScene(({ target }) => {
      paths.push(target.path)
      return new Reply(200, {}, target.path === "/a" ? make() : "next")
    })
    const client = await scene.client()
    client.socket.pause()
    await client.send(GET + GET.replace("/a", "/b"))
    await scene.received(2 * GET.length)
    await settled()
    // Nothing is done for a client that does not take what it asked for.
    expect([scene.listener.active, paths]).toEqual([1, ["/a"]])
    client.socket.resume()
    const answers = await client.answers(2)
    expect(answers.map((answer) => answer.body.equals(body))).toEqual([true, false])
    expect(answers[1]?.body.toString()).toBe("next")
    expect(scene.listener.active).toBe(0)
  })

  test("gets all of an answer that ends the connection", async () => {
    const scene = newScene(() => new Reply(200, { connection: "close" }, pattern(24 * MIB)))
    const client = await scene.client()
    client.socket.pause()
    await client.send(GET)
    await scene.received(GET.length)
    await settled()
    client.socket.resume()
    await client.ends()
    expect((await client.answers(1))[0]?.body.equals(pattern(24 * MIB))).toBe(true)
    await scene.gone(1)
  })
})

describe("a client that leaves in the middle of a stream", () => {
  test.each([
    ["reads", false],
    ["does not read", true],
  ])("and %s: the request is aborted, who waits goes on, and nothing more is written", async (_, isPaused) => {
    const seen: { signal: HaltSignal | null; aborted: number; writes: number; ended: boolean } = {
      signal: null,
      aborted: 0,
      writes: 0,
      ended: false,
    }
    const start = async (sink: Sink, signal: HaltSignal): Promise<void> => {
      while (!signal.aborted) {
        await sink.write(Buffer.alloc(200 * KIB))
        seen.writes++
        await settled(1)
      }
      expect(sink.write(Buffer.from("late"))).toBe(0)
      sink.close()
      seen.ended = true
    }
    const scene = newScene(({ signal }) => {
      signal.addEventListener("abort", () => void seen.aborted++)
      return new Reply(200, EVENTS, { start: (sink) => void start(sink, signal) })
    })
    const client = await scene.client()
    if (isPaused) client.socket.pause()
    await client.send(GET)
    await soon("some is written", () => seen.writes > 2)
    await settled(50)
    client.leave()
    await soon("the stream ends", () => seen.ended)
    expect(seen.aborted).toBe(1)
    await scene.gone(1)
    expect([scene.listener.active, scene.logged]).toEqual([0, []])
  })

  test.each([
    ["while it waits for more", 0],
    ["while it is behind", 400],
  ])("cancels a Response's body, once: %s", async (_, count) => {
    let cancelled = 0
    let pulled = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulled++ < count) controller.enqueue(new Uint8Array(200 * KIB))
        else return new Promise(() => undefined)
      },
      cancel: () => void cancelled++,
    })
    const scene = newScene(() => new Response(body, { headers: EVENTS }))
    const client = await scene.client()
    if (count > 0) client.socket.pause()
    await client.send(GET)
    await soon("the body is read", () => pulled > 0)
    await settled(50)
    client.leave()
    await soon("the body is cancelled", () => cancelled > 0)
    await scene.gone(1)
    expect([cancelled, scene.listener.active, scene.logged]).toEqual([1, 0, []])
  })
})
