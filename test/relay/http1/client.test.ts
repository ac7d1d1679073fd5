import { describe, expect, test } from "bun:test"
import { connect } from "node:net"
import { networkFailure } from "../../../src/relay/network.ts"
import { asking, bench, failure, textOf } from "./support/bench.ts"
import { type Asked, answer } from "./support/server.ts"

const { client: newClient, server: newServer, arrived } = bench()

/** Answers every request with its connection's number. */
const numbered = ({ wire }: Asked): void => void wire.socket.write(answer(String(wire.number)))

describe("connections", () => {
  test("serve one request after the other", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    for (let i = 0; i < 20; i++) expect(await textOf(client.ask(`${server.url}${i}`, asking()))).toBe("0")
    expect(server.wires).toHaveLength(1)
    expect(server.asked.map(({ head }) => head.split(" ")[1])).toEqual(Array.from({ length: 20 }, (_, i) => `/${i}`))
  })

  test.each([3, 150])("are made for each of %d requests at once, and serve the next burst as well", async (count) => {
    const waiting: Asked[] = []
    const server = await newServer((asked) => {
      waiting.push(asked)
      if (waiting.length === count) for (const one of waiting.splice(0)) numbered(one)
    })
    const client = newClient()
    for (let round = 1; round <= 3; round++) {
      const calls = Array.from({ length: count }, () => textOf(client.ask(server.url, asking())))
      const numbers = (await Promise.all(calls)).map(Number).sort((a, b) => a - b)
      expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i))
      expect(server.wires.map(({ asked }) => asked.length)).toEqual(new Array(count).fill(round))
    }
  })

  test("are not shared by origins", async () => {
    const [one, two] = [await newServer(numbered), await newServer(numbered)]
    const client = newClient()
    for (const { url } of [one, two, one, two]) expect(await textOf(client.ask(url, asking()))).toBe("0")
    expect([one.asked.length, two.asked.length]).toEqual([2, 2])
  })

  test("are ready again once the answer is whole, though nobody has read it", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    const first = await client.ask(server.url, asking())
    expect(await textOf(client.ask(server.url, asking()))).toBe("0")
    expect(await textOf(first)).toBe("0")
    expect(server.wires).toHaveLength(1)
  })

  test.each(["connection: close", "Connection: Keep-Alive, Close"])("end after an answer with %j", async (field) => {
    const server = await newServer(({ wire }) => void wire.socket.write(answer(String(wire.number), field)))
    const client = newClient()
    for (const number of ["0", "1"]) expect(await textOf(client.ask(server.url, asking()))).toBe(number)
    await Promise.all(server.wires.map(({ closed }) => closed))
  })

  test("end after an answer of HTTP/1.0 that does not keep them", async () => {
    const kept = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 4\r\n\r\nkept"
    const bare = "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nbare"
    const server = await newServer(({ wire }) => void wire.socket.write(wire.asked.length < 3 ? kept : bare))
    const client = newClient()
    for (const text of ["kept", "kept", "bare", "kept"])
      expect(await textOf(client.ask(server.url, asking()))).toBe(text)
    await server.wires[0]?.closed
    expect(server.wires.map(({ asked }) => asked.length)).toEqual([3, 1])
  })

  test("that cannot be made are a failure of their stage", async () => {
    const server = await newServer(numbered)
    server.stop()
    for (const scheme of ["http", "https"]) {
      const stageOf = async (host: string): Promise<string> =>
        networkFailure(await failure(() => newClient().ask(`${scheme}://${host}`, asking()))).stage
      expect(await stageOf(`127.0.0.1:${server.port}`)).toBe("connect")
      expect(await stageOf("no-such-host.invalid")).toBe("dns")
    }
  })
})

describe("a connection at rest", () => {
  test("is not used again when the server has ended it", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    for (const number of ["0", "1", "2"]) {
      expect(await textOf(client.ask(server.url, asking()))).toBe(number)
      const wire = server.wires.at(-1)
      wire?.socket.end()
      await wire?.closed
    }
    expect(server.wires.map(({ asked }) => asked.length)).toEqual([1, 1, 1])
  })

  test("costs no answer when the server ends it right behind the last one", async () => {
    const server = await newServer(({ wire }) => void wire.socket.end(answer(String(wire.number))))
    const client = newClient()
    for (let i = 0; i < 100; i++) expect(await textOf(client.ask(server.url, asking()))).toBe(String(i))
  })

  test("is ended by bytes that nobody asked for", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    await textOf(client.ask(server.url, asking()))
    server.wires[0]?.socket.write("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    await server.wires[0]?.closed
    expect(await textOf(client.ask(server.url, asking()))).toBe("1")
  })

  test.each([
    ["a length", answer("ab"), "ab"],
    ["no body", "HTTP/1.1 204 No Content\r\n\r\n", ""],
    ["a length of nothing", answer(""), ""],
    ["chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "ab"],
  ])("is none, if bytes come right behind the end of an answer with %s", async (_, whole, text) => {
    const server = await newServer(({ wire }) => void wire.socket.write(`${whole}HTTP/1.1 200 OK\r\n`))
    const client = newClient()
    for (let i = 1; i <= 2; i++) {
      expect(await textOf(client.ask(server.url, asking()))).toBe(text)
      await server.wires[i - 1]?.closed
      expect(server.wires).toHaveLength(i)
    }
  })

  test("does not give bytes that came before the request was sent as its answer", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    const bell = await newServer({})
    const ringing = connect(bell.port, "127.0.0.1")
    await bell.connected(1)
    const texts: string[] = []
    for (let i = 0; i < 10; i++) {
      const fresh = await textOf(client.ask(server.url, asking()))
      const rung = Promise.withResolvers<Promise<string>>()
      ringing.once("data", () => rung.resolve(textOf(client.ask(server.url, asking()))))
      // In a turn of its own both are there when the client next looks, the bell first.
      await arrived()
      bell.wires[0]?.socket.write("!")
      server.wires[Number(fresh)]?.socket.write(answer("nobody asked for this"))
      texts.push(await rung.promise)
    }
    ringing.destroy()
    expect(texts).not.toContain("nobody asked for this")
  })
})
