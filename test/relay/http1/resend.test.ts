import { describe, expect, test } from "bun:test"
import { codeOf, networkFailure } from "../../../src/relay/network.ts"
import { asking, bench, failure, textOf } from "./support/bench.ts"
import { type Asked, answer, type RawServer, type Wire } from "./support/server.ts"

const { client: newClient, server: newServer, arrived } = bench()

const MIB = 1024 * 1024

const LEAVING: readonly [string, (wire: Wire) => void][] = [
  ["a FIN", ({ socket }) => void socket.end()],
  ["an RST", ({ socket }) => void socket.resetAndDestroy()],
]

const numbered = ({ wire }: Asked): void => void wire.socket.write(answer(String(wire.number)))

/** Answers one request on each of its connections but the first `silent` ones; what comes next on one meets `leave`. */
function leaving(leave: (wire: Wire) => void, { silent = (_: Wire): boolean => false } = {}): Promise<RawServer> {
  const served = new Set<Wire>()
  return newServer({
    onRequest(asked) {
      if (served.has(asked.wire) || silent(asked.wire)) return
      served.add(asked.wire)
      numbered(asked)
    },
    onBytes(wire) {
      if (served.has(wire) || silent(wire)) leave(wire)
    },
  })
}

describe.each(LEAVING)("a request that meets %s on a connection used before", (_, leave) => {
  test("is sent once more, over a new one", async () => {
    const server = await leaving(leave)
    const client = newClient()
    for (const number of ["0", "1", "2"]) {
      const init = asking({ body: `body ${number}`, headers: { "x-number": number } })
      expect(await textOf(client.ask(`${server.url}${number}`, init))).toBe(number)
    }
    expect(server.wires).toHaveLength(3)
    for (const { head, body, wire } of server.asked.filter((asked) => asked.wire.asked[0] === asked)) {
      expect(head).toStartWith(`POST /${wire.number} HTTP/1.1\r\n`)
      expect(head).toContain(`\r\nx-number: ${wire.number}\r\n`)
      expect(body.toString()).toBe(`body ${wire.number}`)
    }
  })

  test("is sent from its first byte, if it is large", async () => {
    const server = await leaving(leave)
    const client = newClient()
    const body = new Uint8Array(3 * MIB).map((_, i) => i % 251)
    for (const number of ["0", "1"]) expect(await textOf(client.ask(server.url, asking({ body })))).toBe(number)
    expect(server.wires[1]?.asked[0]?.body.equals(Buffer.from(body))).toBe(true)
  })

  test("is not sent a third time", async () => {
    const server = await leaving(leave, { silent: ({ number }) => number === 1 })
    const client = newClient()
    expect(await textOf(client.ask(server.url, asking()))).toBe("0")
    const error = await failure(() => client.ask(server.url, asking()))
    expect(networkFailure(error).stage).toBe("reset")
    expect(codeOf(error)).toBe("ECONNRESET")
    expect(await textOf(client.ask(server.url, asking()))).toBe("2")
    expect(server.wires).toHaveLength(3)
  })

  test.each(["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"])(
    "is not sent again after %j",
    async (begun) => {
      const server = await newServer((asked) => {
        if (asked.wire.asked.length === 1) numbered(asked)
        else asked.wire.socket.write(begun)
      })
      const client = newClient()
      expect(await textOf(client.ask(server.url, asking()))).toBe("0")
      const call = failure(() => client.ask(server.url, asking()))
      await server.served(2)
      await arrived()
      for (const wire of server.wires) leave(wire)
      expect(codeOf(await call)).toBe("ECONNRESET")
      expect(await textOf(client.ask(server.url, asking()))).toBe("1")
    },
  )
})

test("a request on a connection used before is not sent again when it is aborted", async () => {
  const server = await newServer((asked) => {
    if (asked.wire.asked.length === 1) numbered(asked)
  })
  const client = newClient()
  await textOf(client.ask(server.url, asking()))
  const controller = new AbortController()
  const call = failure(() => client.ask(server.url, asking({ signal: controller.signal })))
  await server.served(2)
  controller.abort("enough")
  expect(await call).toBe("enough")
  await server.wires[0]?.closed
  expect(await textOf(client.ask(server.url, asking()))).toBe("1")
})

test.each(LEAVING)("a request that meets %s on a new connection is not sent again", async (_, leave) => {
  const server = await leaving(leave, { silent: ({ number }) => number < 2 })
  const client = newClient()
  for (let i = 0; i < 2; i++) {
    const error = await failure(() => client.ask(server.url, asking()))
    expect(networkFailure(error).stage).toBe("reset")
    expect(codeOf(error)).toBe("ECONNRESET")
  }
  expect(await textOf(client.ask(server.url, asking()))).toBe("2")
  expect(server.wires).toHaveLength(3)
})

test("a request sent once more is aborted like any other", async () => {
  const controller = new AbortController()
  const server = await newServer((asked) => {
    if (asked.wire.asked.length > 1) asked.wire.socket.end()
    else if (asked.wire.number === 0) numbered(asked)
  })
  const client = newClient()
  await textOf(client.ask(server.url, asking()))
  const call = failure(() => client.ask(server.url, asking({ signal: controller.signal })))
  await server.served(3)
  controller.abort("enough")
  expect(await call).toBe("enough")
  await server.wires[1]?.closed
})

test("a burst that meets only closed connections is served, each request over a new one", async () => {
  const count = 40
  const server = await leaving(({ socket }) => void socket.end())
  const client = newClient()
  const burst = (): Promise<string[]> =>
    Promise.all(Array.from({ length: count }, () => textOf(client.ask(server.url, asking()))))
  expect(new Set(await burst()).size).toBe(count)
  expect((await burst()).map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => count + i))
  expect(server.wires).toHaveLength(2 * count)
})
