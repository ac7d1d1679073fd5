import { describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Listener } from "../../src/http/listener.ts"
import { systemClock, systemTimers } from "../../src/observe/clock.ts"
import { Chunked } from "../../src/relay/http1/chunked.ts"
import { type Bench, bench, inbound } from "./support/bench.ts"
import { handTime } from "./support/time.ts"
import { event, silent, toyCall } from "./support/toy.ts"

/** Comes in many chunks, all of which are held back, since none of them is content. */
const HELLO = event("hello", { fill: "x".repeat(900_000) })
const TEXT = event("text")
const END = event("end")

/** Posts over a Unix socket, whose buffers hold some 200 KB whatever the reader does, and reads nothing until `read`. */
async function stalled(b: Bench): Promise<{ read(): Promise<string> } & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), "pollux-held-"))
  const unix = join(folder, "s")
  const listener = new Listener({
    clock: systemClock,
    timers: systemTimers,
    log: silent,
    refused: () => undefined,
    handle: (request) => b.relay.serve(toyCall(), inbound(request.signal)),
  })
  const server = Bun.listen({ unix, socket: listener.sockets })
  const socket = connect({ path: unix })
  socket.pause()
  socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
  while (b.pool.open === 0) await Bun.sleep(1)
  await Bun.sleep(200)
  return {
    read: () =>
      new Promise((resolve) => {
        let text = ""
        socket.on("data", (bytes) => {
          text += bytes.toString("latin1")
        })
        socket.on("close", () => resolve(text))
        socket.resume()
      }),
    async [Symbol.asyncDispose]() {
      socket.destroy()
      await listener.stop(true)
      server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The body of a raw answer in chunked coding, which must come to its end. */
function bodyOf(answer: string): string {
  const chunked = new Chunked()
  const body = chunked.push(Buffer.from(answer.slice(answer.indexOf("\r\n\r\n") + 4), "latin1"))
  expect(chunked.done).toBe(true)
  return Buffer.from(body ?? []).toString("latin1")
}

describe("what was held back before the commit", () => {
  test("reaches a client that is behind, whole, although the answer's end came with it and its grace is over", async () => {
    const time = handTime()
    const b = bench({
      time,
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(HELLO + TEXT + END)
        await exchange.end()
      },
    })
    await using client = await stalled(b)
    await time.pass(2_000)
    const body = bodyOf(await client.read())
    expect(body.length).toBe((HELLO + TEXT + END).length)
    expect(body.trimEnd()).toEndWith(END.trimEnd())
    expect(b.requests).toMatchObject([{ end: "complete", bytes: (HELLO + TEXT + END).length }])
  })

  test("comes before the error event when the relay gives the stream up", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(HELLO + TEXT)
      },
    })
    await using client = await stalled(b)
    b.relay.abortAll()
    const body = bodyOf(await client.read())
    expect(body.trimEnd()).toEndWith(`${TEXT}${event("error", { why: "cut" })}`.trimEnd())
    expect(body.length).toBe((HELLO + TEXT + event("error", { why: "cut" })).length)
    expect(b.requests).toMatchObject([{ end: "cut" }])
  })
})

test("the grace after the last event begins when the client has taken that", async () => {
  const time = handTime()
  // In one piece with the last event, and more than the socket holds: it is on its way while the client is behind.
  const large = event("text", { fill: "x".repeat(400_000) })
  const b = bench({
    time,
    settings: { idleTimeoutMs: 3_600_000 },
    script: async (exchange) => {
      await exchange.head(200)
      await exchange.chunk(TEXT)
      await Bun.sleep(50)
      await exchange.chunk(large + END)
    },
  })
  await using client = await stalled(b)
  await time.pass(30_000)
  expect(b.requests).toBeEmpty()
  const text = client.read()
  for (let i = 0; b.requests.length === 0 && i < 100; i++) {
    await Bun.sleep(10)
    await time.pass(500)
  }
  expect(bodyOf(await text).trimEnd()).toEndWith(END.trimEnd())
  expect(b.requests).toMatchObject([{ end: "complete", bytes: (TEXT + large + END).length }])
})
