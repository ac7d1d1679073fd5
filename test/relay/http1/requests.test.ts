import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { networkInterfaces } from "node:os"
import { Halt } from "../../../src/observe/halt.ts"
import { networkFailure } from "../../../src/relay/network.ts"
import type { UpstreamInit } from "../../../src/relay/ports.ts"
import { asking, bench, failure, readerOf, textOf } from "./support/bench.ts"
import { type Asked, answer } from "./support/server.ts"

const { client: newClient, server: newServer, arrived } = bench()

const KIB = 1024
const MIB = 1024 * KIB

const numbered = ({ wire }: Asked): void => void wire.socket.write(answer(String(wire.number)))
const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"))

describe("a request", () => {
  test("says what is asked of whom", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    await textOf(
      client.ask(`${server.url}a%20b/c?d=e&f=%C3%A4#g`, asking({ headers: { "X-A": "1", "x-b": "", "x-c": "2: 3" } })),
    )
    await textOf(client.ask(server.url.slice(0, -1), asking({ method: "GET" })))
    const [first, ...fields] = server.asked[0]?.head.split("\r\n") ?? []
    expect(first).toBe("POST /a%20b/c?d=e&f=%C3%A4 HTTP/1.1")
    expect(fields.map((field) => field.toLowerCase()).toSorted()).toEqual([
      "connection: keep-alive",
      "content-length: 1",
      `host: 127.0.0.1:${server.port}`,
      "x-a: 1",
      "x-b: ",
      "x-c: 2: 3",
    ])
    expect(server.asked[1]?.head).toStartWith("GET / HTTP/1.1\r\n")
  })

  test("has the headers that it shares with others beside its own, whoever sent them before and where to", async () => {
    const servers = [await newServer(numbered), await newServer(numbered)]
    const client = newClient()
    const [one, other] = [{ "x-shared": "1" }, { "x-shared": "2" }]
    const asked = [
      { path: "a", shared: one },
      { path: "a", shared: other },
      { path: "b", shared: one },
      { path: "a", shared: one },
    ]
    for (const [index, { path, shared }] of asked.entries()) {
      for (const { url } of servers) {
        const headers = { "x-own": String(index) }
        await textOf(client.ask(url + path, asking({ method: index % 2 ? "GET" : "POST", headers, shared })))
      }
    }
    for (const { asked: heads, port } of servers) {
      expect(heads.map(({ head }) => head.split("\r\n").filter((line) => !/^content-length/i.test(line)))).toEqual(
        asked.map(({ path, shared }, index) => [
          `${index % 2 ? "GET" : "POST"} /${path} HTTP/1.1`,
          `Host: 127.0.0.1:${port}`,
          "Connection: keep-alive",
          `x-shared: ${shared["x-shared"]}`,
          `x-own: ${index}`,
        ]),
      )
    }
  })

  test("is sent to the address that a name stands for, and names it", async () => {
    const server = await newServer(numbered)
    expect(await textOf(newClient().ask(`http://localhost:${server.port}/`, asking()))).toBe("0")
    expect(server.asked[0]?.head).toContain(`\r\nHost: localhost:${server.port}\r\n`)
  })

  test("is sent to an IPv6 address, and names it with its brackets", async () => {
    const client = newClient()
    if (!hasIpv6) {
      expect(networkFailure(await failure(() => client.ask("http://[::1]:1/", asking()))).stage).toBe("connect")
      return
    }
    const server = await newServer({ host: "::1", onRequest: numbered })
    for (let i = 0; i < 2; i++) expect(await textOf(client.ask(server.url, asking()))).toBe("0")
    expect(server.asked[0]?.head).toContain(`\r\nHost: [::1]:${server.port}\r\n`)
    expect(server.wires).toHaveLength(1)
  })

  test("says the length of a body, of an empty one too, and none where there can be none", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    for (const body of ["", new Uint8Array(0)]) await textOf(client.ask(server.url, asking({ body })))
    const { body: _, ...bare } = asking({ method: "GET" })
    await textOf(client.ask(server.url, bare))
    expect(server.asked.map(({ head }) => /content-length: .*/i.exec(head)?.[0] ?? null)).toEqual([
      "Content-Length: 0",
      "Content-Length: 0",
      null,
    ])
  })

  test("that could have a body says that it has none", async () => {
    const server = await newServer(numbered)
    const { body: _, ...bare } = asking()
    await textOf(newClient().ask(server.url, bare))
    expect(server.asked[0]?.head).toMatch(/^content-length: 0$/im)
  })

  test.each(["ftp://127.0.0.1/", "file:///etc/hosts", "127.0.0.1", ""])("to %j is a TypeError", async (url) => {
    expect(await failure(async () => newClient().ask(url, asking()))).toBeInstanceOf(TypeError)
  })
})

describe("a body", () => {
  const sizes = [1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 256 * KIB, 256 * KIB + 1, 512 * KIB, 5 * MIB + 3]

  test.each<[string, (size: number) => string | Uint8Array<ArrayBuffer>]>([
    ["bytes", (size) => new Uint8Array(size).map((_, i) => (i * 7) & 255)],
    ["ASCII", (size) => "0123456789a".repeat(size / 11 + 1).slice(0, size)],
    ["text in two bytes", (size) => "\xfcb".repeat(size / 3 + 1).slice(0, size)],
    ["text in three and four bytes", (size) => "€🙂x".repeat(size / 8 + 1).slice(0, size)],
    ["text that is not whole", (size) => "\ud83dx".repeat(size / 4 + 1).slice(0, size)],
  ])("of %s arrives whole, with its length, whatever that is", async (_, make) => {
    const server = await newServer(({ head, body, wire }) => {
      wire.socket.write(answer(`${/content-length: (\d+)/i.exec(head)?.[1]} ${sha256(body)}`))
    })
    const client = newClient()
    for (const size of sizes) {
      const body = make(size)
      const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
      expect(await textOf(client.ask(server.url, asking({ body })))).toBe(`${bytes.length} ${sha256(bytes)}`)
    }
    expect(server.wires).toHaveLength(1)
  })

  test("arrives whole where the server is slow to read it", async () => {
    const server = await newServer({
      onBytes({ socket }) {
        socket.pause()
        setTimeout(() => socket.resume(), 1)
      },
      onRequest: ({ body, wire }) => void wire.socket.write(answer(sha256(body))),
    })
    const body = new Uint8Array(5 * MIB).map((_, i) => (i * 13) & 255)
    expect(await textOf(newClient().ask(server.url, asking({ body })))).toBe(sha256(body))
  })

  test.each([
    ["small", [1, 0, 20, 300, 1]],
    ["just small enough for one write", [100, 64 * KIB - 101, 1]],
    ["just too large for one write", [100, 64 * KIB - 100, 1]],
    ["large between small ones", [120, 32, 15, 3 * MIB, 1]],
    ["large at the beginning", [MIB, 5]],
    ["large at the end", [5, MIB]],
    ["several large ones", [MIB, 2 * MIB, MIB]],
    ["none of them large", Array.from({ length: 9 }, () => 10_000)],
  ])("in pieces arrives whole: %s", async (_, sizes) => {
    const server = await newServer(numbered)
    const client = newClient()
    const pieces = sizes.map((size, index) => new Uint8Array(size).map((_, i) => (i * 7 + index) % 251))
    for (const _ of [1, 2]) expect(await textOf(client.ask(server.url, asking({ body: pieces })))).toBe("0")
    for (const { body } of server.asked) expect(body.equals(Buffer.concat(pieces))).toBe(true)
    expect(server.asked).toHaveLength(2)
  })

  test("of several requests at once arrives at its own", async () => {
    const server = await newServer(({ body, wire }) => void wire.socket.write(answer(sha256(body))))
    const client = newClient()
    for (let round = 0; round < 3; round++) {
      const bodies = Array.from({ length: 8 }, (_, i) => new Uint8Array((i * i * 20 + 1) * KIB).fill(round * 8 + i))
      const texts = await Promise.all(bodies.map((body) => textOf(client.ask(server.url, asking({ body })))))
      expect(texts).toEqual(bodies.map(sha256))
    }
    expect(server.wires).toHaveLength(8)
  })

  test("that is answered before it is sent completely is not waited for, and its connection not used again", async () => {
    const server = await newServer({
      onRequest: numbered,
      onBytes({ number, socket }) {
        if (number > 0) return
        socket.pause()
        socket.write(answer("early"))
      },
    })
    const client = newClient()
    expect(await textOf(client.ask(server.url, asking({ body: new Uint8Array(64 * MIB) })))).toBe("early")
    expect(await textOf(client.ask(server.url, asking()))).toBe("1")
    server.wires[0]?.socket.resume()
    await server.wires[0]?.closed
    expect(server.asked).toHaveLength(1)
  })

  test("is not kept while its answer is open", async () => {
    const server = await newServer(({ wire }) => void wire.socket.write("HTTP/1.1 200 OK\r\n\r\nopen"))
    const client = newClient()
    const { open, left } = await many(async (body) => {
      const reader = readerOf(await client.ask(server.url, asking({ body })))
      await reader.read()
      return reader
    })
    expect(open).toHaveLength(16)
    expect(left).toBeLessThan(8)
  })

  test("that could not be sent is not kept while its signal may still end another try", async () => {
    const server = await newServer({})
    server.stop()
    const client = newClient()
    const signal = new Halt()
    const { left } = await many((body) => failure(() => client.ask(server.url, asking({ body, signal }))))
    expect(signal.aborted).toBe(false)
    expect(left).toBeLessThan(8)
  })

  /** Asks with bodies of their own; gives what came of it, and how many of 16 bodies are still there. */
  async function many<T>(ask: (body: Uint8Array<ArrayBuffer>) => Promise<T>): Promise<{ open: T[]; left: number }> {
    const bodies: WeakRef<Uint8Array>[] = []
    const one = (): Promise<T> => {
      const body = new Uint8Array(MIB)
      bodies.push(new WeakRef(body))
      return ask(body)
    }
    const open = await Promise.all(Array.from({ length: 16 }, one))
    for (let i = 0; i < 2; i++) {
      await arrived()
      Bun.gc(true)
    }
    // What lies on the stack may keep some.
    return { open, left: bodies.filter((body) => body.deref() !== undefined).length }
  }
})

describe("a body that looks like lines", () => {
  test.each(["a\0b", "\r\n\r\n", "x: y\r\n\0\r\n", "\xe4\r\n€", "🙂\n"])("is no header: %j", async (body) => {
    const server = await newServer(({ body: sent, wire }) => void wire.socket.write(answer(sha256(sent))))
    const sum = sha256(new TextEncoder().encode(body))
    expect(await textOf(newClient().ask(server.url, asking({ body })))).toBe(sum)
  })
})

describe("a header that cannot be sent", () => {
  const unsafe = ["a\r\nb: c", "a\nb", "a\rb", "\n", "a\0", "\xe4", "€", "🙂", "\ud83d", "\x80"]
  const cases = unsafe.flatMap((text): [string, Partial<UpstreamInit>][] => [
    ["value", { headers: { "x-a": "fine", "x-b": text } }],
    ["name", { headers: { "x-a": "fine", [text]: "x" } }],
    ["shared value", { shared: { "x-a": "fine", "x-b": text } }],
    ["shared name", { shared: { "x-a": "fine", [text]: "x" } }],
  ])

  test.each(cases)("is a TypeError, and nothing is sent: %s of %j", async (_, over) => {
    const server = await newServer(numbered)
    const client = newClient()
    await textOf(client.ask(server.url, asking()))
    const { received = 0 } = server.wires[0] ?? {}
    // The second time as the first: nothing unsafe is remembered.
    for (let i = 0; i < 2; i++) {
      expect(await failure(async () => client.ask(server.url, asking(over)))).toBeInstanceOf(TypeError)
    }
    expect(await textOf(client.ask(server.url, asking()))).toBe("0")
    expect(server.wires.map((wire) => wire.received)).toEqual([2 * received])
  })

  test("is a TypeError that says nothing of its value", async () => {
    const headers = { authorization: "Bearer secret\n" }
    const error = await failure(async () => newClient().ask("http://127.0.0.1:1/", asking({ headers })))
    expect(String(error)).not.toContain("secret")
  })
})
