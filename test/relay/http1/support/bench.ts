import { afterAll, afterEach } from "bun:test"
import { connect } from "node:net"
import { systemClock, systemTimers } from "../../../../src/observe/clock.ts"
import { Http1Client } from "../../../../src/relay/http1/client.ts"
import type { Answer, ChunkReader, UpstreamInit } from "../../../../src/relay/ports.ts"
import type { HandTime } from "../../support/time.ts"
import { type RawServer, rawServer } from "./server.ts"

export interface Bench {
  /** Resolves when whatever this process has written before to a connection within it has arrived, and was dealt with. */
  arrived(): Promise<void>
  /** A client of its own; by the system's time if none is given. */
  client(time?: Pick<HandTime, "clock" | "timers">): Http1Client
  server(...hooks: Parameters<typeof rawServer>): Promise<RawServer>
}

/** Clients and servers that are gone when the test is over. For a file's top level. */
export function bench(): Bench {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0)) close()
  })
  let last: Promise<Pair> | null = null
  afterAll(async () => (await last)?.stop())
  return {
    async arrived() {
      last ??= pair()
      await (await last).roundTrip()
      await new Promise((resolve) => setTimeout(resolve))
    },
    client({ clock, timers } = { clock: systemClock, timers: systemTimers }) {
      return new Http1Client(clock, timers)
    },
    async server(...hooks) {
      const server = await rawServer(...hooks)
      closers.push(() => server.stop())
      return server
    },
  }
}

export function asking(over: Partial<UpstreamInit> = {}): UpstreamInit {
  return { method: "POST", headers: {}, body: "x", signal: new AbortController().signal, ...over }
}

export async function textOf(answer: Answer | Promise<Answer>): Promise<string> {
  return Buffer.from(await (await answer).bytes()).toString("latin1")
}

/** Rejects with whatever the call comes to, thrown or rejected. */
export async function failure(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error
  }
  throw new Error("the call did not fail")
}

export function readerOf({ body }: Answer): ChunkReader {
  if (body === null) throw new Error("the answer has no body")
  return body.getReader()
}

export async function readAll(reader: ChunkReader): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) parts.push(chunk.value)
  return Buffer.concat(parts)
}

interface Pair {
  roundTrip(): Promise<void>
  stop(): void
}

async function pair(): Promise<Pair> {
  const server = await rawServer({})
  const socket = connect(server.port, "127.0.0.1")
  await server.connected(1)
  return {
    async roundTrip() {
      const { promise, resolve } = Promise.withResolvers<void>()
      socket.once("data", () => resolve())
      server.wires[0]?.socket.write("!")
      await promise
    },
    stop() {
      socket.destroy()
      server.stop()
    },
  }
}
