import { afterAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { networkInterfaces, tmpdir } from "node:os"
import { join } from "node:path"
import { createServer } from "node:tls"
import { type Certificate, selfSigned } from "../support/certificate.ts"
import { asking, bench, failure } from "./support/bench.ts"
import { authority, type Leaf } from "./support/certificates.ts"
import { type ClientHello, readClientHello } from "./support/client-hello.ts"
import { answer, listen, RequestReader } from "./support/server.ts"
import type { TlsOutcome } from "./support/tls-child.ts"

const { client: newClient, server: newServer } = bench()

const MIB = 1024 * 1024
const LOOPBACK = [127, 0, 0, 1]
const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"))

const folder = mkdtempSync(join(tmpdir(), "pollux-tls-"))
const closers: (() => void)[] = [() => rmSync(folder, { recursive: true })]
afterAll(() => {
  for (const close of closers) close()
})

const known = authority("a root that is trusted")
const unknown = authority("a root that is not")
const roots = join(folder, "roots.pem")
writeFileSync(roots, known.cert)

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
const served = (text: string): TlsOutcome => ({ status: 200, length: text.length, sha256: sha256(text) })

interface TlsServer {
  readonly port: number
  connections: number
  /** Bytes that came through, of all connections. */
  received: number
}

type Respond = (body: Buffer, socket: Socket, connection: number) => void

const respond: Respond = (_, socket, connection) => void socket.write(answer(`over ${connection}`))

async function tlsServer({ cert, key }: Certificate, respondTo = respond): Promise<TlsServer> {
  const made = { port: 0, connections: 0, received: 0 }
  const server = createServer({ cert, key, ALPNProtocols: ["h2", "http/1.1"] }, (socket) => {
    const number = made.connections++
    const reader = new RequestReader()
    socket.on("error", () => undefined)
    socket.on("data", (bytes: Buffer) => {
      made.received += bytes.length
      for (const { body } of reader.push(bytes)) respondTo(body, socket, number)
    })
  })
  server.on("tlsClientError", () => undefined)
  made.port = await listen(server)
  closers.push(() => server.close())
  return made
}

async function ask(urls: readonly string[], { trusted = true, size = 1 } = {}): Promise<readonly TlsOutcome[]> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "support/tls-child.ts"), String(size), ...urls], {
    env: { PATH: process.env.PATH ?? "", ...(trusted && { NODE_EXTRA_CA_CERTS: roots }) },
  })
  closers.push(() => child.kill())
  return JSON.parse(await new Response(child.stdout).text())
}

test("a certificate of a trusted root is good for the names and addresses that it holds", async () => {
  const { port } = await tlsServer(known.issue({ names: ["localhost", LOOPBACK] }))
  const urls = [`https://localhost:${port}/`, `https://127.0.0.1:${port}/`]
  expect(await ask([...urls, ...urls])).toEqual([
    served("over 0"),
    served("over 1"),
    served("over 0"),
    served("over 1"),
  ])
})

test("a certificate is good for nothing if its root is not trusted", async () => {
  const names = ["localhost", LOOPBACK]
  const servers = [await tlsServer(known.issue({ names })), await tlsServer(unknown.issue({ names }))]
  servers.push(await tlsServer(selfSigned()))
  const urls = servers.flatMap(({ port }) => [`https://localhost:${port}/`, `https://127.0.0.1:${port}/`])
  expect((await ask(urls, { trusted: false })).map(stageOf)).toEqual(urls.map(() => "tls"))
  expect((await ask(urls.slice(2))).map(stageOf)).toEqual(urls.slice(2).map(() => "tls"))
  expect(servers.map(({ received }) => received)).toEqual([0, 0, 0])
})

test("a certificate of a trusted root is good for nothing else, and not at another time; nothing is sent then", async () => {
  const cases: readonly (readonly [string, Leaf])[] = [
    ["localhost", { names: ["other.test"] }],
    ["localhost", { names: ["other.test"], common: "localhost" }],
    ["localhost", { names: ["localhost.test", "sub.localhost", "*.localhost", "*", "localhos"] }],
    ["localhost", { names: [LOOPBACK] }],
    ["127.0.0.1", { names: ["localhost"] }],
    ["127.0.0.1", { names: ["localhost"], common: "127.0.0.1" }],
    ["127.0.0.1", { names: ["127.0.0.1"] }],
    ["127.0.0.1", { names: ["*.0.0.1"] }],
    ["127.0.0.1", { names: [[127, 0, 0, 2]] }],
    ["localhost", { names: ["localhost"], days: [-3, -1] }],
    ["127.0.0.1", { names: [LOOPBACK], days: [-3, -1] }],
    ["localhost", { names: ["localhost"], days: [1, 3] }],
  ]
  const servers = await Promise.all(cases.map(([, leaf]) => tlsServer(known.issue(leaf))))
  const outcomes = await ask(cases.map(([host], i) => `https://${host}:${servers[i]?.port}/`))
  const got = cases.map(([host, leaf], i) => ({ host, leaf, stage: stageOf(outcomes[i]) }))
  expect(got).toEqual(cases.map(([host, leaf]) => ({ host, leaf, stage: "tls" })))
  expect(servers.map(({ received }) => received)).toEqual(cases.map(() => 0))
})

describe("a handshake that comes to nothing", () => {
  const onHello = (act: (socket: Socket) => void) => (socket: Socket) => void socket.once("data", () => act(socket))
  const plain = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"

  async function stagesOf(behave: (socket: Socket) => void): Promise<readonly string[]> {
    const server = await newServer({ onConnection: ({ socket }) => behave(socket) })
    const url = `https://localhost:${server.port}/`
    return (await ask([url, url])).map(stageOf)
  }

  test.each<[string, (socket: Socket) => void]>([
    ["is closed at once", (socket) => void socket.end()],
    ["is closed when it has begun", onHello((socket) => void socket.end())],
    ["is closed in the middle", onHello((socket) => void socket.end(Buffer.from([22, 3, 3, 0, 50, 2])))],
    ["meets plain text", onHello((socket) => void socket.write(plain))],
    ["meets plain text and a close", onHello((socket) => void socket.end(plain))],
    ["meets a greeting", (socket) => void socket.write("220 mail.example ESMTP\r\n")],
  ])("is a failure of TLS: one that %s", async (_, behave) => {
    expect(await stagesOf(behave)).toEqual(["tls", "tls"])
  })

  test.each<[string, (socket: Socket) => void]>([
    ["is reset at once", (socket) => void socket.resetAndDestroy()],
    ["is reset when it has begun", onHello((socket) => void socket.resetAndDestroy())],
  ])("is a failure of TLS: one that %s", async (_, behave) => {
    expect(await stagesOf(behave)).toEqual(["tls", "tls"])
  })

  test("is a failure of TLS where the server has none of our protocols", async () => {
    const { cert, key } = known.issue({ names: ["localhost"] })
    const server = createServer({ cert, key, ALPNProtocols: ["h2"] })
    server.on("tlsClientError", () => undefined)
    closers.push(() => server.close())
    expect((await ask([`https://localhost:${await listen(server)}/`])).map(stageOf)).toEqual(["tls"])
  })

  test("ends when it is aborted", async () => {
    const server = await newServer({})
    const controller = new AbortController()
    const { signal } = controller
    const call = failure(() => newClient().ask(`https://localhost:${server.port}/`, asking({ signal })))
    await server.connected(1)
    controller.abort("enough")
    expect(await call).toBe("enough")
    await server.wires[0]?.closed
  })
})

describe("the handshake", () => {
  async function helloTo(host: string, address = "127.0.0.1"): Promise<ClientHello> {
    const { promise, resolve } = Promise.withResolvers<ClientHello>()
    const server = await newServer({
      host: address,
      onConnection({ socket }) {
        let bytes: Buffer = Buffer.alloc(0)
        socket.on("data", (more: Buffer) => {
          bytes = Buffer.concat([bytes, more])
          const hello = readClientHello(bytes)
          if (hello === null) return
          resolve(hello)
          socket.end()
        })
      },
    })
    await failure(() => newClient().ask(`https://${host}:${server.port}/`, asking()))
    return promise
  }

  test("names the host, and offers HTTP/1.1 alone", async () => {
    expect(await helloTo("localhost")).toEqual({ name: "localhost", protocols: ["http/1.1"], resumes: false })
  })

  test("names no address", async () => {
    expect(await helloTo("127.0.0.1")).toEqual({ name: null, protocols: ["http/1.1"], resumes: false })
    if (hasIpv6) expect(await helloTo("[::1]", "::1")).toEqual({ name: null, protocols: ["http/1.1"], resumes: false })
  })
})

describe("over TLS", () => {
  const certificate = known.issue({ names: ["localhost"] })

  test("large bodies and answers come whole, over one connection", async () => {
    const size = 5 * MIB + 3
    const body = new Uint8Array(size).map((_, i) => (i * 7) & 255)
    const server = await tlsServer(certificate, (bytes, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${2 * size}\r\n\r\n`)
      socket.write(bytes)
      socket.write(bytes)
    })
    const url = `https://localhost:${server.port}/`
    const echoed = { status: 200, length: 2 * size, sha256: sha256(Buffer.concat([body, body])) }
    expect(await ask([url, url, url], { size })).toEqual([echoed, echoed, echoed])
    expect(server.connections).toBe(1)
  })

  test("a connection that the server ends at rest costs no answer", async () => {
    const server = await tlsServer(certificate, (_, socket, number) => void socket.end(answer(String(number))))
    const urls = new Array<string>(10).fill(`https://localhost:${server.port}/`)
    expect(await ask(urls)).toEqual(urls.map((_, i) => served(String(i))))
  })

  test("a connection that meets its end with the next request costs no answer", async () => {
    const met = new Set<Socket>()
    const server = await tlsServer(certificate, (_, socket, number) => {
      if (met.has(socket)) socket.destroy()
      else socket.write(answer(String(number)))
      met.add(socket)
    })
    const urls = new Array<string>(4).fill(`https://localhost:${server.port}/`)
    expect(await ask(urls)).toEqual(urls.map((_, i) => served(String(i))))
  })

  test("an answer that is cut is broken, one that ends with its connection is not", async () => {
    const cut = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhalf"
    const whole = "HTTP/1.1 200 OK\r\n\r\nwhole"
    const servers = [cut, whole].map((text) => tlsServer(certificate, (_, socket) => void socket.end(text)))
    const urls = (await Promise.all(servers)).map(({ port }) => `https://localhost:${port}/`)
    expect(await ask(urls)).toEqual([{ status: 200, broken: "ECONNRESET" }, served("whole")])
  })
})

describe("a session", () => {
  const certificate = known.issue({ names: ["localhost"] })
  const once: Respond = (_, socket, number) => void socket.end(answer(String(number)))

  /** A server for the connections that come, one after the other, to those at `ports`; the last one gets the rest. */
  async function front(...ports: readonly number[]): Promise<{ url: string; resumed: boolean[] }> {
    const resumed: boolean[] = []
    let number = 0
    const server = await newServer({
      onConnection({ socket }) {
        const behind = connect({ host: "127.0.0.1", port: ports[Math.min(number++, ports.length - 1)] ?? 0 })
        let hello: Buffer | null = Buffer.alloc(0)
        socket.on("data", (bytes: Buffer) => {
          behind.write(bytes)
          if (hello === null) return
          hello = Buffer.concat([hello, bytes])
          const read = readClientHello(hello)
          if (read === null) return
          resumed.push(read.resumes)
          hello = null
        })
        behind.pipe(socket)
        for (const [one, other] of [
          [socket, behind],
          [behind, socket],
        ] as const) {
          one.on("error", () => undefined)
          one.on("close", () => other.destroy())
        }
      },
    })
    return { url: `https://localhost:${server.port}/`, resumed }
  }

  test("is taken up again by the connections that follow", async () => {
    const { port } = await tlsServer(certificate, once)
    const { url, resumed } = await front(port)
    expect(await ask([url, url, url])).toEqual(["0", "1", "2"].map(served))
    expect(resumed).toEqual([false, true, true])
  })

  test("makes no certificate good, and is forgotten where one was not", async () => {
    const names = ["localhost"]
    const bad = [
      unknown.issue({ names }),
      known.issue({ names: ["other.test"] }),
      known.issue({ names, days: [-3, -1] }),
    ]
    for (const certificateNow of bad) {
      const good = await tlsServer(certificate, once)
      const other = await tlsServer(certificateNow, once)
      const { url, resumed } = await front(good.port, good.port, other.port, other.port, good.port)
      const outcomes = await ask([url, url, url, url, url])
      const wanted = [served("0"), served("1"), null, null, served("2")]
      expect(outcomes.map(stageOf)).toEqual(wanted.map((outcome) => (outcome === null ? "tls" : stageOf(outcome))))
      expect(resumed).toEqual([false, true, true, false, false])
      expect(other.received).toBe(0)
    }
  })
})

function stageOf(outcome: TlsOutcome | undefined): string {
  return outcome !== undefined && "stage" in outcome ? outcome.stage : JSON.stringify(outcome)
}
