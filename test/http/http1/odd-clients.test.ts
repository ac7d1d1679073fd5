/** What strange clients and strange handlers do to a connection, and what must not come of it. */
import { describe, expect, test } from "bun:test"
import type { Answered } from "../../../src/http/ports.ts"
import type { Sink } from "../../../src/relay/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { within } from "../../support/wait.ts"
import { Gate, named, to } from "./support/gate.ts"
import { scenes } from "./support/scene.ts"
import { settled, soon } from "./support/soon.ts"

const newScene = scenes()

const ok = (): Answered => new Reply(200, {}, "ok")
const never = (): Promise<Answered> => new Promise(() => undefined)
const post = (...fields: readonly string[]): string => ["POST /a HTTP/1.1", "Host: x", ...fields, "", ""].join("\r\n")
/** A stream that says one word at once. */
const says = (word: string) => ({
  start(sink: Sink): void {
    sink.write(Buffer.from(word))
    sink.close()
  },
})

describe("bytes that nobody has room for", () => {
  test("wait in the client that sends requests without end, also once some are answered", async () => {
    const gate = new Gate()
    const scene = newScene(gate.handle)
    const client = await scene.client()
    void client.send(to("/a").repeat(1_000_000)).catch(() => undefined)
    await scene.received(64 * 1024)
    for (let i = 1; i <= 20; i++) {
      await gate.has(i)
      gate.open()
      await settled(20)
    }
    const { received } = scene.counts
    client.socket.resetAndDestroy()
    expect(received).toBeLessThan(2 * 1024 * 1024)
  })

  test("wait in the client that does not read his answer", async () => {
    const scene = newScene(() => new Reply(200, {}, new Uint8Array(32 << 20)))
    const client = await scene.client()
    client.socket.pause()
    await client.send(to("/a"))
    await soon("the request is there", () => scene.counts.received > 0)
    void client.send(Buffer.alloc(32 << 20, to("/b"))).catch(() => undefined)
    await settled(3_000)
    const { received } = scene.counts
    client.socket.resetAndDestroy()
    expect(received).toBeLessThan(2 << 20)
  })
})

describe("an empty line too much", () => {
  test("may be cut between its two bytes", async () => {
    const scene = newScene(named)
    const client = await scene.client()
    await client.send("\r")
    await scene.received(1)
    await client.send(`\n${to("/a")}`)
    expect((await client.answers(1))[0]?.status).toBe(200)
  })
})

describe("a body that the client waits to be asked for", () => {
  test("is asked for once, however often it is looked at", async () => {
    const scene = newScene(async (request) => {
      if (request.body === null) return ok()
      return new Reply(200, {}, Buffer.from((await request.body.getReader().read()).value ?? []))
    })
    const client = await scene.client()
    await client.send(post("Expect: 100-continue", "Content-Length: 4"))
    await client.sees("\r\n\r\n")
    await settled()
    await client.send("body")
    await client.answers(1)
    expect(client.text.split("100 Continue")).toHaveLength(2)
  })

  test("and is not asked for may come or not: nothing behind it is read", async () => {
    const seen: string[] = []
    const scene = newScene(({ target }) => {
      seen.push(target.path)
      return new Reply(401, {}, "no")
    })
    const client = await scene.client()
    await client.send(post("Expect: 100-continue", "Content-Length: 20"))
    const [answer] = await client.answers(1)
    expect(answer?.fields.connection).toBe("close")
    await client.send(to("/behind"))
    await settled(50)
    expect(seen).toEqual(["/a"])
  })
})

test("a client is not too slow while he is held back", async () => {
  const gate = Promise.withResolvers<void>()
  let heard = ""
  const scene = newScene(async (request) => {
    await gate.promise
    heard = await request.bytes().then((bytes) => String(bytes.length), String)
    return ok()
  })
  const client = await scene.client()
  void client.send(Buffer.concat([Buffer.from(post("Content-Length: 3000000")), Buffer.alloc(3_000_000)]))
  await scene.received(256 * 1024)
  await settled(20)
  await scene.pass(15_000)
  gate.resolve()
  await client.answers(1)
  expect(heard).toBe("3000000")
})

describe("an answer without a body", () => {
  test.each<[string, string, number]>([
    ["to HEAD", to("/a").replace("GET", "HEAD"), 200],
    ["by its status", to("/a"), 204],
  ])("has none of a stream either (%s), and the next one is where it belongs", async (_, request, status) => {
    const scene = newScene(({ target }) => (target.path === "/a" ? new Reply(status, {}, says("hidden")) : ok()))
    const client = await scene.client()
    await client.send(request)
    await client.sees("\r\n\r\n")
    await client.send(to("/b"))
    await client.sees("ok")
    expect(client.text).not.toContain("hidden")
    expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`, "HTTP/1.1 200"])
  })
})

describe("a body's reader", () => {
  test.each<[string, Record<string, string>]>([
    ["the connection ends with it", { connection: "close" }],
    ["the rest is passed over", {}],
  ])("hears that the answer was given without it, where %s", async (_, fields) => {
    let heard = ""
    const scene = newScene((request) => {
      request.bytes().then(
        (bytes) => {
          heard = `${bytes.length} bytes`
        },
        (error) => {
          heard = String(error)
        },
      )
      return new Reply(413, fields, "no")
    })
    const client = await scene.client()
    await client.send(post("Content-Length: 20"))
    await client.answers(1)
    await soon("it has heard", () => heard !== "")
    expect(heard).toContain("answered before its body was read")
  })
})

test("a stream that goes on when it has ended changes no other answer", async () => {
  const sinks: Sink[] = []
  const scene = newScene(({ target }) => {
    if (target.path !== "/s") return never()
    const start = (sink: Sink): void => {
      sinks.push(sink)
      sink.close()
    }
    return new Reply(200, {}, { start })
  })
  const client = await scene.client()
  await client.send(to("/s") + to("/b"))
  await settled(20)
  const [sink] = sinks
  sink?.write(Buffer.from("stale"))
  sink?.close()
  await settled(20)
  expect(sinks).toHaveLength(1)
  expect(client.text).not.toContain("stale")
  expect(scene.listener.active).toBe(1)
})

test("an answer of the runtime's kind is given up when its client leaves", async () => {
  let cancelled = 0
  let pulled = 0
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      pulled++
      await Bun.sleep(1)
      controller.enqueue(new Uint8Array(1_000))
    },
    cancel() {
      cancelled++
    },
  })
  const scene = newScene(() => new Response(body))
  const client = await scene.client()
  await client.send(to("/a"))
  await soon("some of it was made", () => pulled > 3)
  client.leave()
  await soon("it is cancelled", () => cancelled === 1)
})

describe("a stop", () => {
  test("in haste ends what a gentle one waits for, and both", async () => {
    const scene = newScene(never)
    const client = await scene.client()
    await client.send(to("/a"))
    await soon("it is served", () => scene.listener.active === 1)
    const gentle = scene.listener.stop(false)
    await within("the hasty one", scene.listener.stop(true), 5_000)
    await within("the gentle one", gentle, 5_000)
  })

  test("does not wait for a body that nobody wants", async () => {
    const scene = newScene(ok)
    const client = await scene.client()
    await client.send(post("Content-Length: 20"))
    await client.answers(1)
    expect(scene.listener.active).toBe(0)
    const stopped = scene.listener.stop(false)
    await client.ends()
    client.leave()
    await within("the stop", stopped, 5_000)
  })
})

test("a connection is forgotten although somebody fails to bear that its client left", async () => {
  const scene = newScene((request) => {
    request.signal.addEventListener("abort", () => {
      expect(scene.listener.active).toBe(0)
    })
    return never()
  })
  const client = await scene.client()
  await client.send(to("/a"))
  await soon("it is served", () => scene.listener.active === 1)
  client.leave()
  await scene.gone(1)
  await within("the stop", scene.listener.stop(false), 5_000)
})
