import { afterEach, describe, expect, test } from "bun:test"
import { connect } from "node:net"
import { PortError } from "../../src/http/port-error.ts"
import { type RawOptions, sendRaw, statuses } from "../support/raw.ts"
import { until } from "../support/wait.ts"
import { KEY, testConfig } from "./support/config.ts"
import { type Bench, bench } from "./support/edge.ts"

const open: Bench[] = []

function started(): Bench & { readonly url: string; readonly port: number } {
  const made = bench()
  open.push(made)
  return { ...made, ...made.edge.listen() }
}

afterEach(async () => {
  for (const made of open.splice(0)) await made.edge.stop(true)
})

const HOST = "Host: localhost\r\n"
const AUTH = `x-goog-api-key: ${KEY}\r\n`

/** One raw request; waits until it is answered or closed. */
async function raw(port: number, head: string, options: Partial<RawOptions> = {}) {
  const answer = await sendRaw(head, { port, ms: 400, ...options })
  return { ...answer, codes: statuses(answer) }
}

describe("listening", () => {
  test("on a port that is taken fails with one line that says what to do (F21)", () => {
    const { port } = started()
    const second = bench({ config: testConfig({ listenPort: port }) })
    expect(() => second.edge.listen()).toThrow(PortError)
    try {
      second.edge.listen()
    } catch (error) {
      if (!(error instanceof PortError)) throw error
      expect(error.message).toBe(
        `127.0.0.1:${port} is taken by another program (EADDRINUSE): stop that one, or set another basic.listen_port`,
      )
      expect(error.exitCode).toBe(69)
    }
  })

  test("on an address that is not this machine's says so", () => {
    const elsewhere = bench({ config: testConfig({ listenAddr: "192.0.2.1" }) })
    expect(() => elsewhere.edge.listen()).toThrow("is not an address of this machine")
  })

  test("answers without naming the software", async () => {
    const { port } = started()
    const { text } = await raw(port, `GET /healthz HTTP/1.1\r\n${HOST}\r\n`, { until: /ok\n/ })
    expect(text).not.toMatch(/^(server|x-powered-by):/im)
  })
})

describe("bad input on the wire", () => {
  test.each(["Content-Length: 100\r\n", "Content-Length: 100\r\nContent-Encoding: gzip\r\n"])(
    "a body that the client does not finish is its own fault and no defect (%p)",
    async (lengths) => {
      const { port, access, logged } = started()
      await raw(port, `POST /toy/v1/run/m HTTP/1.1\r\n${HOST}${AUTH}${lengths}\r\nabc`, { ms: 100 })
      const entry = await until("the request is recorded", () => access[0])
      expect([entry.status, entry.fault]).toEqual([400, "bad_request"])
      expect(logged.map(({ event }) => event)).not.toContain("request failed by a defect")
    },
  )

  test.each([
    [
      "Content-Length and Transfer-Encoding",
      `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "an unknown transfer coding",
      `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "chunked not last",
      `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    ],
    ["two lengths", `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
    ["a signed length", `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Content-Length: +5\r\n\r\nabcde`],
    ["a negative length", `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Content-Length: -1\r\n\r\n`],
    ["a space before the colon", `GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n`],
    ["a folded header", `GET /healthz HTTP/1.1\r\n${HOST}X-A: b\r\n c\r\n\r\n`],
    ["a NUL in a header", `GET /healthz HTTP/1.1\r\n${HOST}X-A: b\0c\r\n\r\n`],
    ["no Host", "GET /healthz HTTP/1.1\r\n\r\n"],
    ["two Hosts", `GET /healthz HTTP/1.1\r\n${HOST}Host: other\r\n\r\n`],
    ["a Host that is a path", "GET /healthz HTTP/1.1\r\nHost: a/toy/v1\r\n\r\n"],
    ["a Host that is a query", "GET /healthz HTTP/1.1\r\nHost: a?key=b\r\n\r\n"],
    ["a Host with a user in it", "GET /healthz HTTP/1.1\r\nHost: u@h\r\n\r\n"],
    ["CONNECT", `CONNECT internal:443 HTTP/1.1\r\n${HOST}\r\n`],
    ["a fragment in the target", `GET /healthz#x HTTP/1.1\r\n${HOST}\r\n`],
    ["another version of HTTP", `GET /healthz HTTP/9.9\r\n${HOST}\r\n`],
    ["bare line feeds", "GET /healthz HTTP/1.1\nHost: localhost\n\n"],
    ["17 KiB of headers", `GET /healthz HTTP/1.1\r\n${HOST}X-A: ${"a".repeat(17_000)}\r\n\r\n`],
    ["250 headers", `GET /healthz HTTP/1.1\r\n${HOST}${"X-A: b\r\n".repeat(250)}\r\n`],
    ["a 17 KiB URL", `GET /${"a".repeat(17_000)} HTTP/1.1\r\n${HOST}\r\n`],
  ])("%s is refused (B1, B4 to B7)", async (_, head) => {
    const { port, edge } = started()
    const { codes, closed } = await raw(port, head, { until: /\r\n\r\n/ })
    if (codes.length === 0) expect(closed).toBe(true)
    else expect([400, 413, 414, 431, 501, 505]).toContain(codes[0] ?? 0)
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
    expect(edge.active()).toBe(0)
  })

  test("a broken chunk ends the connection, and nothing behind it runs (B2, B3)", async () => {
    const { port, access } = started()
    const head = `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Transfer-Encoding: chunked\r\n\r\n`
    const second = `GET /healthz HTTP/1.1\r\n${HOST}\r\n`
    for (const body of [
      "3\r\nabcXX0\r\n\r\n",
      "ffffffffffffffffff\r\nabc\r\n",
      "zz\r\nabc\r\n0\r\n\r\n",
      "3\r\nabc\r\n0\r\n\r\nXX",
    ]) {
      const { closed } = await raw(port, `${head}${body}${second}`)
      expect(closed).toBe(true)
    }
    expect(access.filter((entry) => entry.path === "/healthz")).toEqual([])
  })

  test("the absolute form and a foreign Host change neither path nor key (B6)", async () => {
    const { port } = started()
    const absolute = await raw(port, `GET http://evil.example/toy/v1/models HTTP/1.1\r\n${HOST}${AUTH}\r\n`, {
      until: /}/,
    })
    expect(absolute.text).toContain('{"key":"default"}')
    const foreign = await raw(port, `GET /toy/v1/models HTTP/1.1\r\nHost: api\r\n${AUTH}\r\n`, { until: /}/ })
    expect(foreign.text).toContain('{"key":"default"}')
    const bare = await raw(port, `GET http://localhost/healthz HTTP/1.1\r\nHost: x/toy/v1/models\r\n\r\n`, {
      until: /\r\n\r\n/,
    })
    expect(bare.codes).toEqual([400])
    expect(bare.text).toMatch(/^x-request-id: [\w-]{16}\r$/im)
  })

  test("HTTP/1.0 without Host is served, as simple health checks send it", async () => {
    const { port } = started()
    const { text } = await raw(port, "GET /healthz HTTP/1.0\r\n\r\n", { until: /ok\n/ })
    expect(text).toEndWith("ok\n")
  })

  test("an upgrade is not followed (B9)", async () => {
    const { port } = started()
    for (const upgrade of ["h2c", "websocket"]) {
      const head = `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Connection: Upgrade\r\nUpgrade: ${upgrade}\r\nContent-Length: 2\r\n\r\nhi`
      const { codes } = await raw(port, head, { until: /hi|HTTP\/1.1 4/ })
      expect([200, 400, 426]).toContain(codes[0] ?? 0)
      expect(codes).toHaveLength(1)
    }
    expect((await raw(port, "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")).codes).toEqual([400])
  })

  test("a wrong key with a large body is answered before the body is sent", async () => {
    const { port } = started()
    const head = (length: number) =>
      `POST /toy/v1/echo HTTP/1.1\r\n${HOST}x-goog-api-key: wrong\r\nContent-Length: ${length}\r\n\r\n`
    const { codes, ms } = await raw(port, head(20_000_000), { ms: 2_000, until: /unauthorized/ })
    expect(codes).toEqual([401])
    expect(ms).toBeLessThan(1_500)
    // So much is not worth being skipped.
    const { codes: huge, closed } = await raw(port, head(200_000_000), { ms: 2_000 })
    expect({ huge, closed }).toEqual({ huge: [401], closed: true })
  })

  test("a client that writes all of its body before it reads is told why it was turned away", async () => {
    const { port } = started()
    for (const [key, length, code] of [
      ["wrong", 10_000_000, 401],
      [KEY, 40_000_000, 413],
    ] as const) {
      const head = `POST /toy/v1/echo HTTP/1.1\r\n${HOST}x-goog-api-key: ${key}\r\nContent-Length: ${length}\r\n\r\n`
      const socket = connect(port, "127.0.0.1")
      socket.on("error", () => undefined)
      socket.pause()
      socket.write(head)
      const failed = await new Promise((resolve) => socket.write(Buffer.alloc(length), resolve))
      expect(failed ?? null).toBeNull()
      // What was skipped is no request of its own, and the connection goes on.
      socket.write(`GET /healthz HTTP/1.1\r\n${HOST}\r\n`)
      const text = await new Promise<string>((resolve) => {
        let got = ""
        socket.on("data", (bytes) => {
          got += bytes
          if (got.endsWith("ok\n")) resolve(got)
        })
        socket.resume()
      })
      socket.destroy()
      expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))).toEqual([code, 200])
    }
  })

  test("a body beyond the limit is answered in the API's shape, declared or not", async () => {
    const { port, url } = started()
    const declared = await raw(
      port,
      `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Content-Length: 99999999999\r\n\r\n`,
      { ms: 2_000 },
    )
    expect(declared.codes).toEqual([413])
    expect(declared.text).toContain('"toy":"too_large"')
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        sent += 1 << 20
        if (sent > 40 << 20) controller.close()
        else controller.enqueue(new Uint8Array(1 << 20))
      },
    })
    const chunked = await fetch(`${url}/toy/v1/echo`, { method: "POST", headers: { "x-goog-api-key": KEY }, body })
    expect(chunked.status).toBe(413)
    expect(await chunked.json()).toMatchObject({ toy: "too_large" })
  })
})

describe("a connection", () => {
  test("keeps its answers in order, and serves one after another", async () => {
    const { port } = started()
    const one = `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Content-Length: 3\r\n\r\none`
    const two = `POST /toy/v1/echo HTTP/1.1\r\n${HOST}${AUTH}Content-Length: 3\r\n\r\ntwo`
    const { text, codes } = await raw(port, one + two, { until: /two/ })
    expect(codes).toEqual([200, 200])
    expect(text.indexOf("one")).toBeLessThan(text.indexOf("two"))
  })

  test("is counted until its stream has ended, and a drain closes it to new requests", async () => {
    const { edge, relay, url } = started()
    const gate = Promise.withResolvers<void>()
    relay.answer = async () =>
      new Response(
        new ReadableStream({
          async start(controller) {
            controller.enqueue(new TextEncoder().encode("data: 1\n\n"))
            await gate.promise
            controller.enqueue(new TextEncoder().encode("data: 2\n\n"))
            controller.close()
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      )
    const stream = await fetch(`${url}/toy/v1/run/m?stream`, { method: "POST", headers: { "x-goog-api-key": KEY } })
    expect(edge.active()).toBe(1)
    edge.drain()
    expect((await fetch(`${url}/toy/v1/models`, { headers: { "x-goog-api-key": KEY } })).status).toBe(503)
    const stopped = edge.stop(false)
    gate.resolve()
    expect(await stream.text()).toBe("data: 1\n\ndata: 2\n\n")
    await stopped
    await until("nothing is open", () => edge.active() === 0)
    expect(fetch(`${url}/healthz`)).rejects.toThrow()
  })

  test("of a client that leaves aborts its request", async () => {
    const { relay, url } = started()
    let aborted = false
    relay.answer = (_, inbound) =>
      new Promise((resolve) => {
        inbound.signal.addEventListener("abort", () => {
          aborted = true
          resolve(new Response(null, { status: 499 }))
        })
      })
    const leaving = new AbortController()
    const init = { method: "POST", headers: { "x-goog-api-key": KEY }, signal: leaving.signal }
    const request = fetch(`${url}/toy/v1/run/m`, init).catch(() => null)
    await until("the relay has it", () => relay.served.length === 1)
    leaving.abort()
    await until("the relay knows", () => aborted)
    await request
  })
})
