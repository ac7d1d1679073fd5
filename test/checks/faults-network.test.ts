/** Faults on the way to the upstream, and clients that leave: F13 and F14. */
import { expect, test } from "bun:test"
import { once } from "node:events"
import { createServer, type Server } from "node:net"
import { createServer as createTlsServer } from "node:tls"
import { selfSigned } from "../relay/support/certificate.ts"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { type Extra, PROVIDERS, type Side } from "./support/side.ts"
import { startSide } from "./support/start.ts"

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the server has no port")
  return address.port
}

/** Ways in which an upstream cannot be reached: what the provider's table says, and the stage that the client is told. */
async function unreachable() {
  await using stack = new AsyncDisposableStack()
  const serve = (server: Server) => {
    stack.defer(() => {
      server.close()
    })
    return portOf(server)
  }
  const closed = createServer()
  const refused = await portOf(closed)
  closed.close()
  await once(closed, "close")
  const untrusted = await serve(createTlsServer(selfSigned()))
  const noTls = await serve(createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")))
  const proxy = await serve(
    createServer((socket) => {
      socket.on("error", () => {})
      socket.once("data", () => {
        socket.end(
          "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
        )
      })
    }),
  )
  const password = secret("proxy-password-4711")
  const ways: readonly { name: string; extra: Extra; stage: string }[] = [
    { name: "DNS failure", extra: { api_url: "https://nowhere.invalid/base" }, stage: "dns" },
    { name: "refused", extra: { api_url: `http://127.0.0.1:${refused}` }, stage: "connect" },
    { name: "a certificate nobody vouches for", extra: { api_url: `https://127.0.0.1:${untrusted}` }, stage: "tls" },
    { name: "no TLS at all", extra: { api_url: `https://127.0.0.1:${noTls}` }, stage: "tls" },
    {
      name: "proxy 407",
      extra: { api_url: "https://upstream.invalid", proxy: `http://user:${password}@127.0.0.1:${proxy}` },
      stage: "proxy",
    },
    {
      name: "proxy refused",
      extra: { api_url: "https://upstream.invalid", proxy: `http://user:${password}@127.0.0.1:${refused}` },
      stage: "proxy",
    },
  ]
  return { ways, password, servers: stack.move() }
}

for (const provider of PROVIDERS) {
  test.concurrent(`F13: ${provider}: DNS failure, refused, bad certificate, proxy 407: 502 naming the stage, no secret in it`, async () => {
    await using side = await startSide(provider)
    const { ways, password, servers } = await unreachable()
    await using _ = servers
    const { pollux } = side
    for (const { name, extra, stage } of ways) {
      await side.restart({ extra: { retry_max_times: 1, ...extra } })
      for (const stream of [false, true]) {
        const response = await (stream ? side.stream() : side.ask())
        const text = await response.text()
        expect({ name, status: response.status, text }).toEqual({
          name,
          status: 502,
          text: expect.stringMatching(new RegExp(`could not be reached.*\\b${stage}, `)),
        })
        expect(text).not.toContain(password)
        expect(text).not.toMatch(/https?:\/\/|\.invalid|127\.0\.0\.1/)
      }
      // It is nobody's fault in the pool.
      expect(await side.shown()).toMatchObject({ state: "ready", inFlight: 0 })
    }
    expect(pollux.leaks()).toEqual([])
    await side.restart({ extra: {} })
    expect((await side.ask()).status).toBe(200)
  })
}

/** Milliseconds from a client's leaving to the moment its upstream request was cancelled. */
async function leave(side: Side, stream: boolean, ready: () => boolean): Promise<number> {
  const { upstream } = side
  const leaving = new AbortController()
  const calls = upstream.calls().length
  const answer = stream ? side.stream(undefined, { signal: leaving.signal }) : side.ask("x", { signal: leaving.signal })
  const left = answer.then((response) => response.text()).catch((error: unknown) => error)
  await until("the request is upstream", () => upstream.calls().length > calls && ready())
  await Bun.sleep(60)
  const began = performance.now()
  leaving.abort()
  while (upstream.calls()[calls]?.aborted !== true) {
    if (performance.now() - began > 5_000) throw new Error("the upstream request was not cancelled")
    await Bun.sleep(1)
  }
  const took = performance.now() - began
  expect(await left).toBeInstanceOf(Error)
  return took
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
/** Other work of the machine can only delay; what a typical leaver causes is what is promised. */
const ROUNDS = 7

for (const provider of PROVIDERS) {
  for (const [phase, trouble, stream] of [
    ["before the headers", { silent: "hang" }, true],
    ["before a whole answer", { silent: "hang" }, false],
    ["mid-stream", { cut: "stall" }, true],
  ] as const) {
    test(`F14: ${provider}: a client that leaves ${phase} has the upstream cancelled within 100 ms, and no retry`, async () => {
      await using side = await startSide(provider, { accounts: 2 })
      const { upstream } = side
      const took: number[] = []
      for (let i = 0; i < ROUNDS; i++) {
        upstream.trouble(trouble, null)
        took.push(await leave(side, stream, () => true))
      }
      expect(median(took)).toBeLessThan(100)
      expect(upstream.calls()).toHaveLength(ROUNDS)
      await until("every slot is free", async () => (await side.list()).every(({ inFlight }) => inFlight === 0))
      expect((await side.list()).map(({ state, lastError }) => [state, lastError])).toEqual([
        ["ready", null],
        ["ready", null],
      ])
    })
  }

  test(`F14: ${provider}: a client that leaves while a retry is waited for causes none`, async () => {
    await using side = await startSide(provider)
    const { upstream } = side
    for (let i = 0; i < 5; i++) {
      upstream.trouble({ status: 503, body: { error: { message: "later" } } }, null)
      const leaving = new AbortController()
      const calls = upstream.calls().length
      const left = side.ask("x", { signal: leaving.signal }).catch((error: unknown) => error)
      await until("the first try has failed", () => upstream.calls()[calls]?.status === 503)
      leaving.abort()
      expect(await left).toBeInstanceOf(Error)
      // Some faults in a row would hold the credential back.
      await side.verb("clear", 0)
    }
    await Bun.sleep(600)
    expect(upstream.calls()).toHaveLength(5)
    expect((await side.shown()).inFlight).toBe(0)
  })

  test(`F14: ${provider}: a client that leaves the queue takes up no place, and nothing is sent for it`, async () => {
    await using side = await startSide(provider)
    const { upstream, pollux } = side
    const waiting = async () => {
      const text = await (await pollux.api("/metrics")).text()
      const line = text.split("\n").find((line) => /^pollux_\w*wait\w*\{/.test(line) && line.includes(provider))
      return Number(line?.split(" ").at(-1))
    }
    upstream.expire(0)
    upstream.tokenTrouble({ late: 2_500 })
    const leaving = new AbortController()
    const left = Array.from({ length: 20 }, () =>
      side.ask("leaver", { signal: leaving.signal }).catch((error: unknown) => error),
    )
    await until("they wait for the refresh", async () => (await waiting()) === 20)
    const calls = upstream.calls().length
    leaving.abort()
    await until("nobody waits", async () => (await waiting()) === 0, 1_000)
    for (const one of left) expect(await one).toBeInstanceOf(Error)
    const stayed = await side.ask("stayer")
    expect(stayed.status).toBe(200)
    expect(upstream.calls().length - calls).toBe(1)
    expect((await side.shown()).inFlight).toBe(0)
  })
}
