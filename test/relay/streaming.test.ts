import { describe, expect, test } from "bun:test"
import { connect } from "node:net"
import { responseOf } from "../support/requests.ts"
import { bench, byCredential, inbound, streams } from "./support/bench.ts"
import { handTime } from "./support/time.ts"
import { event, toyCall } from "./support/toy.ts"
import type { Exchange } from "./support/upstream.ts"

const HELLO = event("hello")
const TEXT = event("text")
const END = event("end")
const OTHER = { retry: "other", budget: "fault" } as const
const cutBy = (why: string): string => event("error", { why })

const post = (url: string): Promise<Response> => fetch(url, { method: "POST", body: "hi" })

/** Reads a response as it comes. */
function follow(response: Response): { readonly text: string; readonly ended: Promise<string> } {
  const decoder = new TextDecoder()
  const seen = { text: "", ended: Promise.resolve("") }
  const reader = response.body?.getReader()
  seen.ended = (async () => {
    while (reader !== undefined) {
      const { done, value } = await reader.read()
      if (done) break
      seen.text += decoder.decode(value, { stream: true })
    }
    return seen.text
  })()
  return seen
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1)
}

describe("a committed stream", () => {
  test("that breaks mid-stream ends with the protocol's error event, a clean close and no retry", async () => {
    for (const how of ["reset", "close"] as const) {
      const b = bench({
        rules: { cut: OTHER },
        call: { sessions: ["s"] },
        script: async (exchange) => {
          await exchange.head(200)
          await exchange.chunk(HELLO + TEXT)
          await exchange.chunk("data: {open")
          await Bun.sleep(20)
          exchange[how]()
        },
      })
      const response = await post(b.url)
      expect(await response.text()).toBe(`${HELLO}${TEXT}data: {open\n\n${cutBy("cut")}`)
      await b.recorded(1)
      expect(b.upstream.exchanges).toHaveLength(1)
      expect(b.requests[0]).toMatchObject({ status: 200, end: "cut" })
      expect(b.attempts).toMatchObject([{ cause: "cut" }])
      // What the client has of the answer, only this credential can go on with.
      expect(b.pool.ends).toMatchObject([{ end: { served: false, bind: ["s"] } }])
      expect(b.pool.open).toBe(0)
    }
  })

  test("that ends without its last event ends with the protocol's error event", async () => {
    const b = bench({ script: streams(HELLO, TEXT) })
    expect(await (await post(b.url)).text()).toBe(HELLO + TEXT + cutBy("eof"))
    await b.recorded(1)
    expect(b.requests[0]).toMatchObject({ end: "cut" })
    expect(b.provider.judged.map(({ key }) => key)).toEqual(["cut"])
  })

  test("with an error event in it passes it on and has it judged for the credential's sake", async () => {
    const late = event("error", { code: "usage" })
    const cool = { do: "cool", scope: "all", until: 9, cause: "usage", quota: true } as const
    const b = bench({
      script: streams(TEXT, late),
      rules: { "event:usage": { act: cool, retry: "other", budget: "credential" } },
    })
    expect(await (await post(b.url)).text()).toBe(TEXT + late)
    await b.recorded(1)
    expect(b.pool.reports).toMatchObject([{ credential: 1, action: cool }])
    expect(b.attempts).toMatchObject([{ cause: "event:usage" }])
    expect(b.upstream.exchanges).toHaveLength(1)
    expect(b.pool.ends).toMatchObject([{ end: { served: false } }])
  })

  test("closes the client's side a second after the last event although the upstream lingers", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(TEXT + END)
        await Bun.sleep(30)
        await exchange.chunk("data: [DONE]\n\n")
      },
    })
    const from = performance.now()
    const response = await post(b.url)
    // What comes within the grace still passes.
    await expect(response.text()).resolves.toBe(`${TEXT}${END}data: [DONE]\n\n`)
    expect(performance.now() - from).toBeGreaterThan(900)
    expect(performance.now() - from).toBeLessThan(2_000)
    await b.recorded(1)
    expect(b.requests[0]).toMatchObject({ end: "complete" })
    await b.upstream.exchanges[0]?.closed
  })

  test("whose upstream falls silent ends after the idle timeout, between its bytes and in no total", async () => {
    const time = handTime()
    let upstream: Exchange | null = null
    const b = bench({
      time,
      settings: { idleTimeoutMs: 60_000, firstByteTimeoutMs: 60_000 },
      script: async (exchange) => {
        upstream = exchange
        await exchange.head(200)
        await exchange.chunk(TEXT)
      },
    })
    const seen = follow(await post(b.url))
    await until(() => seen.text !== "")
    for (let i = 0; i < 5; i++) {
      await time.pass(50_000)
      await (upstream as Exchange | null)?.chunk(TEXT)
      const want = i + 2
      await until(() => seen.text.split(TEXT).length === want + 1)
    }
    await time.pass(59_000)
    expect(b.requests).toHaveLength(0)
    await time.pass(1_500)
    expect((await seen.ended).endsWith(cutBy("timeout"))).toBe(true)
    await b.recorded(1)
    expect(b.requests[0]).toMatchObject({ end: "idle", status: 200 })
    expect(b.attempts).toMatchObject([{ cause: "timeout:idle" }])
    await (upstream as Exchange | null)?.closed
  })

  test("sends a keep-alive after 15 s of silence, between frames only, and counts it for no upstream activity", async () => {
    const time = handTime()
    let upstream: Exchange | null = null
    const b = bench({
      time,
      settings: { idleTimeoutMs: 40_000 },
      script: async (exchange) => {
        upstream = exchange
        await exchange.head(200)
        await exchange.chunk(TEXT)
      },
    })
    const chunk = (text: string): Promise<void> | undefined => (upstream as Exchange | null)?.chunk(text)
    const seen = follow(await post(b.url))
    await until(() => seen.text === TEXT)
    await time.pass(14_000)
    expect(seen.text).toBe(TEXT)
    await time.pass(1_500)
    await until(() => seen.text !== TEXT)
    expect(seen.text).toBe(`${TEXT}: keep-alive\n\n`)
    await chunk("data: {")
    await until(() => seen.text.endsWith("{"))
    await time.pass(20_000)
    expect(seen.text.endsWith("{")).toBe(true)
    await chunk('"kind":"text"}\n\n')
    await until(() => seen.text.endsWith("}\n\n"))
    await time.pass(15_500)
    await until(() => seen.text.endsWith("alive\n\n"))
    await time.pass(15_500)
    await time.pass(10_000)
    const text = await seen.ended
    expect(text).toBe(`${TEXT}: keep-alive\n\n${TEXT}: keep-alive\n\n: keep-alive\n\n${cutBy("timeout")}`)
  })

  test("passes each upstream chunk on before the next one comes", async () => {
    let next = (): void => undefined
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        for (let i = 0; i < 5; i++) {
          await exchange.chunk(TEXT)
          await new Promise<void>((resolve) => {
            next = resolve
          })
        }
        await exchange.chunk(END)
        await exchange.end()
      },
    })
    const seen = follow(await post(b.url))
    for (let i = 1; i <= 5; i++) {
      await until(() => seen.text === TEXT.repeat(i))
      next()
    }
    expect(await seen.ended).toBe(TEXT.repeat(5) + END)
  })

  test("holds the upstream back while its client reads nothing, then delivers all of it", async () => {
    const block = event("text", { fill: "x".repeat(64 * 1024) })
    const blocks = 2048
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        for (let i = 0; i < blocks; i++) await exchange.chunk(block)
        await exchange.chunk(END)
        await exchange.end()
      },
    })
    const url = new URL(b.url)
    const socket = connect({ host: url.hostname, port: Number(url.port) })
    let received = 0
    socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
    socket.pause()
    let before = -1
    await until(() => b.upstream.exchanges.length === 1)
    const taken = (): number => b.upstream.exchanges[0]?.taken ?? 0
    while (taken() !== before) {
      before = taken()
      await Bun.sleep(150)
    }
    // Kernel buffers on both connections (they grow with the load) and the server's own; of 128 MiB most is still at the upstream.
    expect(before).toBeLessThan(48 * 1024 * 1024)
    expect(b.relay.active).toBe(1)
    const closed = new Promise((resolve) => socket.on("close", resolve))
    socket.on("data", (bytes) => {
      received += bytes.length
    })
    socket.resume()
    await closed
    expect(received).toBeGreaterThan(blocks * block.length)
    expect(b.requests[0]).toMatchObject({ end: "complete", bytes: blocks * block.length + END.length })
  })

  test("does not blame the upstream for the time its client reads nothing", async () => {
    const time = handTime()
    const block = event("text", { fill: "x".repeat(64 * 1024) })
    const b = bench({
      time,
      settings: { idleTimeoutMs: 10_000 },
      script: async (exchange) => {
        await exchange.head(200)
        for (let i = 0; i < 512; i++) await exchange.chunk(block)
        await exchange.chunk(END)
        await exchange.end()
      },
    })
    const url = new URL(b.url)
    const socket = connect({ host: url.hostname, port: Number(url.port) })
    socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
    socket.pause()
    await Bun.sleep(300)
    await time.pass(60_000)
    expect(b.requests).toHaveLength(0)
    const closed = new Promise((resolve) => socket.on("close", resolve))
    socket.on("data", () => undefined)
    socket.resume()
    await closed
    expect(b.requests[0]).toMatchObject({ end: "complete" })
  })
})

describe("a stream that ends before its body is asked for", () => {
  test("still delivers what was held back and the protocol's last event", async () => {
    const b = bench({
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(HELLO + TEXT)
      },
    })
    const answer = await b.relay.serve(toyCall(), inbound(new AbortController().signal))
    b.relay.abortAll()
    expect(b.pool.open).toBe(0)
    expect(await (await responseOf(answer)).text()).toBe(HELLO + TEXT + cutBy("cut"))
    await b.upstream.exchanges[0]?.closed
  })

  test("and whose last event came with the first is closed after the grace, not after the idle timeout", async () => {
    const time = handTime()
    const b = bench({
      time,
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(TEXT + END)
      },
    })
    const seen = follow(await post(b.url))
    await until(() => seen.text === TEXT + END)
    await time.pass(1_500)
    expect(await seen.ended).toBe(TEXT + END)
    expect(b.requests[0]).toMatchObject({ end: "complete" })
    await b.upstream.exchanges[0]?.closed
  })

  test("lets go of the request's body when it is committed, and of its lease although nobody reads", async () => {
    const time = handTime()
    const judged: string[] = []
    const b = bench({
      time,
      settings: { idleTimeoutMs: 5_000 },
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(TEXT)
      },
      judge: (_, __, call) => {
        judged.push(call.text)
        return null
      },
      change: (toy) => ({ ...toy, trim: (call) => ({ ...call, text: "trimmed" }) }),
    })
    await b.relay.serve(toyCall(), inbound(new AbortController().signal))
    await time.pass(6_000)
    expect(b.pool.open).toBe(0)
    expect(judged).toEqual(["trimmed"])
    expect(b.requests[0]).toMatchObject({ end: "idle" })
  })
})

describe("the peek", () => {
  test("fails over when a 200 holds nothing, breaks, ends early or falls silent before anything meaningful", async () => {
    const cases = {
      empty: streams(),
      cut: streams(HELLO),
      broken: async (exchange: Exchange) => {
        await exchange.head(200)
        await exchange.chunk(HELLO)
        await Bun.sleep(10)
        exchange.reset()
      },
    }
    for (const [name, script] of Object.entries(cases)) {
      const b = bench({
        rules: { empty: OTHER, cut: OTHER },
        script: byCredential({ 1: [script], 2: [streams(TEXT, END)] }),
      })
      expect(await (await post(b.url)).text()).toBe(TEXT + END)
      await b.recorded(1)
      expect(b.attempts.map(({ cause }) => cause)).toEqual([name === "broken" ? "cut" : name, "ok"])
      expect(b.pool.open).toBe(0)
    }
  })

  test("commits a second after the first event, and the next event goes through", async () => {
    const time = handTime()
    let upstream: Exchange | null = null
    const b = bench({
      time,
      script: async (exchange) => {
        upstream = exchange
        await exchange.head(200)
        await exchange.chunk(HELLO)
      },
    })
    const response = post(b.url)
    await until(() => upstream !== null)
    await Bun.sleep(20)
    await time.pass(900)
    expect(await Promise.race([response.then(() => "committed"), Bun.sleep(20).then(() => "held")])).toBe("held")
    await time.pass(200)
    const seen = follow(await response)
    await until(() => seen.text === HELLO)
    // Too late to fail over.
    await (upstream as Exchange | null)?.chunk(TEXT)
    await (upstream as Exchange | null)?.chunk(END)
    await (upstream as Exchange | null)?.end()
    expect(await seen.ended).toBe(HELLO + TEXT + END)
  })

  test("commits after 16 handshake events and after 1 MiB", async () => {
    for (const held of [HELLO.repeat(16), event("hello", { fill: "x".repeat(1024 * 1024) })]) {
      const b = bench({
        time: handTime(),
        script: async (exchange) => {
          await exchange.head(200)
          await exchange.chunk(held)
        },
      })
      const seen = follow(await post(b.url))
      await until(() => seen.text === held)
      b.relay.abortAll()
      expect(await seen.ended).toBe(held + cutBy("cut"))
    }
  })

  test("goes on holding back below those limits", async () => {
    const b = bench({
      time: handTime(),
      script: async (exchange) => {
        await exchange.head(200)
        await exchange.chunk(HELLO.repeat(15))
      },
    })
    const response = post(b.url)
    expect(await Promise.race([response.then(() => "committed"), Bun.sleep(50).then(() => "held")])).toBe("held")
    b.relay.abortAll()
    expect((await response).status).toBe(503)
  })
})
