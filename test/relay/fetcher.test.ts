import { afterAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer as createHttpServer } from "node:http"
import { createSecureServer } from "node:http2"
import { createServer as createTcpServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createServer as createTlsServer } from "node:tls"
import { gzipSync } from "node:zlib"
import { Halt } from "../../src/observe/halt.ts"
import type { Log } from "../../src/observe/ports.ts"
import { createUpstreams, networkFailure, type Upstreams } from "../../src/relay/fetcher.ts"
import { MalformedMessage } from "../../src/relay/http1/field-lines.ts"
import { brokenAnswer } from "../../src/relay/network.ts"
import type { Answer, UpstreamInit } from "../../src/relay/ports.ts"
import { selfSigned } from "./support/certificate.ts"
import { startUpstream, type Upstream } from "./support/upstream.ts"

const MIB = 1024 * 1024
const WAYS = ["fetcher", "sender"] as const

const closers: (() => void)[] = []
afterAll(() => {
  for (const close of closers) close()
})

const init = (over: Partial<UpstreamInit> = {}): UpstreamInit => ({
  method: "POST",
  headers: { authorization: "Bearer secret-token" },
  body: "x",
  signal: new AbortController().signal,
  ...over,
})

function upstreamsWith(
  over: { proxy?: string | null; enableMultiplexing?: boolean } = {},
): Upstreams & { readonly warned: unknown[] } {
  const warned: unknown[] = []
  const ignore = (): void => undefined
  const log: Log = {
    trace: ignore,
    debug: ignore,
    info: ignore,
    warn: (event, fields) => void warned.push([event, fields]),
    error: ignore,
    child: () => log,
  }
  const current = { enableMultiplexing: false, proxy: null, ...over }
  return { ...createUpstreams({ settings: { current }, log }), warned }
}

function upstream(script: Parameters<typeof startUpstream>[0]): Upstream {
  const started = startUpstream(script)
  closers.push(started.stop)
  return started
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closers.push(() => server.close())
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Answers with a digest of the body, its length as declared, its transfer coding, and two headers; counts its connections. */
async function counting(): Promise<{ readonly url: string; readonly seen: { connections: number } }> {
  const seen = { connections: 0 }
  const server = createHttpServer(async (request, response) => {
    const hash = createHash("sha256")
    for await (const chunk of request) hash.update(chunk)
    const { headers } = request
    const told = ["content-length", "transfer-encoding", "x-a", "content-type"].map((name) => headers[name] ?? null)
    response.end(JSON.stringify([hash.digest("hex"), ...told]))
  }).on("connection", () => seen.connections++)
  return { url: `http://127.0.0.1:${await listening(server)}/`, seen }
}

/** Takes requests in full, and begins answers that do not end. */
async function openEnded(): Promise<string> {
  const server = createHttpServer(async (request, response) => {
    for await (const _ of request);
    response.write("open")
  })
  return `http://127.0.0.1:${await listening(server)}/`
}

/** A port on loopback that nothing listens on. */
async function deadPort(): Promise<number> {
  const server = createTcpServer()
  const port = await listening(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function failureOf(call: Promise<unknown>): Promise<{ readonly stage: string; readonly detail: string }> {
  try {
    await call
  } catch (error) {
    return networkFailure(error)
  }
  throw new Error("the call did not fail")
}

const echo = (exchange: Parameters<Parameters<typeof startUpstream>[0]>[0]): Promise<void> =>
  exchange.answer(
    200,
    JSON.stringify([exchange.method, exchange.path, exchange.headers.get("accept-encoding") ?? null]),
  )

const textOf = async (answer: Answer): Promise<string> => Buffer.from(await answer.bytes()).toString()

describe.each(WAYS)("the %s over plain HTTP", (way) => {
  test("follows no redirect", async () => {
    const { url } = upstream((exchange) => exchange.answer(302, "", { location: "http://127.0.0.1:1/" }))
    const answer = await upstreamsWith()[way](url, init())
    expect([answer.status, answer.ok, answer.headers.get("Location")]).toEqual([302, false, "http://127.0.0.1:1/"])
  })

  test("sends the headers that calls share, too", async () => {
    const { url } = upstream((exchange) => exchange.answer(200, JSON.stringify(Object.fromEntries(exchange.headers))))
    const answer = await upstreamsWith()[way](url, init({ headers: { "x-own": "1" }, shared: { "x-shared": "2" } }))
    expect(JSON.parse(await textOf(answer))).toMatchObject({ "x-own": "1", "x-shared": "2" })
  })

  test("takes no proxy from the environment", async () => {
    const { url } = upstream(echo)
    const before = process.env.HTTP_PROXY
    process.env.HTTP_PROXY = `http://127.0.0.1:${await deadPort()}`
    try {
      expect((await upstreamsWith()[way](url, init())).status).toBe(200)
    } finally {
      if (before === undefined) delete process.env.HTTP_PROXY
      else process.env.HTTP_PROXY = before
    }
  })

  test("goes through the configured proxy", async () => {
    const proxy = upstream(echo)
    const ask = upstreamsWith({ proxy: proxy.url })[way]
    const [method, path] = JSON.parse(await textOf(await ask("http://origin.invalid/path", init())))
    expect([method, path]).toEqual(["POST", "http://origin.invalid/path"])
  })

  test.each([30, 3 * MIB])(
    "sends a body in pieces as one, with its length: %d bytes between small ones",
    async (size) => {
      const { url } = await counting()
      const pieces = [new Uint8Array(10).fill(1), new Uint8Array(size).fill(2), new Uint8Array(1).fill(3)]
      for (const way of WAYS) {
        const answer = await upstreamsWith()[way](url, init({ body: pieces }))
        const whole = Buffer.concat(pieces)
        const digest = createHash("sha256").update(whole).digest("hex")
        expect(JSON.parse(Buffer.from(await answer.bytes()).toString()).slice(0, 2)).toEqual([
          digest,
          String(whole.length),
        ])
      }
    },
  )

  test("sends a large body as it is, with its length, and uses the connection again", async () => {
    const bytes = new Uint8Array(3 * MIB).map((_, i) => i % 251)
    const text = "ü".repeat(300_000)
    const { url, seen } = await counting()
    const ask = upstreamsWith()[way]
    for (const body of [bytes, text, bytes]) {
      const sent = createHash("sha256").update(body).digest("hex")
      const answer = await ask(url, init({ body, headers: { "x-a": "1", "content-type": "application/json" } }))
      expect(JSON.parse(await textOf(answer))).toEqual([
        sent,
        String(Buffer.byteLength(body)),
        null,
        "1",
        "application/json",
      ])
    }
    expect(seen.connections).toBe(1)
  })

  test("keeps no large body while its answer is open", async () => {
    const url = await openEnded()
    const ask = upstreamsWith()[way]
    const halt = new Halt()
    const open: Answer[] = []
    const call = async (): Promise<void> => {
      const body = new Uint8Array(8 * MIB).fill(1)
      open.push(await ask(url, init({ body, signal: halt })))
    }
    // The first ones pay for buffers that stay.
    for (let i = 0; i < 4; i++) await call()
    Bun.gc(true)
    const before = process.memoryUsage.rss()
    for (let i = 0; i < 16; i++) await call()
    Bun.gc(true)
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * MIB)
    expect(open.map(({ status }) => status)).toEqual(new Array(20).fill(200))
    halt.abort()
  })

  test("says once that HTTP/2 needs https, and serves", async () => {
    const { url } = upstream(echo)
    const { warned, ...ways } = upstreamsWith({ enableMultiplexing: true })
    for (let i = 0; i < 2; i++) expect((await ways[way](`${url}/x`, init())).status).toBe(200)
    expect(warned).toEqual([["http2_unavailable", { origin: url, reason: "HTTP/2 needs https", using: "HTTP/1.1" }]])
  })

  test("stops when its signal is aborted", async () => {
    const { url, exchanges } = upstream(() => undefined)
    const controller = new AbortController()
    const halt = new Halt()
    for (const [i, signal] of [controller.signal, halt].entries()) {
      const call = upstreamsWith()[way](url, init({ signal }))
      call.catch(() => undefined)
      while (exchanges.length <= i) await Bun.sleep(1)
      controller.abort()
      if (i > 0) halt.abort()
      await expect(call).rejects.toThrow("aborted")
      await exchanges[i]?.closed
    }
  })
})

describe("content codings", () => {
  test("are asked for and taken off by the fetcher; the sender asks for none", async () => {
    const zipped = gzipSync("plain text")
    const { url, exchanges } = upstream(async (exchange) => {
      await exchange.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${zipped.length}\r\n\r\n`)
      await exchange.write(zipped)
    })
    const { fetcher, sender } = upstreamsWith()
    expect(await (await fetcher(url, init())).text()).toBe("plain text")
    expect(exchanges[0]?.headers.get("accept-encoding")).toContain("gzip")
    expect(Buffer.from(await (await sender(url, init())).bytes())).toEqual(zipped)
    expect(exchanges[1]?.headers.has("accept-encoding")).toBe(false)
    expect(
      Buffer.from(await (await upstreamsWith({ proxy: url }).sender("http://o.invalid/", init())).bytes()),
    ).toEqual(zipped)
    expect(exchanges[2]?.headers.has("accept-encoding")).toBe(false)
  })
})

describe("a failed connection", () => {
  test("is told apart by its stage, and no detail holds a secret", async () => {
    const dead = await deadPort()
    const resets = upstream((exchange) => exchange.reset())
    const closes = upstream((exchange) => exchange.close())
    const refuses = upstream((exchange) => exchange.answer(407, "secret-page"))
    const plain = await listening(createTcpServer((socket) => socket.on("error", () => undefined).end("not TLS\r\n")))
    const key = "?key=secret-key"
    const user = "http://user:secret-password@"
    const cases: readonly [string, string | null, string][] = [
      [`http://no-such-host.invalid/${key}`, null, "dns"],
      [`http://127.0.0.1:${dead}/${key}`, null, "connect"],
      [`${resets.url}/${key}`, null, "reset"],
      [`${closes.url}/${key}`, null, "reset"],
      [`https://127.0.0.1:${plain}/${key}`, null, "tls"],
      [`http://origin.invalid/${key}`, `${user}127.0.0.1:${dead}`, "proxy"],
      [`https://origin.invalid/${key}`, `${user}127.0.0.1:${dead}`, "proxy"],
      [`http://origin.invalid/${key}`, `${user}no-such-host.invalid:1`, "proxy"],
      [`http://origin.invalid/${key}`, refuses.url.replace("http://", user), "proxy"],
      [`https://origin.invalid/${key}`, refuses.url.replace("http://", user), "proxy"],
    ]
    for (const way of WAYS)
      for (const [url, proxy, stage] of cases) {
        const failure = await failureOf(upstreamsWith({ proxy })[way](url, init()))
        expect({ way, url, proxy, stage: failure.stage }).toEqual({ way, url, proxy, stage })
        expect(JSON.stringify(failure)).not.toContain("secret")
        expect(failure.detail).toMatch(/^[\w /']+ \([\w ]+\)$/)
      }
  })

  test("of a kind never seen is unknown, by its class alone", () => {
    expect(networkFailure(new TypeError("http://x/?key=secret"))).toEqual({
      kind: "network",
      stage: "unknown",
      detail: "the request failed (TypeError)",
    })
    const malformed = new MalformedMessage("secret")
    expect(networkFailure(malformed).detail).toBe("the answer is not valid HTTP (MalformedMessage)")
    expect(brokenAnswer(malformed).detail).toBe("the answer is not valid HTTP (MalformedMessage)")
    expect(networkFailure("secret").detail).toBe("the request failed (unknown)")
    expect(networkFailure({ code: "secret value with spaces" }).detail).toBe("the request failed (unknown)")
    expect(networkFailure(Object.assign(new Error(), { code: "CERT_HAS_EXPIRED" })).stage).toBe("tls")
    expect(networkFailure(Object.assign(new Error(), { code: "EHOSTUNREACH" })).stage).toBe("connect")
  })

  test("inside an answer is told in words of our own, never the runtime's", () => {
    const broken = (code: string) => brokenAnswer(Object.assign(new Error("at http://x/?key=secret"), { code })).detail
    expect(broken("ECONNRESET")).toBe("the connection broke (ECONNRESET)")
    expect(broken("ZlibError")).toBe("the answer could not be read to its end (ZlibError)")
    expect(brokenAnswer("secret").detail).toBe("the answer could not be read to its end (unknown)")
  })
})

describe("over TLS", () => {
  const { cert, key } = selfSigned()
  const folder = mkdtempSync(join(tmpdir(), "pollux-fetcher-"))
  const roots = join(folder, "roots.pem")
  writeFileSync(roots, cert)
  closers.push(() => rmSync(folder, { recursive: true }))

  async function child(
    way: "fetcher" | "sender",
    args: readonly string[],
    trusted = true,
  ): Promise<{ answers: string[][]; warned: unknown[] }> {
    const process_ = Bun.spawn([process.execPath, join(import.meta.dir, "support/fetch-child.ts"), way, ...args], {
      env: { PATH: process.env.PATH ?? "", ...(trusted && { NODE_EXTRA_CA_CERTS: roots }) },
    })
    return JSON.parse(await new Response(process_.stdout).text())
  }

  async function startBoth(): Promise<string> {
    const server = createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
      response.end(request.httpVersion)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    closers.push(() => server.close())
    const address = server.address()
    return `https://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`
  }

  /** HTTP/1.1 only, counting its connections; answers after a moment, so that requests overlap. */
  async function startOld(): Promise<{ url: string; connections(): number }> {
    let connections = 0
    const server = createTlsServer({ cert, key }, (socket) => {
      connections++
      socket.on("error", () => undefined)
      socket.on("data", () => {
        setTimeout(() => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n1.1"), 200)
      })
    })
    const port = await listening(server)
    return { url: `https://127.0.0.1:${port}/`, connections: () => connections }
  }

  describe.each(WAYS)("the %s", (way) => {
    test("speaks HTTP/2 when multiplexing is on, HTTP/1.1 when it is off", async () => {
      const url = await startBoth()
      expect(await child(way, ["h2", "3", "1", url])).toEqual({ answers: [["2.0"]], warned: [] })
      expect(await child(way, ["h1", "1", "1", url])).toEqual({ answers: [["1.1"]], warned: [] })
    })

    test("falls back to HTTP/1.1 where the server has no other, and says so once", async () => {
      const old = await startOld()
      expect(await child(way, ["h2", "3", "2", old.url])).toEqual({
        answers: [["1.1"], ["1.1"]],
        warned: [["http2_unavailable", "the server does not offer it"]],
      })
    })

    test("asks for HTTP/2 again after an hour, and when the configuration is loaded anew", async () => {
      for (const between of ["hour", "reload"]) {
        const old = await startOld()
        expect(await child(way, ["h2", "3", "2", old.url, between])).toEqual({
          answers: [["1.1"], ["1.1"]],
          warned: [
            ["http2_unavailable", "the server does not offer it"],
            ["http2_unavailable", "the server does not offer it"],
          ],
        })
      }
    })

    test("refuses a certificate that nothing vouches for, as a fault of the TLS stage", async () => {
      const url = await startBoth()
      for (const mode of ["h1", "h2"]) {
        const { answers } = await child(way, [mode, "1", "1", url], false)
        expect(JSON.parse(answers[0]?.[0] ?? "")).toMatchObject({ kind: "network", stage: "tls" })
      }
    })
  })

  test("the sender keeps more than 64 HTTP/1.1 connections for the next burst", async () => {
    const old = await startOld()
    const { answers } = await child("sender", ["h1", "150", "3", old.url])
    expect(answers).toEqual([["1.1"], ["1.1"], ["1.1"]])
    expect(old.connections()).toBe(150)
  })
})
