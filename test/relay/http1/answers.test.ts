import { describe, expect, test } from "bun:test"
import { codeOf } from "../../../src/relay/network.ts"
import { asking, bench, failure, readAll, readerOf, textOf } from "./support/bench.ts"
import { type Asked, answer, type Wire } from "./support/server.ts"

const { client: newClient, server: newServer, arrived } = bench()

const KIB = 1024
const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

const writing = (bytes: string | Uint8Array) => (asked: Asked) => void asked.wire.socket.write(bytes)

/** A head of exactly that many bytes, the blank line not counted, and a body of 2. */
function padded(bytes: number): string {
  const start = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-pad: "
  return `${start}${"p".repeat(bytes - start.length)}\r\n\r\nok`
}

describe("an answer", () => {
  test("has a status, header fields and a body", async () => {
    const head = ["HTTP/1.1 404 Not here", "Content-Length: 4", "X-A: 1", "x-a: \xe4", "Set-Cookie: a", "set-cookie: b"]
    const server = await newServer(writing(Buffer.from(`${head.join("\r\n")}\r\n\r\n\xe4\0\r\n`, "latin1")))
    const got = await newClient().ask(server.url, asking())
    const { headers } = got
    expect(got).toMatchObject({ status: 404, ok: false })
    const names = ["x-a", "X-A", "Set-Cookie", "x-b", "__proto__", "constructor"]
    expect(names.map((name) => headers.get(name))).toEqual(["1, \xe4", "1, \xe4", "a, b", null, null, null])
    expect(names.map((name) => headers.has(name))).toEqual([true, true, true, false, false, false])
    expect({ ...headers.toJSON() }).toEqual({ "content-length": "4", "x-a": "1, \xe4", "set-cookie": ["a", "b"] })
    expect(await textOf(got)).toBe("\xe4\0\r\n")
  })

  test("is ok from 200 to 299", async () => {
    const server = await newServer(({ head, wire }) => {
      wire.socket.write(`HTTP/1.1 ${/\d+/.exec(head)?.[0]} x\r\ncontent-length: 0\r\n\r\n`)
    })
    const client = newClient()
    for (const status of [200, 201, 299, 300, 304, 401, 599]) {
      expect(await client.ask(server.url + status, asking())).toMatchObject({ status, ok: status < 300 })
    }
  })

  test("is there before its body is", async () => {
    const server = await newServer(writing("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"))
    const got = await newClient().ask(server.url, asking())
    const text = textOf(got)
    server.wires[0]?.socket.write("body")
    expect(await text).toBe("body")
  })

  test.each([204, 304])("with the status %d has no body, and its connection goes on", async (status) => {
    const server = await newServer(writing(`HTTP/1.1 ${status} x\r\ncontent-length: 5\r\n\r\n`))
    const client = newClient()
    for (let i = 0; i < 3; i++) expect(await textOf(client.ask(server.url, asking()))).toBe("")
    expect(server.wires).toHaveLength(1)
  })

  test("in chunks is read through, trailers and all, and its connection goes on", async () => {
    const server = await newServer(writing(`${CHUNKED}3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nx-a: 1\r\n\r\n`))
    const client = newClient()
    for (let i = 0; i < 3; i++) expect(await textOf(client.ask(server.url, asking()))).toBe("abcde")
    expect(server.wires).toHaveLength(1)
  })

  test("without a length goes on until the server ends the connection", async () => {
    const server = await newServer(({ wire: { socket } }) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\nab", () => socket.write("cd", () => socket.end("ef")))
    })
    const client = newClient()
    for (let i = 1; i <= 2; i++) {
      expect(await textOf(client.ask(server.url, asking()))).toBe("abcdef")
      expect(server.wires).toHaveLength(i)
    }
  })

  test("without a length or a body is there when the connection ends", async () => {
    const server = await newServer(({ wire }) => void wire.socket.end("HTTP/1.1 200 OK\r\n\r\n"))
    expect(await textOf(newClient().ask(server.url, asking()))).toBe("")
  })

  test("is the same wherever it is cut in two", async () => {
    for (const whole of [
      `HTTP/1.1 100 Continue\r\n\r\n${answer("hello", "x-a: 1")}`,
      `${CHUNKED.replace("\r\n", "\r\nx-a: 1\r\n")}3\r\nhel\r\n2;x\r\nlo\r\n0\r\nx-b: 1\r\n\r\n`,
    ]) {
      const server = await newServer(async ({ head, wire: { socket } }) => {
        const at = Number(/\d+/.exec(head)?.[0])
        socket.write(whole.slice(0, at))
        await arrived()
        socket.write(whole.slice(at))
      })
      const client = newClient()
      for (let at = 1; at < whole.length; at++) {
        const got = await client.ask(server.url + at, asking())
        expect([at, got.headers.get("x-a"), await textOf(got)]).toEqual([at, "1", "hello"])
      }
      expect(server.wires).toHaveLength(1)
    }
  })

  test("is the same when every byte comes on its own", async () => {
    const whole = `HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n${CHUNKED}3\r\nabc\r\n0\r\n\r\n`
    const server = await newServer(async ({ wire: { socket } }) => {
      for (const byte of whole) {
        socket.write(byte)
        await arrived()
      }
    })
    const client = newClient()
    for (let i = 0; i < 2; i++) expect(await textOf(client.ask(server.url, asking()))).toBe("abc")
    expect(server.wires).toHaveLength(1)
  })
})

describe("interim answers", () => {
  const hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\ncontent-length: 7\r\n\r\n"

  test.each([1, 2, 16])("are passed over, %d of them", async (count) => {
    const interim = `${hints.repeat(count - 1)}HTTP/1.1 100 Continue\r\n\r\n`
    const server = await newServer(writing(interim + answer("at last")))
    const client = newClient()
    for (let i = 0; i < 2; i++) {
      const got = await client.ask(server.url, asking())
      expect([got.status, got.headers.has("link"), await textOf(got)]).toEqual([200, false, "at last"])
    }
    expect(server.wires).toHaveLength(1)
  })

  test("are passed over when they come long before", async () => {
    const server = await newServer(writing(hints))
    const got = newClient().ask(server.url, asking())
    await server.served(1)
    await arrived()
    server.wires[0]?.socket.write(answer("at last"))
    expect(await textOf(got)).toBe("at last")
  })

  test("without end are refused", async () => {
    const server = await newServer(writing(hints.repeat(17) + answer("at last")))
    expect(codeOf(await failure(() => newClient().ask(server.url, asking())))).toBe("MalformedMessage")
    await server.wires[0]?.closed
  })

  test("that lead to another protocol are refused", async () => {
    const server = await newServer(writing("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"))
    expect(codeOf(await failure(() => newClient().ask(server.url, asking())))).toBe("MalformedMessage")
    await server.wires[0]?.closed
  })
})

describe("a head", () => {
  test.each([64 * KIB, 10_000, 1_000])("of 64 KiB is read in pieces of %d", async (size) => {
    const text = padded(64 * KIB)
    const server = await newServer(async ({ wire: { socket } }) => {
      for (let at = 0; at < text.length; at += size) {
        socket.write(text.slice(at, at + size))
        await arrived()
      }
    })
    expect(await textOf(newClient().ask(server.url, asking()))).toBe("ok")
  })

  test.each([
    ["one byte more", padded(64 * KIB + 1)],
    ["no end", "HTTP/1.1 200 OK\r\nx-pad: ".padEnd(80 * KIB, "p")],
    ["fields without end", `HTTP/1.1 200 OK\r\n${"x-a: y\r\n".repeat(10 * KIB)}`],
    ["no end behind an interim one", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx: ".padEnd(80 * KIB, "p")],
  ])("of %s is refused", async (_, text) => {
    const server = await newServer(writing(text))
    expect(codeOf(await failure(() => newClient().ask(server.url, asking())))).toBe("MalformedMessage")
    await server.wires[0]?.closed
  })

  test.each([
    ["is none", "220 mail.example ESMTP\r\n\r\n"],
    ["is none but long", `${"not HTTP ".repeat(10 * KIB)}`],
    ["is one of HTTP/2", "HTTP/2 200\r\n\r\n"],
    ["has a line end in front", `\r\n${answer("x")}`],
    ["has a length and a coding", `${CHUNKED.replace("\r\n\r\n", "\r\ncontent-length: 1\r\n\r\n")}0\r\n\r\n`],
    ["has lengths that differ", answer("x", "content-length: 2")],
    ["has line ends without CR", answer("x").replaceAll("\r\n", "\n")],
    ["has one line end without CR", answer("x", "a: b").replace("OK\r\n", "OK\n")],
    ["has a last field without CR", "HTTP/1.1 200 OK\r\ncontent-length: 1\n\r\nx"],
    ["has a last line without CR", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\nx"],
    ["holds a NUL", answer("x", "a: b\0c")],
  ])("that %s is refused, and its connection ended", async (_, text) => {
    const server = await newServer(
      ({ wire: { number, socket } }) => void socket.write(number === 0 ? text : answer("y")),
    )
    const client = newClient()
    const signal = AbortSignal.timeout(2_000)
    expect(codeOf(await failure(() => client.ask(server.url, asking({ signal }))))).toBe("MalformedMessage")
    await server.wires[0]?.closed
    expect(await textOf(client.ask(server.url, asking()))).toBe("y")
    expect(server.wires).toHaveLength(2)
  })
})

describe("a broken body", () => {
  const FIN = ({ socket }: Wire): void => void socket.end()
  const RST = ({ socket }: Wire): void => void socket.resetAndDestroy()

  test.each<[string, string, (wire: Wire) => void]>([
    ["a length", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhalf", FIN],
    ["a length", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhalf", RST],
    ["chunks, in one", `${CHUNKED}5\r\nhalf`, FIN],
    ["chunks, in one", `${CHUNKED}5\r\nhalf`, RST],
    ["chunks, behind one", `${CHUNKED}4\r\nhalf`, FIN],
    ["chunks, before the next", `${CHUNKED}4\r\nhalf\r\n`, FIN],
    ["chunks, in the last", `${CHUNKED}4\r\nhalf\r\n0\r\n`, FIN],
    ["chunks, in a trailer", `${CHUNKED}4\r\nhalf\r\n0\r\nx-a: 1`, FIN],
    ["no length", "HTTP/1.1 200 OK\r\n\r\nhalf", RST],
  ])("with %s gives what came, then fails", async (_, text, leave) => {
    const server = await newServer(writing(text))
    const client = newClient()
    const reader = readerOf(await client.ask(server.url, asking()))
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("half")
    const next = failure(() => reader.read())
    for (const wire of server.wires) leave(wire)
    expect(codeOf(await next)).toBe("ECONNRESET")
    expect(codeOf(await failure(() => reader.read()))).toBe("ECONNRESET")
  })

  test("fails as a whole, too", async () => {
    const server = await newServer(
      ({ wire }) => void wire.socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhalf"),
    )
    const got = await newClient().ask(server.url, asking())
    expect(codeOf(await failure(() => got.bytes()))).toBe("ECONNRESET")
  })

  test.each(["xyz\r\n", "0\n\r\n", "2\r\nabc\r\n"])(
    "in chunks that go on with %j fails, and its connection ends",
    async (more) => {
      const server = await newServer(writing(`${CHUNKED}4\r\ngood\r\n`))
      const client = newClient()
      const reader = readerOf(await client.ask(server.url, asking()))
      expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("good")
      const rest = failure(() => readAll(reader))
      server.wires[0]?.socket.write(more)
      expect(codeOf(await rest)).toBe("MalformedMessage")
      await server.wires[0]?.closed
    },
  )

  test("in chunks that are wrong from the start has its head all the same", async () => {
    const server = await newServer(writing(`${CHUNKED}oops\r\n`))
    const got = await newClient().ask(server.url, asking())
    expect(got.status).toBe(200)
    expect(codeOf(await failure(() => got.bytes()))).toBe("MalformedMessage")
    await server.wires[0]?.closed
  })
})
