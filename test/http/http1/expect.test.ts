import { describe, expect, test } from "bun:test"
import type { Incoming } from "../../../src/http/http1/incoming.ts"
import type { Sink } from "../../../src/relay/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { spanOf, viewOf } from "../../../src/relay/span.ts"
import { scenes } from "./support/scene.ts"
import { settled, soon } from "./support/soon.ts"

const newScene = scenes()

const head = (...fields: readonly string[]): string => ["POST /a HTTP/1.1", "Host: x", ...fields, "", ""].join("\r\n")

describe("a client that waits for a 100", () => {
  const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
  const waiting = head("Expect: 100-continue", "Content-Length: 4")

  test.each<[string, (request: Incoming) => Promise<Uint8Array>]>([
    ["all of it", (request) => request.bytes()],
    ["all of it, if it is there", async (request) => viewOf(request.whole() ?? spanOf(await request.bytes()))],
    ["it bit by bit", async ({ body }) => Buffer.from((await body?.getReader().read())?.value ?? [])],
  ])("is told to go on, once, when somebody wants %s", async (_, read) => {
    const scene = newScene(async (request) => new Reply(200, {}, await read(request)))
    const client = await scene.client()
    await client.send(waiting)
    await client.sees("\r\n\r\n")
    await settled()
    expect(client.text).toBe(CONTINUE)
    await client.send("body")
    expect((await client.answers(1))[0]?.body.toString()).toBe("body")
    expect(client.text.split(CONTINUE)).toHaveLength(2)
  })

  test("is told so when the body comes to be wanted, and not before", async () => {
    const gate = Promise.withResolvers<void>()
    const scene = newScene(async (request) => {
      expect(request.whole()).toBeNull()
      await gate.promise
      return new Reply(200, {}, await request.bytes())
    })
    const client = await scene.client()
    await client.send(waiting)
    await scene.received(waiting.length)
    await settled()
    expect(client.size).toBe(0)
    gate.resolve()
    await client.sees(CONTINUE)
    await client.send("body")
    await client.answers(1)
  })

  test.each([
    ["all of the body came already", `${waiting}body`, ""],
    ["some of the body came already", `${waiting}b`, "ody"],
    ["it speaks HTTP/1.0", waiting.replace("HTTP/1.1", "HTTP/1.0"), "body"],
    ["it has no body", head("Expect: 100-continue", "Content-Length: 0"), ""],
  ])("is told nothing if %s", async (_, sent, more) => {
    const scene = newScene(async (request) => new Reply(200, {}, await request.bytes()))
    const client = await scene.client()
    await client.send(sent)
    await scene.received(sent.length)
    await settled()
    if (more !== "") await client.send(more)
    await client.answers(1)
    expect(client.text).not.toContain("100")
  })

  test("is told so for each request of a connection", async () => {
    const scene = newScene(async (request) => new Reply(200, {}, await request.bytes()))
    const client = await scene.client()
    for (let i = 1; i <= 3; i++) {
      await client.send(waiting)
      await soon("it may go on", () => client.text.split(CONTINUE).length === i + 1)
      await client.send("body")
      await client.answers(i)
    }
  })

  test("is told nothing in the middle of a stream", async () => {
    const scene = newScene((request) => {
      const start = (sink: Sink): void => {
        sink.write(Buffer.from("a"))
        request.bytes().catch(() => undefined)
        sink.write(Buffer.from("b"))
        sink.close()
      }
      return new Reply(200, {}, { start })
    })
    const client = await scene.client()
    await client.send(waiting)
    expect((await client.answers(1))[0]?.body.toString()).toBe("ab")
    expect(client.text).not.toContain("100")
  })

  test("is told nothing but the answer if nobody wants the body, or only once the answer has begun", async () => {
    const scene = newScene((request) => {
      if (request.target.path === "/late") queueMicrotask(() => void request.bytes().catch(() => undefined))
      return new Reply(401, { connection: "close" }, "no")
    })
    for (const path of ["/a", "/late"]) {
      const client = await scene.client()
      await client.send(waiting.replace("/a", path))
      await client.ends()
      expect((await client.answers(1))[0]?.status).toBe(401)
      expect(client.text).not.toContain("100")
    }
  })
})
