import { describe, expect, test } from "bun:test"
import type { Incoming } from "../../../src/http/http1/incoming.ts"
import type { Answered } from "../../../src/http/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { Gate, named, to } from "./support/gate.ts"
import { scenes } from "./support/scene.ts"
import { settled, soon } from "./support/soon.ts"

const newScene = scenes()

describe("requests in a row", () => {
  const paths = Array.from({ length: 600 }, (_, i) => `/${i}`)

  test.each<[string, (request: Incoming, i: number) => Answered | Promise<Answered>]>([
    ["at once", named],
    ["later", async (request, i) => settled(i % 3).then(() => named(request))],
    ["now and then later", (request, i) => (i % 2 === 0 ? named(request) : settled(1).then(() => named(request)))],
    ["as Responses", ({ target }) => new Response(target.path)],
  ])("that come in one packet are answered in order, one after another: %s", async (_, handle) => {
    let count = 0
    let under = 0
    let most = 0
    const scene = newScene((request) => {
      most = Math.max(most, ++under)
      const answered = handle(request, count++)
      if (!(answered instanceof Promise)) {
        under--
        return answered
      }
      return answered.finally(() => under--)
    })
    const client = await scene.client()
    await client.send(paths.map((path) => to(path)).join(""))
    const answers = await client.answers(paths.length)
    expect(answers.map(({ body }) => body.toString())).toEqual(paths)
    expect(most).toBe(1)
  })

  test("are served though the last one comes in pieces, and each is answered before the next has come", async () => {
    const scene = newScene(named)
    const client = await scene.client()
    const sent = to("/a") + to("/b") + to("/c")
    const cut = sent.length - 9
    await client.send(sent.slice(0, cut))
    await client.answers(2)
    await client.send(sent.slice(cut))
    expect((await client.answers(3))[2]?.body.toString()).toBe("/c")
  })

  test("wait in the client beyond some, while one is answered, and all are served in the end", async () => {
    const gate = new Gate()
    const scene = newScene((request) => (request.target.path === "/0" ? gate.handle(request) : named(request)))
    const client = await scene.client()
    const all = Array.from({ length: 1_000 }, (_, i) => to(`/${i}`, `X-Fill: ${"x".repeat(8_000)}`))
    const sent = all.join("")
    void client.send(sent)
    await scene.received(64 * 1024)
    await settled(50)
    // One packet more than fits, since packets are taken whole.
    expect(scene.counts.received).toBeLessThan(1024 * 1024)
    gate.open()
    const answers = await client.answers(all.length)
    expect(answers.map(({ body }) => body.toString())).toEqual(all.map((_, i) => `/${i}`))
    expect(scene.counts.received).toBe(sent.length)
  })

  test("are served one after another, also where one comes just when the next is to be looked at", async () => {
    const gate = new Gate()
    const scene = newScene(gate.handle)
    const client = await scene.client()
    await client.send(to("/a") + to("/b"))
    await gate.has(1)
    gate.open()
    while (scene.listener.active > 0) await Promise.resolve()
    scene.tell.data(to("/c"))
    await settled()
    expect(gate.asked).toEqual(["/a", "/b"])
    gate.open()
    await gate.has(3)
    gate.open()
    expect((await client.answers(3)).map(({ body }) => body.toString())).toEqual(["/a", "/b", "/c"])
  })

  test("that lie here while one is answered are not served to a client that has left", async () => {
    const gate = new Gate()
    const scene = newScene(gate.handle)
    const client = await scene.client()
    await client.send(to("/a") + to("/b"))
    await gate.has(1)
    client.leave()
    await scene.gone(1)
    gate.open()
    await settled()
    expect(gate.asked).toEqual(["/a"])
  })

  test("are read and thrown away behind an answer that ends the connection", async () => {
    const gate = Promise.withResolvers<Answered>()
    const scene = newScene(() => gate.promise)
    const client = await scene.client()
    const sent = to("/a").repeat(100_000)
    void client.send(sent)
    await scene.received(64 * 1024)
    await settled(50)
    expect(scene.counts.received).toBeLessThan(sent.length)
    gate.resolve(new Reply(200, { connection: "close" }, "no more"))
    await scene.received(sent.length)
    await client.ends()
    await client.answers(1)
  })

  test.each(["\r\n", "\r\n\r\n\r\n\r\n"])("may have empty lines before them: %j", async (lines) => {
    const scene = newScene(named)
    const client = await scene.client()
    await client.send(lines)
    await scene.received(lines.length)
    await client.send(lines + to("/a") + lines + to("/b") + lines)
    expect((await client.answers(2)).map(({ body }) => body.toString())).toEqual(["/a", "/b"])
    expect(scene.refused).toEqual([])
  })
})

describe("what is no request", () => {
  test.each<[string, number, string, string | Uint8Array]>([
    ["a TLS hello", 400, "this port speaks plain HTTP", Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
    ["the preface of HTTP/2", 505, "only HTTP/1.1 is spoken here", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["HTTP/0.9", 400, "the first line is no request line", "GET /\r\n\r\n"],
    ["a greeting of another protocol", 400, "the first line is no request line", "EHLO example.org\r\n\r\n"],
    ["bytes", 400, "this is no HTTP/1.1 request", Buffer.from([0, 1, 2, 0xff])],
    ["lines without a CR", 400, "the head's lines end without a CR", "GET / HTTP/1.1\nHost: x\n\n"],
    ["an unknown method", 501, "the method is not known here", to("/").replace("GET", "BREW")],
    ["a line that goes on without end", 414, "target is longer than 16384 bytes", `GET /${"a".repeat(17_000)}`],
    [
      "a head without end",
      431,
      "the head is larger than 16384 bytes",
      to("/", `A: ${"a".repeat(17_000)}`).slice(0, -2),
    ],
    ["another expectation", 417, "only 100-continue is met", to("/", "Expect: tea")],
  ])("is told why, counted and logged, and is the last of its connection: %s", async (_, status, why, sent) => {
    const scene = newScene(named)
    const client = await scene.client()
    await client.send(sent)
    await scene.received(sent.length)
    // Its answer is not lost, though more comes than is looked at.
    await client.send(to("/next").repeat(3))
    await client.ends()
    const [answer] = await client.answers(1)
    const { error } = JSON.parse(answer?.body.toString() ?? "")
    expect(error.message).toContain(why)
    expect([answer?.status, answer?.fields.connection, answer?.fields["content-type"]]).toEqual([
      status,
      "close",
      "application/json",
    ])
    expect(scene.refused).toEqual([status])
    expect(scene.logged).toEqual([
      {
        level: "warn",
        event: "request not understood",
        fields: {
          request_id: answer?.fields["x-request-id"] ?? null,
          status,
          reason: error.message,
          address: "127.0.0.1",
        },
      },
    ])
  })

  test("is told behind the answers to what was one", async () => {
    const gate = new Gate()
    const scene = newScene(gate.handle)
    const client = await scene.client()
    await client.send(`${to("/a")}what?\r\n\r\n`)
    await gate.has(1)
    expect(scene.refused).toEqual([])
    gate.open()
    await client.ends()
    expect((await client.answers(2)).map(({ status }) => status)).toEqual([200, 400])
  })

  test("is no matter to anybody where nothing came of it", async () => {
    const scene = newScene(named)
    const client = await scene.client()
    await client.send("GET / HT")
    await scene.received(8)
    client.leave()
    await scene.gone(1)
    expect([scene.refused, scene.logged, scene.listener.active]).toEqual([[], [], 0])
  })
})

describe("a handler that breaks its word", () => {
  const oops = (): never => {
    throw new Error("oops")
  }
  test.each<[string, (request: Incoming) => Answered | Promise<Answered>]>([
    ["throws", oops],
    ["rejects", async () => oops()],
    ["rejects later", () => settled(2).then(oops)],
    ["throws while its stream begins", () => new Reply(200, {}, { start: oops })],
    ["throws while its stream begins, later", async () => new Reply(200, {}, { start: oops })],
  ])("and %s is logged, and only its connection ends", async (_, handle) => {
    const gate = new Gate()
    const scene = newScene((request) => {
      if (request.target.path === "/bad") return handle(request)
      return request.target.path === "/wait" ? gate.handle(request) : named(request)
    })
    const [bad, other] = await Promise.all([scene.client(), scene.client()])
    await other.send(to("/wait"))
    await gate.has(1)
    await bad.send(to("/good") + to("/bad") + to("/behind"))
    await bad.breaks()
    expect(bad.text).toContain("/good")
    expect(bad.text).not.toContain("/behind")
    gate.open()
    await other.answers(1)
    await other.send(to("/good"))
    await other.answers(2)
    expect(scene.logged).toHaveLength(1)
    expect(scene.logged[0]).toMatchObject({ level: "error", event: "connection failed by a defect" })
    expect(String(scene.logged[0]?.fields.error)).toContain("oops")
    expect(scene.listener.active).toBe(0)
  })

  test("once its client has left is logged, and nothing else happens", async () => {
    const { promise, reject } = Promise.withResolvers<Answered>()
    const scene = newScene(() => promise)
    const client = await scene.client()
    await client.send(to("/a"))
    await soon("it is served", () => scene.listener.active === 1)
    client.leave()
    await scene.gone(1)
    reject(new Error("oops"))
    await soon("it is logged", () => scene.logged.length === 1)
    expect(scene.counts).toMatchObject({ opened: 1, closed: 1 })
  })
})

test("a request knows its client's address", async () => {
  const seen: string[] = []
  const scene = newScene(({ address }) => {
    seen.push(address)
    return new Reply(200, {}, "ok")
  })
  const client = await scene.client()
  await client.send(to("/a"))
  await client.answers(1)
  expect(seen).toEqual(["127.0.0.1"])
})
