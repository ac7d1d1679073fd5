import { describe, expect, test } from "bun:test"
import type { Incoming } from "../../../src/http/http1/incoming.ts"
import type { Answered } from "../../../src/http/ports.ts"
import type { ReplyFields } from "../../../src/relay/headers.ts"
import type { Sink } from "../../../src/relay/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { pattern } from "./support/pattern.ts"
import { type Scene, scenes } from "./support/scene.ts"
import { settled } from "./support/soon.ts"

const newScene = scenes()

const GET = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
const of = (method: string, version = "1.1", ...fields: readonly string[]): string =>
  [`${method} /a HTTP/${version}`, "Host: x", ...fields, "", ""].join("\r\n")

const outflow = (write: (sink: Sink) => void, fields: ReplyFields = {}): Reply =>
  new Reply(200, fields, { start: write })

/** A stream of one piece. */
const piece = (bytes: Uint8Array, fields: ReplyFields = {}): Reply =>
  outflow((sink) => {
    sink.write(bytes)
    sink.close()
  }, fields)

const EVENTS = { "content-type": "text/event-stream" }

function eventStream(...parts: readonly string[]): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of parts) controller.enqueue(Buffer.from(part))
      controller.close()
    },
  })
  return new Response(body, { headers: EVENTS })
}

describe("a whole answer", () => {
  const long = "ä€😀\0x".repeat(40_000)

  test.each<[string, () => Answered, string]>([
    ["a text", () => new Reply(200, {}, "ok"), "ok"],
    ["a text that is not ASCII", () => new Reply(200, {}, "grüße, 世界 😀"), "grüße, 世界 😀"],
    ["half a character", () => new Reply(200, {}, "x\ud83d"), "x\ufffd"],
    ["a long text", () => new Reply(200, {}, long), long],
    ["a text as long as may be put together", () => new Reply(200, {}, "ä".repeat(65_536)), "ä".repeat(65_536)],
    ["a text longer than that", () => new Reply(200, {}, `${"ä".repeat(65_536)}.`), `${"ä".repeat(65_536)}.`],
    ["no text", () => new Reply(200, {}, ""), ""],
    ["bytes", () => new Reply(200, {}, Buffer.from("bytes")), "bytes"],
    ["no bytes", () => new Reply(200, {}, new Uint8Array(0)), ""],
    ["many bytes", () => new Reply(200, {}, Buffer.alloc(3_000_000, "abc")), "abc".repeat(1_000_000)],
    ["a Response", () => new Response("grüße"), "grüße"],
    ["a Response without a body", () => new Response(null), ""],
    ["a Response of bytes", () => new Response(Buffer.from(long)), long],
    ["a Response that is a stream, but not of events", () => new Response(eventStream("a", "b").body), "ab"],
  ])("%s comes whole, with its length", async (_, make, body) => {
    const scene = newScene(make)
    const client = await scene.client()
    await client.send(GET + GET)
    const answers = await client.answers(2)
    for (const answer of answers) {
      expect(answer.body.toString() === body).toBe(true)
      expect(answer.fields["content-length"]).toBe(String(Buffer.byteLength(body)))
      expect(answer.fields.date).toBe(new Date(scene.time.wall()).toUTCString())
      expect(answer.fields.connection).toBeUndefined()
    }
  })

  test("tells the time at which it was made", async () => {
    const scene = newScene(() => new Reply(200, {}, "ok"))
    const client = await scene.client()
    const dates: string[] = []
    for (let i = 1; i <= 3; i++) {
      await client.send(GET)
      await client.answers(i)
      dates.push(new Date(scene.time.wall()).toUTCString())
      await scene.pass(4_000)
    }
    expect((await client.answers(3)).map(({ fields }) => fields.date ?? "")).toEqual(dates)
    expect(new Set(dates).size).toBe(3)
  })

  test("has its fields and those of its own, but our framing", async () => {
    const fields = { "content-type": "a/b", "content-length": "7", "transfer-encoding": "gzip", date: "today" }
    const scene = newScene(() => {
      const made = new Reply(429, fields, "slow")
      made.set("retry-after", "3")
      return made
    })
    const client = await scene.client()
    await client.send(GET)
    const [answer] = await client.answers(1)
    const { date, ...others } = answer?.fields ?? {}
    expect(answer?.status).toBe(429)
    expect(date).not.toBe("today")
    expect(others).toEqual({ "content-type": "a/b", "content-length": "4", "retry-after": "3" })
  })

  test("of a Response has all of its cookies", async () => {
    const headers = new Headers([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-one", "1"],
    ])
    const scene = newScene(() => new Response("", { headers }))
    const client = await scene.client()
    await client.send(GET)
    await client.sees("\r\n\r\n")
    expect(client.text).toMatch(/set-cookie: a=1\r\n(.*\r\n)*?set-cookie: b=2\r\n/)
    expect(client.text).toContain("x-one: 1\r\n")
  })
})

describe("an answer without a body", () => {
  test.each<[string, () => Answered, string | undefined]>([
    ["a text", () => new Reply(200, {}, "größe"), "7"],
    ["bytes", () => new Reply(200, {}, new Uint8Array(200_000)), "200000"],
    ["a Response", () => new Response("text"), "4"],
    ["a stream of events", () => eventStream("data: 1\n\n"), undefined],
  ])("for HEAD: of %s only the head is sent", async (_, make, length) => {
    const scene = newScene(make)
    const client = await scene.client()
    await client.send(of("HEAD") + of("HEAD"))
    const answers = await client.answers(2, ["HEAD", "HEAD"])
    expect(answers.map(({ fields }) => fields["content-length"])).toEqual([length, length])
  })

  test.each([204, 304])("by its status: %d", async (status) => {
    const scene = newScene(({ target }) => {
      if (target.path === "/text") return new Reply(status, {}, "text")
      return target.path === "/none" ? new Response(null, { status }) : new Reply(status, {}, new Uint8Array(3))
    })
    const client = await scene.client()
    await client.send(GET + GET.replace("/a", "/text") + GET.replace("/a", "/none"))
    for (const { fields } of await client.answers(3)) {
      expect(fields).not.toHaveProperty("content-length")
      expect(fields).not.toHaveProperty("transfer-encoding")
    }
  })

  test("for HEAD: a stream that nobody reads is given up", async () => {
    let cancelled = 0
    const scene = newScene(() => {
      const body = new ReadableStream<Uint8Array>({ cancel: () => void cancelled++ })
      return new Response(body, { headers: EVENTS })
    })
    const client = await scene.client()
    await client.send(of("HEAD"))
    await client.answers(1, ["HEAD"])
    expect(cancelled).toBe(1)
  })
})

describe("whether the connection goes on", () => {
  const KEPT = undefined
  test.each<[string, readonly string[], ReplyFields, string | undefined]>([
    ["1.1", [], {}, KEPT],
    ["1.1", ["Connection: keep-alive"], {}, KEPT],
    ["1.1", ["Connection: close"], {}, "close"],
    ["1.1", ["Connection: CLOSE, x"], {}, "close"],
    ["1.1", ["Connection: x", "Connection: close"], {}, "close"],
    ["1.1", [], { connection: "close" }, "close"],
    ["1.1", ["Connection: close"], { connection: "close" }, "close"],
    ["1.2", [], {}, KEPT],
    ["1.0", [], {}, "close"],
    ["1.0", ["Connection: close, keep-alive"], {}, "close"],
    ["1.0", ["Connection: Keep-Alive"], {}, "keep-alive"],
    ["1.0", ["Connection: keep-alive"], { connection: "close" }, "close"],
  ])("HTTP/%s %j, answered with %j: %j", async (version, asked, fields, said) => {
    const makes: readonly (() => Answered)[] = [
      () => new Reply(200, fields, "ok"),
      () => new Reply(204, fields, ""),
      () => new Response("ok", { headers: Object.entries(fields).map(([name, value]) => [name, String(value)]) }),
    ]
    for (const make of makes) {
      const scene = newScene(make)
      const client = await scene.client()
      await client.send(of("GET", version, ...asked))
      expect((await client.answers(1))[0]?.fields.connection).toBe(said)
      if (said === "close") {
        await client.ends()
        await scene.gone(1)
        continue
      }
      await client.send(of("GET", version, "Connection: close"))
      await client.ends()
      await client.answers(2)
    }
  })

  test("is not for a request behind one that was to be the last", async () => {
    let served = 0
    const scene = newScene(() => new Reply(200, {}, String(++served)))
    const client = await scene.client()
    await client.send(of("GET", "1.1", "Connection: close") + GET)
    await client.ends()
    await client.answers(1)
    expect(served).toBe(1)
  })

  test.each<[string, () => Answered]>([
    ["an Outflow", () => piece(Buffer.from("data: 1\n\n"), EVENTS)],
    ["a Response", () => eventStream("data: 1\n\n")],
  ])("is for a stream of HTTP/1.1, and not for one of HTTP/1.0, which its end ends: %s", async (_, make) => {
    const scene = newScene(make)
    const recent = await scene.client()
    await recent.send(GET + of("GET", "1.1", "Connection: close"))
    await recent.ends()
    const answers = await recent.answers(2)
    expect(answers.map(({ fields }) => fields.connection)).toEqual([undefined, "close"])
    for (const { body, chunks } of answers) {
      expect(body.toString()).toBe("data: 1\n\n")
      expect(chunks).toEqual([9, 0])
    }
    const old = await scene.client()
    await old.send(of("GET", "1.0", "Connection: keep-alive"))
    await old.ends()
    const [answer] = await old.answers(1)
    expect([answer?.body.toString(), answer?.chunks, answer?.fields.connection]).toEqual(["data: 1\n\n", null, "close"])
  })
})

describe("what must not be written", () => {
  const cut = async (scene: Scene): Promise<string> => {
    const client = await scene.client()
    await client.send(GET)
    await client.breaks()
    expect(scene.logged.map(({ level, event }) => [level, event])).toEqual([["error", "connection failed by a defect"]])
    return client.text
  }

  test.each<[string, string]>([
    ["a line end", "a\r\nx: y"],
    ["a LF", "a\nb"],
    ["what becomes a line end when it is cut down to a byte", "a\u010ab"],
  ])("is a field that holds %s: nothing of the answer is", async (_, value) => {
    expect(await cut(newScene(() => new Reply(200, { "x-a": value }, "ok")))).toBe("")
    expect(await cut(newScene(() => outflow((sink) => sink.close(), { "x-a": value })))).toBe("")
    expect(await cut(newScene(async () => new Reply(200, { "x-a": value }, "ok")))).toBe("")
  })

  test("is the end of a stream that broke", async () => {
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(Buffer.from("data: 1\n\n"))
        await settled()
        controller.error(new Error("broke"))
      },
    })
    const text = await cut(newScene(() => new Response(body, { headers: EVENTS })))
    expect(text).not.toContain("\r\n0\r\n")
  })

  test("is an answer whose body cannot be read", async () => {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(new Error("broke")) })
    expect(await cut(newScene(() => new Response(body)))).toBe("")
  })

  test("is an answer whose client has left: it is given up", async () => {
    const gate = Promise.withResolvers<Answered>()
    let cancelled = false
    let asked: Incoming | null = null
    const scene = newScene((request) => {
      asked = request
      return gate.promise
    })
    const client = await scene.client()
    await client.send(GET)
    await scene.received(GET.length)
    client.leave()
    await scene.gone(1)
    const body = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true
      },
    })
    gate.resolve(new Response(body, { headers: EVENTS }))
    await settled()
    expect(cancelled).toBe(true)
    expect(asked).toHaveProperty("signal.aborted", true)
    expect(scene.logged).toEqual([])
  })
})

test("answers to many clients at once are not mixed up", async () => {
  const scene = newScene(async ({ target: { path } }) => {
    await settled(1)
    if (path.endsWith("0")) return piece(pattern(70_000, Number(path.slice(1))))
    return new Reply(200, {}, path.repeat(1_000))
  })
  const clients = await Promise.all(Array.from({ length: 40 }, () => scene.client()))
  await Promise.all(clients.map((client, i) => client.send(GET.replace("/a", `/${i}`).repeat(3))))
  for (const [i, client] of clients.entries()) {
    const body = i % 10 === 0 ? pattern(70_000, i) : Buffer.from(`/${i}`.repeat(1_000))
    for (const answer of await client.answers(3)) expect(answer.body.equals(body)).toBe(true)
  }
})
