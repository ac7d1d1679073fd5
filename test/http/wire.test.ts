import { describe, expect, test } from "bun:test"
import { Listener } from "../../src/http/listener.ts"
import { sendRaw } from "../support/raw.ts"
import { KEY } from "./support/config.ts"
import { bench } from "./support/edge.ts"

/** The edge with a server that writes down each time limit it is told. */
function limited() {
  const made = bench()
  const limits: number[] = []
  const send = async (path: string, init: RequestInit = {}, key = KEY) => {
    const headers = new Headers(init.headers)
    headers.set("x-goog-api-key", key)
    limits.length = 0
    const request = new Request(`http://localhost${path}`, { ...init, headers })
    const server = {
      requestIP: () => ({ address: "127.0.0.1" }),
      timeout: (_: Request, seconds: number) => void limits.push(seconds),
    }
    return made.edge.handle(request, server)
  }
  return { ...made, limits, send }
}

describe("the time that a connection is given", () => {
  test("ends with the request's last byte, and begins anew with the answer", async () => {
    const { send, limits } = limited()
    await send("/toy/v1/models")
    expect(limits).toEqual([0, 60])
  })

  test("ends for a relayed request when the relay says that it takes its time", async () => {
    const { send, limits, relay } = limited()
    const { answer } = relay
    for (const framing of ["content-length", "transfer-encoding"]) {
      const headers = { [framing]: framing === "content-length" ? "1" : "chunked" }
      relay.answer = answer
      await send("/toy/v1/run/m", { method: "POST", body: "x", headers })
      expect(limits).toEqual([60])
      relay.answer = (call, inbound) => {
        inbound.lasts()
        return answer(call, inbound)
      }
      await send("/toy/v1/run/m", { method: "POST", body: "x", headers })
      expect(limits).toEqual([0, 60])
    }
  })

  test("begins anew with an answer that was made without the relay", async () => {
    const { send, limits } = limited()
    await send("/toy/v1/echo", { method: "POST", body: "x", headers: { "content-length": "1" } })
    expect(limits).toEqual([60])
  })

  test("is not lengthened for who has no right key, nor before the body is there", async () => {
    const { send, limits } = limited()
    await send("/toy/v1/models", {}, "wrong")
    expect(limits).toEqual([])
    await send("/healthz")
    expect(limits).toEqual([])
    await send("/toy/v1/refuse", { method: "POST", body: "x", headers: { "content-length": "1" } })
    expect(limits).toEqual([])
  })

  test("has no end while a stream runs, and is set again when the recorder says that it has ended", async () => {
    const { send, limits, relay, edge } = limited()
    await send("/toy/v1/run/m?stream", { method: "POST" })
    expect(limits).toEqual([0])
    const inbound = relay.served[0]?.inbound
    if (inbound === undefined) throw new Error("the relay was not asked")
    edge.ended(inbound)
    expect(limits).toEqual([0, 60])
    await send("/toy/v1/run/m", { method: "POST" })
    expect(limits).toEqual([0, 60])
  })
})

// Slow headers are closed by the server's own limit of 12 s, which no option shortens; the suite of the executable waits for it.
test("a body that is not sent, or sent in drops, is given up (B8)", async () => {
  const log = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => log }
  const listener = new Listener(
    async (request) => {
      await request.arrayBuffer()
      return new Response("whole")
    },
    log,
    1,
  )
  const { port } = listener.listen("127.0.0.1", 0)
  const drip = Array.from({ length: 40 }, (_, n) => ({ after: n * 200, bytes: "a" }))
  const head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
  const answers = await Promise.all([[], drip].map((later) => sendRaw(head, { port, ms: 9_000, later })))
  for (const answer of answers) expect([answer.closed, answer.text]).toEqual([true, ""])
  await listener.stop(true)
}, 12_000)
