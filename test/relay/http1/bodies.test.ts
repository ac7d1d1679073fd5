import { describe, expect, test } from "bun:test"
import { Halt, type HaltSignal } from "../../../src/observe/halt.ts"
import { HIGH_WATER_BYTES } from "../../../src/relay/http1/body.ts"
import { codeOf } from "../../../src/relay/network.ts"
import { handTime } from "../support/time.ts"
import { asking, bench, failure, readAll, readerOf, textOf } from "./support/bench.ts"
import { type Asked, answer, type Wire } from "./support/server.ts"

const { client: newClient, server: newServer, arrived } = bench()

const MIB = 1024 * 1024

const numbered = ({ wire }: Asked): void => void wire.socket.write(answer(String(wire.number)))

/** Bytes that tell where they stand. */
function pattern(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8) * 7) & 255))
}

/** Writes as long as the socket takes it. @returns how many bytes the system has taken so far */
function pour({ socket }: Wire, bytes: Buffer, atEnd: () => void): () => number {
  const before = socket.bytesWritten
  let at = 0
  const more = (): void => {
    while (at < bytes.length) {
      const part = bytes.subarray(at, at + 64 * 1024)
      at += part.length
      if (!socket.write(part) && at < bytes.length) return void socket.once("drain", more)
    }
    atEnd()
  }
  more()
  return () => socket.bytesWritten - before - socket.writableLength
}

/** Resolves with a count once it has not grown for a while. */
async function stalled(count: () => number): Promise<number> {
  let last = -1
  while (count() > last) {
    last = count()
    await Bun.sleep(250)
  }
  return last
}

describe("a reader that does not read", () => {
  const size = 64 * MIB
  const part = pattern(MIB)
  const times = (bytes: Buffer): Buffer => Buffer.concat(Array.from({ length: 64 }, () => bytes))
  const body = times(part)
  const chunks = (): Buffer =>
    Buffer.concat([
      times(Buffer.concat([Buffer.from("100000\r\n"), part, Buffer.from("\r\n")])),
      Buffer.from("0\r\n\r\n"),
    ])

  test.each<[string, string, () => Buffer, number]>([
    ["length", `content-length: ${size}\r\n`, () => body, 1],
    ["chunks", "transfer-encoding: chunked\r\n", chunks, 1],
    ["no length", "", () => body, 2],
  ])("holds the server back, and then gets all: %s", async (_, field, sent, connections) => {
    let taken = (): number => 0
    const server = await newServer((asked) => {
      const { wire } = asked
      if (server.asked.length > 1) return numbered(asked)
      wire.socket.write(`HTTP/1.1 200 OK\r\n${field}\r\n`)
      taken = pour(wire, sent(), () => field === "" && wire.socket.end())
    })
    const client = newClient()
    const got = await client.ask(server.url, asking())
    expect(await stalled(taken)).toBeLessThan(size / 2)
    expect((await readAll(readerOf(got))).equals(body)).toBe(true)
    expect(await textOf(client.ask(server.url, asking()))).toBe(String(connections - 1))
  })

  test("gets all that came before the server broke off", async () => {
    const server = await newServer(({ wire }) => {
      wire.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      pour(wire, body.subarray(0, 16 * MIB), () => wire.socket.end())
    })
    const reader = readerOf(await newClient().ask(server.url, asking()))
    await server.served(1)
    await stalled(() => server.wires[0]?.socket.bytesWritten ?? 0)
    const parts: Uint8Array[] = []
    const error = await failure(async () => {
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) parts.push(chunk.value)
    })
    expect(codeOf(error)).toBe("ECONNRESET")
    expect(Buffer.concat(parts).equals(body.subarray(0, 16 * MIB))).toBe(true)
  })

  test("leaves a connection that goes on, if the last bytes of the answer held it back", async () => {
    const time = handTime()
    const server = await newServer(({ wire }) => void wire.socket.write(answer("x".repeat(HIGH_WATER_BYTES))))
    const client = newClient(time)
    const unread = await client.ask(server.url, asking())
    // The connection rests as soon as the answer is whole.
    while (time.pending === 0) await arrived()
    expect(await textOf(client.ask(server.url, asking()))).toHaveLength(HIGH_WATER_BYTES)
    expect(await textOf(unread)).toHaveLength(HIGH_WATER_BYTES)
    expect(server.wires).toHaveLength(1)
  })

  test.each<[string, (stop: { controller: AbortController; cancel(): unknown }) => unknown]>([
    ["is aborted", ({ controller }) => controller.abort()],
    ["cancels", ({ cancel }) => cancel()],
  ])("lets go of the connection when it %s", async (_, stop) => {
    let taken = (): number => 0
    const server = await newServer(({ wire }) => {
      wire.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      taken = pour(wire, body, () => undefined)
    })
    const controller = new AbortController()
    const got = await newClient().ask(server.url, asking({ signal: controller.signal }))
    await stalled(taken)
    const reader = readerOf(got)
    stop({ controller, cancel: () => reader.cancel() })
    await server.wires[0]?.closed
  })
})

const SIGNALS: readonly [string, () => { readonly signal: HaltSignal; abort(): void }][] = [
  [
    "an AbortSignal",
    () => {
      const controller = new AbortController()
      return { signal: controller.signal, abort: () => controller.abort(new DOMException("x", "AbortError")) }
    },
  ],
  [
    "a Halt",
    () => {
      const halt = new Halt()
      return { signal: halt, abort: () => halt.abort() }
    },
  ],
]

describe.each(SIGNALS)("what is aborted by %s", (_, newSignal) => {
  test("before it is asked is not asked at all", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    const { signal, abort } = newSignal()
    abort()
    expect(await failure(async () => client.ask(server.url, asking({ signal })))).toBe(signal.reason)
    expect(await textOf(client.ask(server.url, asking()))).toBe("0")
    expect(server.asked).toHaveLength(1)
  })

  test("before there is a connection is not sent", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    const { signal, abort } = newSignal()
    const call = failure(() => client.ask(server.url, asking({ signal })))
    abort()
    expect(await call).toBe(signal.reason)
    await textOf(client.ask(server.url, asking()))
    await arrived()
    expect(server.asked).toHaveLength(1)
  })

  test("in the turn in which it is asked is not sent over a connection at rest either", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    await textOf(client.ask(server.url, asking()))
    const { signal, abort } = newSignal()
    const call = failure(() => client.ask(server.url, asking({ signal })))
    abort()
    expect(await call).toBe(signal.reason)
    await server.wires[0]?.closed
    expect(await textOf(client.ask(server.url, asking()))).toBe("1")
    expect(server.asked).toHaveLength(2)
  })

  test("while its answer is waited for ends the connection", async () => {
    const server = await newServer({})
    const { signal, abort } = newSignal()
    const call = failure(() => newClient().ask(server.url, asking({ signal })))
    await server.served(1)
    abort()
    expect(await call).toBe(signal.reason)
    await server.wires[0]?.closed
  })

  test("in the middle of a head ends the connection", async () => {
    const server = await newServer(({ wire }) => void wire.socket.write("HTTP/1.1 200 OK\r\ncontent-le"))
    const { signal, abort } = newSignal()
    const call = failure(() => newClient().ask(server.url, asking({ signal })))
    await server.served(1)
    await arrived()
    abort()
    expect(await call).toBe(signal.reason)
    await server.wires[0]?.closed
  })

  test("while its body is read ends both", async () => {
    const server = await newServer(
      ({ wire }) => void wire.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
    )
    const { signal, abort } = newSignal()
    const reader = readerOf(await newClient().ask(server.url, asking({ signal })))
    await reader.read()
    const next = failure(() => reader.read())
    abort()
    expect(await next).toBe(signal.reason)
    expect(await failure(() => reader.read())).toBe(signal.reason)
    await server.wires[0]?.closed
  })

  test("while its own body is sent ends the connection", async () => {
    const server = await newServer({ onConnection: ({ socket }) => void socket.pause() })
    const { signal, abort } = newSignal()
    const body = new Uint8Array(64 * MIB)
    const call = failure(() => newClient().ask(server.url, asking({ signal, body })))
    await server.connected(1)
    await arrived()
    abort()
    expect(await call).toBe(signal.reason)
    server.wires[0]?.socket.resume()
    await server.wires[0]?.closed
    expect(server.asked).toHaveLength(0)
  })

  test("after its answer is whole does not disturb the next on the same connection", async () => {
    const server = await newServer((asked) => {
      if (asked.head.startsWith("POST")) numbered(asked)
    })
    const client = newClient()
    const { signal, abort } = newSignal()
    const whole = await client.ask(server.url, asking({ signal }))
    const next = client.ask(server.url, asking({ method: "GET" }))
    await server.served(2)
    abort()
    expect(await textOf(whole)).toBe("0")
    await arrived()
    server.wires[0]?.socket.write(answer("next"))
    expect(await textOf(next)).toBe("next")
    expect(server.wires).toHaveLength(1)
  })
})

describe("a body that nobody wants any more", () => {
  test("ends its connection, and is at its end", async () => {
    const server = await newServer(
      ({ wire }) => void wire.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
    )
    const reader = readerOf(await newClient().ask(server.url, asking()))
    await reader.read()
    const pending = reader.read()
    await reader.cancel()
    expect((await pending).done).toBe(true)
    expect((await reader.read()).done).toBe(true)
    await server.wires[0]?.closed
  })

  test("leaves its connection to others if it is whole", async () => {
    const server = await newServer(numbered)
    const client = newClient()
    for (let i = 0; i < 3; i++) {
      const reader = readerOf(await client.ask(server.url, asking()))
      await reader.cancel()
      expect((await reader.read()).done).toBe(true)
    }
    expect(server.wires).toHaveLength(1)
  })

  test("leaves its connection to others if it was whole before, though they use it already", async () => {
    const server = await newServer((asked) => {
      if (asked.head.startsWith("POST")) numbered(asked)
    })
    const client = newClient()
    const whole = readerOf(await client.ask(server.url, asking()))
    const next = client.ask(server.url, asking({ method: "GET" }))
    await server.served(2)
    await whole.cancel()
    await arrived()
    server.wires[0]?.socket.write(answer("next"))
    expect(await textOf(next)).toBe("next")
  })
})
