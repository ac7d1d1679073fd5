import { describe, expect, test } from "bun:test"
import type { Incoming } from "../../../src/http/http1/incoming.ts"
import { type Answered, HttpError } from "../../../src/http/ports.ts"
import type { Sink } from "../../../src/relay/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { TICK_MS } from "../../../src/relay/ticker.ts"
import type { Client } from "./support/client.ts"
import { Gate } from "./support/gate.ts"
import { type Scene, scenes } from "./support/scene.ts"
import { settled } from "./support/soon.ts"

const newScene = scenes()

/** A limit strikes so late at most, and never early. */
const LATE_MS = 2 * TICK_MS
const HOUR = 3_600_000
const GET = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

const ok = (): Answered => new Reply(200, {}, "ok")
const post = (framing: string): string => `POST /a HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`

/** Expects that the client's connection goes on for `ms` from now on, and that something ends it then. */
async function endsAfter(scene: Scene, client: Client, ms: number): Promise<void> {
  await scene.pass(ms - 1)
  expect(client.ended || client.closed).toBe(false)
  expect(scene.counts.closed).toBe(0)
  await scene.pass(1 + LATE_MS)
  await client.ends()
}

/** Sends and waits until the server has it. */
async function arrives(scene: Scene, client: Client, bytes: string | Uint8Array): Promise<void> {
  const before = scene.counts.received
  await client.send(bytes)
  await scene.received(before + bytes.length)
}

describe("a connection that brings no request", () => {
  test("is closed without a word after 12 seconds", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    await endsAfter(scene, client, 12_000)
    expect(client.size).toBe(0)
    expect(scene.refused).toEqual([])
    // Though the client keeps its side open.
    await scene.gone(1)
  })

  test("gains no time by empty lines", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    for (let second = 1; second < 12; second++) {
      await scene.pass(1_000)
      await arrives(scene, client, "\r\n\r\n")
    }
    await endsAfter(scene, client, 1_000)
    expect(client.size).toBe(0)
  })

  test("is told 408 for half a head", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    await arrives(scene, client, GET.slice(0, -2))
    await endsAfter(scene, client, 12_000)
    const [answer] = await client.answers(1)
    expect([answer?.status, answer?.fields.connection]).toEqual([408, "close"])
    expect(answer?.body.toString()).toContain("the request's head did not come in time")
    expect(scene.refused).toEqual([408])
  })

  test("gains no time by sending its head in drops", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    await scene.pass(5_000)
    await arrives(scene, client, "G")
    for (const drop of GET.slice(1, 12)) {
      await scene.pass(1_000)
      await arrives(scene, client, drop)
    }
    await endsAfter(scene, client, 1_000)
    expect(scene.refused).toEqual([408])
  })

  test("has its 12 seconds from the head's first byte on", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    await scene.pass(11_900)
    await arrives(scene, client, GET.slice(0, 9))
    await scene.pass(11_900)
    await client.send(GET.slice(9))
    expect((await client.answers(1))[0]?.status).toBe(200)
    expect(scene.refused).toEqual([])
  })
})

/** Answers with what came of the body: its length, or why there is none. */
async function told(request: Incoming): Promise<Answered> {
  try {
    return new Reply(200, {}, `${(await request.bytes()).length} bytes`)
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    return new Reply(400, {}, `${error.fault.kind}: ${error.message}`)
  }
}

const TOO_SLOW = "bad_request: the request body did not come in time: at least 16 KiB every 10 seconds are expected"
const FRAMINGS = [
  ["a length", "Content-Length: 1000000", ""],
  ["chunks", "Transfer-Encoding: chunked", "F4240\r\n"],
] as const

describe.each(FRAMINGS)("a body with %s", (_, framing, before) => {
  test("that stops is given up after 10 seconds: its reader hears why, and the client gets the answer", async () => {
    const scene = newScene(told)
    const client = await scene.client()
    await arrives(scene, client, `${post(framing)}${before}half`)
    await endsAfter(scene, client, 10_000)
    const [answer] = await client.answers(1)
    expect([answer?.status, answer?.body.toString()]).toEqual([400, TOO_SLOW])
    expect(answer?.fields.connection).toBe("close")
    expect(scene.refused).toEqual([])
    // It may be sending still.
    expect(scene.counts.closed).toBe(0)
    await scene.pass(2_000 + LATE_MS)
    await scene.gone(1)
  })

  test("that drips is given up when a window of 10 seconds has brought less than 16 KiB", async () => {
    const scene = newScene(told)
    const client = await scene.client()
    await arrives(scene, client, `${post(framing)}${before}`)
    await scene.pass(2_000)
    await arrives(scene, client, Buffer.alloc(17_000))
    for (let second = 1; second < 10; second++) {
      await scene.pass(1_000)
      await arrives(scene, client, Buffer.alloc(1_600))
    }
    await endsAfter(scene, client, 1_000)
    expect((await client.answers(1))[0]?.body.toString()).toBe(TOO_SLOW)
  })

  test("that brings 16 KiB in each window is taken, however long that lasts", async () => {
    const scene = newScene(told)
    const client = await scene.client()
    // Twice, since each body has windows of its own.
    for (let i = 1; i <= 2; i++) {
      await arrives(scene, client, `${post(framing)}${before}`)
      for (let left = 1_000_000; left > 0; left -= 16 * 1024) {
        await scene.pass(9_900)
        await arrives(scene, client, Buffer.alloc(Math.min(left, 16 * 1024)))
      }
      if (before !== "") await client.send("\r\n0\r\n\r\n")
      expect((await client.answers(i))[i - 1]?.body.toString()).toBe("1000000 bytes")
    }
    expect(client.ended).toBe(false)
  })

  test("that stops and that nobody has asked for cuts nothing off: the connection ends with the answer", async () => {
    const gate = Promise.withResolvers<Answered>()
    const scene = newScene(() => gate.promise)
    const client = await scene.client()
    await arrives(scene, client, `${post(framing)}${before}half`)
    await scene.pass(HOUR)
    expect([client.size, client.ended, scene.listener.active]).toEqual([0, false, 1])
    gate.resolve(ok())
    expect((await client.answers(1))[0]?.fields.connection).toBe("close")
    await client.ends()
  })
})

test("the time for a body can be set", async () => {
  const scene = newScene(told, { receiveMs: 3_000 })
  const client = await scene.client()
  await arrives(scene, client, `${post("Content-Length: 5")}half`)
  await endsAfter(scene, client, 3_000)
  expect((await client.answers(1))[0]?.status).toBe(400)
})

describe("after an answer", () => {
  const welcomed = (request: Incoming): Answered => {
    if (request.target.path === "/friend") request.welcome()
    return ok()
  }
  const to = (path: string): string => GET.replace("/a", path)

  test.each([
    ["/friend", 60_000],
    ["/stranger", 10_000],
  ])("a connection rests for its time: %s for %d ms", async (path, ms) => {
    const scene = newScene(welcomed)
    const client = await scene.client()
    await scene.pass(7_000)
    await client.send(to(path))
    await client.answers(1)
    await endsAfter(scene, client, ms)
    await scene.gone(1)
    await client.answers(1)
  })

  test("a welcome holds for one request only", async () => {
    const scene = newScene(welcomed)
    const client = await scene.client()
    await client.send(to("/friend"))
    await client.answers(1)
    await scene.pass(50_000)
    await client.send(to("/stranger"))
    await client.answers(2)
    await endsAfter(scene, client, 10_000)
  })

  test.each(["/friend", "/stranger"])("the next head has 12 seconds, wherever it begins: %s", async (path) => {
    const scene = newScene(welcomed)
    const client = await scene.client()
    await client.send(to(path))
    await client.answers(1)
    await scene.pass(9_000)
    await arrives(scene, client, "GET /b")
    await endsAfter(scene, client, 12_000)
    expect((await client.answers(2))[1]?.status).toBe(408)
  })

  test("a head that came in parts is forgotten: the connection rests, and is closed without a word", async () => {
    const scene = newScene(welcomed)
    const client = await scene.client()
    await arrives(scene, client, to("/stranger").slice(0, 9))
    await client.send(to("/stranger").slice(9))
    await client.answers(1)
    await endsAfter(scene, client, 10_000)
    await client.answers(1)
    expect(scene.refused).toEqual([])
  })

  test("half a head gains no time by a socket that takes more, though nobody waits for that", async () => {
    const scene = newScene(welcomed)
    const client = await scene.client()
    await client.send(to("/friend"))
    await client.answers(1)
    await arrives(scene, client, "GET /b")
    await scene.pass(6_000)
    scene.tell.drain()
    await endsAfter(scene, client, 6_000)
    expect(scene.refused).toEqual([408])
  })

  test("empty lines gain no time", async () => {
    const scene = newScene(welcomed)
    const client = await scene.client()
    await client.send(to("/stranger"))
    await client.answers(1)
    for (let second = 1; second < 10; second++) {
      await scene.pass(1_000)
      await arrives(scene, client, "\r\n")
    }
    await endsAfter(scene, client, 1_000)
  })

  test("a body that nobody wanted is skipped for 12 seconds, however fast it comes", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    await client.send(post("Content-Length: 1000000"))
    await client.answers(1)
    for (let second = 1; second < 12; second++) {
      await scene.pass(1_000)
      await arrives(scene, client, Buffer.alloc(20_000))
    }
    await scene.pass(999)
    expect([client.closed, scene.counts.closed, scene.listener.active]).toEqual([false, 0, 0])
    await scene.pass(1 + LATE_MS)
    await scene.gone(1)
    await client.answers(1)
  })

  test("a client that takes nothing of it is cut when it has rested for too long, and not if it takes some", async () => {
    const size = 64 * 1024 * 1024
    const scene = newScene(() => new Reply(200, {}, new Uint8Array(size)))
    const client = await scene.client()
    client.socket.pause()
    await client.send(GET)
    await scene.received(GET.length)
    await settled()
    expect(scene.listener.active).toBe(1)
    await scene.pass(9_900)
    const { drained } = scene.counts
    while (scene.counts.drained === drained) await client.reads(client.size + 1024 * 1024)
    await scene.pass(9_900)
    expect(scene.counts.closed).toBe(0)
    await scene.pass(100 + LATE_MS)
    await scene.gone(1)
    expect(scene.listener.active).toBe(0)
  })
})

describe("once our side is closed", () => {
  const refusedOf = async (scene: Scene): Promise<Client> => {
    const client = await scene.client()
    await client.send("what?\r\n\r\n")
    await client.ends()
    return client
  }

  test("the client has 2 seconds to close its own", async () => {
    const scene = newScene(ok)
    const client = await refusedOf(scene)
    await scene.pass(1_999)
    expect(scene.counts.closed).toBe(0)
    await scene.pass(1 + LATE_MS)
    await scene.gone(1)
    expect((await client.answers(1))[0]?.status).toBe(400)
  })

  test("it gains no time by sending more, and nothing of that is served", async () => {
    const scene = newScene(ok)
    const client = await refusedOf(scene)
    for (let step = 0; step < 19; step++) {
      await scene.pass(100)
      await arrives(scene, client, GET)
    }
    await scene.pass(100 + LATE_MS)
    await scene.gone(1)
    expect(scene.refused).toEqual([400])
    await client.answers(1)
  })

  test("nothing is waited for where it closes first", async () => {
    const scene = newScene(ok)
    const client = await refusedOf(scene)
    client.socket.end()
    await scene.gone(1)
  })
})

describe("there is no limit", () => {
  test("while an answer is awaited, and the connection goes on after it", async () => {
    const gate = new Gate()
    const scene = newScene(gate.handle)
    const client = await scene.client()
    for (let i = 1; i <= 2; i++) {
      await arrives(scene, client, GET)
      await scene.pass(HOUR)
      expect([client.ended, scene.counts.closed, scene.listener.active]).toEqual([false, 0, 1])
      gate.open()
      expect((await client.answers(i))[i - 1]?.fields.connection).toBeUndefined()
    }
  })

  test("while an answer is awaited whose request has all of its body", async () => {
    const gate = Promise.withResolvers<void>()
    const scene = newScene(async (request) => {
      await gate.promise
      return told(request)
    })
    const client = await scene.client()
    await arrives(scene, client, `${post("Content-Length: 5")}ha`)
    await arrives(scene, client, "lf!")
    await scene.pass(HOUR)
    gate.resolve()
    const [answer] = await client.answers(1)
    expect([answer?.body.toString(), answer?.fields.connection]).toEqual(["5 bytes", undefined])
  })

  test("while one is streamed, whether it brings something or not, and is read or not", async () => {
    let sink: Sink | null = null
    const start = (given: Sink): void => {
      sink = given
      given.write(Buffer.from("first"))
    }
    const scene = newScene(() => new Reply(200, {}, { start }))
    const write = (bytes: Uint8Array): unknown => sink?.write(bytes)
    const client = await scene.client()
    await client.send(GET)
    await client.sees("first")
    await scene.pass(HOUR)
    client.socket.pause()
    while (!(write(new Uint8Array(1_000_000)) instanceof Promise)) await settled(1)
    await scene.pass(HOUR)
    expect([scene.counts.closed, scene.listener.active]).toEqual([0, 1])
  })
})
