/** Requests that are wrong on the wire: B1 to B5, B7 to B9. None of them may run, reach the upstream, or harm the next one. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test"
import { type RawAnswer, type RawOptions, sendRaw, statuses } from "../support/raw.ts"
import { requestText } from "../support/request-text.ts"
import { startWorld, type World } from "../support/world.ts"

const MODEL = "gemini-2.5-pro"
const UNARY = `/geminicli/v1beta/models/${MODEL}:generateContent`
const BODY = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "hi" }] }] })

let world: World
let port = 0

beforeAll(async () => {
  world = await startWorld()
  port = Number(new URL(world.pollux.url).port)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})
afterEach(async () => {
  expect((await fetch(`${world.pollux.url}/healthz`)).status).toBe(200)
  expect(world.pollux.log().filter(({ level }) => level === "error")).toEqual([])
})

const send = (text: string, options: Partial<RawOptions> = {}) =>
  sendRaw(text, { port, ms: 2_000, until: /\r\n\r\n/, ...options })

/** Header lines of a generate request that would be served if nothing else were wrong with it. */
const goodHeaders = () => `Host: localhost\r\nx-goog-api-key: ${world.pollux.key}\r\nContent-Type: application/json\r\n`
const post = (headers: string, body = BODY) => `POST ${UNARY} HTTP/1.1\r\n${goodHeaders()}${headers}\r\n${body}`

const served = () => world.google.requests.filter(({ endpoint }) => endpoint === "generateContent").length

/** Refused with one of the codes, in one answer; and then the connection is of no more use. */
async function expectRefused(text: string, codes: readonly number[]): Promise<RawAnswer> {
  const before = served()
  const second = requestText("GET", "/healthz")
  const answer = await send(text + second, { until: /never/ })
  const [first, ...more] = statuses(answer)
  expect(codes).toContain(first ?? 0)
  expect(more).toEqual([])
  expect(answer.closed).toBe(true)
  expect(served()).toBe(before)
  return answer
}

const length = Buffer.byteLength(BODY)

test("the request that the others are spoilt from is served", async () => {
  expect(statuses(await send(post(`Content-Length: ${length}\r\n`)))).toEqual([200])
})

test.each([
  ["a length and a transfer coding", `Content-Length: ${length}\r\nTransfer-Encoding: chunked\r\n`, "0\r\n\r\n"],
  ["a transfer coding and a length", `Transfer-Encoding: chunked\r\nContent-Length: ${length}\r\n`, "0\r\n\r\n"],
  ["an unknown transfer coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"],
  ["chunked that is not the last coding", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"],
  ["two lengths that differ", `Content-Length: ${length}\r\nContent-Length: ${length + 1}\r\n`, BODY],
  ["two lengths in one header", `Content-Length: ${length}, ${length + 1}\r\n`, BODY],
  ["a length with a plus", `Content-Length: +${length}\r\n`, BODY],
  ["a negative length", "Content-Length: -1\r\n", ""],
  ["a length in hex", "Content-Length: 0x5\r\n", BODY],
])("B1: %s is answered 400, and the connection ends", async (_, headers, body) => {
  await expectRefused(post(headers, body), [400])
})

test.each([
  ["a chunk that is longer than it says", "3\r\nabcXX0\r\n\r\n"],
  ["a size beyond 64 bits", "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"],
  ["a size that is no number", "zz\r\nabc\r\n0\r\n\r\n"],
  ["a negative size", "-3\r\nabc\r\n0\r\n\r\n"],
])("B2: %s is answered 400, and the connection ends", async (_, body) => {
  await expectRefused(post("Transfer-Encoding: chunked\r\n", body), [400])
})

test("B3: of a request behind two stray bytes after the last chunk, nothing runs", async () => {
  const before = served()
  const chunked = `${length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`
  const second = post(`Content-Length: ${length}\r\n`)
  const answer = await send(`${post("Transfer-Encoding: chunked\r\n", chunked)}XX${second}`, { until: /never/ })
  expect(answer.closed).toBe(true)
  expect(statuses(answer).filter((code) => code === 200).length).toBeLessThanOrEqual(1)
  expect(served() - before).toBeLessThanOrEqual(1)
})

test.each([
  ["bare line feeds", "GET /healthz HTTP/1.1\nHost: localhost\n\n"],
  ["HTTP/9.9", "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n"],
  ["a version of one digit", "GET /healthz HTTP/1\r\nHost: localhost\r\n\r\n"],
  ["no version", "GET /healthz\r\nHost: localhost\r\n\r\n"],
  ["a NUL in the target", "GET /healthz\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"],
])("B4: %s is answered with a 4xx or 505", async (_, text) => {
  const answer = await send(text)
  const [code] = statuses(answer)
  // A peer that speaks no HTTP/1.1 may be told nothing at all.
  if (code === undefined) expect(answer.closed).toBe(true)
  else expect([400, 426, 505]).toContain(code)
  expect(answer.text).not.toContain("ok\n")
})

test.each([
  ["a space before the colon", "GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n"],
  ["a folded header", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n"],
  ["a NUL in a header", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b\0c\r\n\r\n"],
  ["a bare CR in a header", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-B: c\r\n\r\n"],
  ["a header without a name", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n"],
  ["no Host", "GET /healthz HTTP/1.1\r\n\r\n"],
])("B5: %s is answered 400", async (_, text) => {
  expect(statuses(await send(text))).toEqual([400])
})

test.each([
  ["17 KiB in one header", { "x-a": "a".repeat(17_000) }, "/healthz"],
  ["250 headers", Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`x-${index}`, "a"])), "/healthz"],
  ["a target of 17 KiB", {}, `/healthz?${"a".repeat(17_000)}`],
])("B7: %s is answered 414 or 431", async (_, headers, target) => {
  expect([414, 431]).toContain(statuses(await send(requestText("GET", target, headers)))[0] ?? 0)
})

test("B8: who connects and says nothing, or sends its head or its body in drops, is let go within 16 s", async () => {
  const drip = (bytes: string) => Array.from({ length: 20 }, (_, index) => ({ after: index * 1_000, bytes }))
  const head = `POST ${UNARY} HTTP/1.1\r\n${goodHeaders()}Content-Length: 100000\r\n\r\n`
  const slow = {
    "a silent connection": sendRaw("", { port, ms: 20_000 }),
    "half a head": sendRaw("POST / HTTP/1.1\r\nHost: local", { port, ms: 20_000 }),
    "a head in drops": sendRaw("POST / HTTP/1.1\r\n", { port, ms: 20_000, later: drip("X-A: b\r\n") }),
    "no body": sendRaw(head, { port, ms: 20_000 }),
    "a body in drops": sendRaw(head, { port, ms: 20_000, later: drip("a") }),
  }
  /** What each is told; who has said nothing is told nothing. */
  const told: Record<keyof typeof slow, readonly number[]> = {
    "a silent connection": [],
    "half a head": [408],
    "a head in drops": [408],
    "no body": [400],
    "a body in drops": [400],
  }
  const before = served()
  for (const [name, sent] of Object.entries(slow)) {
    const answer = await sent
    expect({ name, closed: answer.closed }).toEqual({ name, closed: true })
    expect({ name, codes: statuses(answer) }).toEqual({ name, codes: Reflect.get(told, name) })
    expect(answer.ms).toBeLessThan(16_500)
  }
  expect(served()).toBe(before)
}, 30_000)

test.each([
  [
    "without a Host",
    (key: string) => `GET /healthz HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx: ${key}\r\n\r\n`,
    [400],
  ],
  [
    "to h2c",
    (key: string) =>
      requestText("GET", "/geminicli/v1beta/models", {
        "x-goog-api-key": key,
        upgrade: "h2c",
        connection: "Upgrade, HTTP2-Settings",
        "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA",
      }),
    [200],
  ],
  [
    "to a WebSocket where there is none, with a body",
    (key: string) =>
      requestText(
        "POST",
        UNARY,
        {
          "x-goog-api-key": key,
          "content-type": "application/json",
          upgrade: "websocket",
          connection: "Upgrade",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          "sec-websocket-version": "13",
        },
        BODY,
      ),
    [200, 400, 426],
  ],
  [
    "to a WebSocket where the Codex client tries one",
    (key: string) =>
      requestText("GET", "/codex/v1/responses", {
        authorization: `Bearer ${key}`,
        upgrade: "websocket",
        connection: "Upgrade",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
      }),
    [426],
  ],
])("B9: an upgrade %s opens no tunnel", async (_, text, codes) => {
  const answer = await send(text(world.pollux.key), { later: [{ after: 100, bytes: "\x81\x05hello" }] })
  expect(codes).toContain(statuses(answer)[0] ?? 0)
  expect(answer.text).not.toContain(" 101 ")
})
