/** What Bun and the libraries do by default and Pollux must not: each on the compiled executable, over real sockets (spec platform 0). */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { type Running, StartFailure, startPollux } from "../support/binary.ts"
import { startRawWorld, streamed } from "../support/raw-upstream.ts"
import { until, within } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

const MODEL = "gemini-2.5-pro"
const STREAM = `/geminicli/v1beta/models/${MODEL}:streamGenerateContent?alt=sse`
const UNARY = `/geminicli/v1beta/models/${MODEL}:generateContent`
const said = (prompt: string) => `Hello from ${MODEL}. You said: "${prompt}". 日本語 \u{1F600} and that is all.`
const bodyOf = (prompt: string) => JSON.stringify({ contents: [{ role: "user", parts: [{ text: prompt }] }] })

let world: World

beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

interface Answered {
  readonly status: number
  readonly text: string
}

/** A POST by node:http, which unlike `fetch` here has no limit on requests at once. */
function post(pollux: Running, path: string, body: string, headers: Record<string, string> = {}): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>()
  const sent = request(
    `${pollux.url}${path}`,
    {
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json", "x-goog-api-key": pollux.key, ...headers },
    },
    (response) => {
      const chunks: Buffer[] = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", reject)
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") })
      })
    },
  )
  sent.on("error", reject)
  sent.end(body)
  return promise
}

/** All text of a Gemini event stream. */
function textOf(stream: string): string {
  return stream
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .flatMap((line) => JSON.parse(line.slice(5)).candidates?.[0]?.content?.parts ?? [])
    .map((part: { text?: string }) => part.text ?? "")
    .join("")
}

test("more than 256 requests are upstream at once, and all streams arrive whole (T5)", async () => {
  const count = 320
  world.google.fault({ on: "streamGenerateContent", times: count, stream: { kind: "pause", after: 1, ms: 4_000 } })
  const streams = Array.from({ length: count }, (_, index) => post(world.pollux, STREAM, bodyOf(`number ${index}`)))
  await until("all of them are upstream at once", () => world.google.open() >= count, 8_000)
  const answers = await Promise.all(streams)
  expect(answers.filter(({ status }) => status !== 200)).toEqual([])
  expect(answers.map(({ text }) => textOf(text))).toEqual(answers.map((_, index) => said(`number ${index}`)))
})

test("silence longer than the idle timeouts of Bun.serve and Elysia cuts neither a stream nor a slow answer (T7)", async () => {
  const silence = 33_000
  world.google.fault({ on: "streamGenerateContent", stream: { kind: "pause", after: 2, ms: silence } })
  world.google.fault({ on: "generateContent", delayMs: silence })
  const [stream, unary] = await Promise.all([
    post(world.pollux, STREAM, bodyOf("slow stream")),
    post(world.pollux, UNARY, bodyOf("slow answer")),
  ])
  expect(textOf(stream.text)).toBe(said("slow stream"))
  // The silence was filled with what Google's clients understand: the next event's beginning, and white space.
  expect(stream.text).toMatch(/^data: {2,}\{/m)
  expect(JSON.parse(unary.text).candidates[0].content.parts[0].text).toBe(said("slow answer"))
})

test("an upstream that writes single bytes breaks no character (T1)", async () => {
  world.google.fault({ on: "streamGenerateContent", stream: { kind: "wire", pieceBytes: 1, eol: "\r\n" } })
  const { text } = await post(world.pollux, STREAM, bodyOf("日本語\u{1F600}"))
  expect(textOf(text)).toBe(said("日本語\u{1F600}"))
})

test("an upstream that compresses where it may reaches the client plain, and not labelled as compressed (T12)", async () => {
  await using raw = await startRawWorld()
  const { pollux, upstream } = raw
  const gemini = `data: ${JSON.stringify({ response: { candidates: [{ content: { parts: [{ text: said("zip") }] }, finishReason: "STOP" }] } })}\n\n`
  const codex = `event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n`
  upstream.answer(({ target, headers }) => {
    const body = Buffer.from(target.includes("/v1internal:") ? gemini : codex)
    const asked = headers.some(([name, value]) => name === "accept-encoding" && value.includes("gzip"))
    return asked ? streamed({ "content-encoding": "gzip" }, [gzipSync(body)]) : streamed({}, [body])
  })
  const json = { "content-type": "application/json" }
  const zipped = await pollux.api(STREAM, { method: "POST", headers: json, body: bodyOf("zip") })
  expect(zipped.headers.has("content-encoding")).toBeFalse()
  expect(textOf(await zipped.text())).toBe(said("zip"))
  const asking = JSON.stringify({ model: "gpt-5.2-codex", input: "zip", stream: true })
  const passed = await pollux.api("/codex/v1/responses", { method: "POST", headers: json, body: asking })
  expect(passed.headers.has("content-encoding")).toBeFalse()
  expect(await passed.text()).toBe(codex)
})

test("readers of the admin feed that leave, and clients that leave mid-stream, do not end the process (T2, T3, T4)", async () => {
  const { pollux, google } = world
  const pid = pollux.pid
  for (let round = 0; round < 20; round++) {
    const leaving = new AbortController()
    const feed = await pollux.api("/geminicli/resource:watch", { signal: leaving.signal })
    expect(feed.status).toBe(200)
    const reader = feed.body?.getReader()
    await Promise.race([reader?.read(), Bun.sleep(20)])
    leaving.abort()
    await reader?.closed.catch(() => {})
  }
  const streams = 60
  google.fault({ on: "streamGenerateContent", times: streams, stream: { kind: "stall", after: 2 } })
  await Promise.all(
    Array.from({ length: streams }, async (_, index) => {
      const leaving = new AbortController()
      const answer = pollux.api(STREAM, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: bodyOf(`leaver ${index}`),
        signal: leaving.signal,
      })
      const left = answer.then((response) => response.text()).catch((error: unknown) => error)
      setTimeout(() => leaving.abort(), 5 + index * 5)
      expect(await left).toBeInstanceOf(Error)
    }),
  )
  await until("every upstream request was let go", () => google.open() === 0)
  google.clearFaults()
  expect((await fetch(`${pollux.url}/healthz`)).status).toBe(200)
  expect(pollux.pid).toBe(pid)
  expect(pollux.log().filter(({ level }) => level === "error")).toEqual([])
})

test("a client that leaves ends the upstream request within a moment: before headers, in silence, in full flow", async () => {
  const { pollux, google } = world
  const phases = {
    "before the headers": { on: "streamGenerateContent", before: "hang" },
    "in silence": { on: "streamGenerateContent", stream: { kind: "stall", after: 2 } },
    "in full flow": { on: "streamGenerateContent", stream: { kind: "wire", pieceBytes: 1 } },
  } as const
  for (const [phase, fault] of Object.entries(phases)) {
    google.forget()
    google.fault(fault)
    const leaving = new AbortController()
    const headers = { "content-type": "application/json" }
    const body = bodyOf("x".repeat(2_000))
    const answer = pollux.api(STREAM, { method: "POST", headers, body, signal: leaving.signal })
    const left = answer.then((response) => response.text()).catch((error: unknown) => error)
    const upstream = await until(`the request is upstream, ${phase}`, () => google.seen("streamGenerateContent")[0])
    await Bun.sleep(100)
    const began = performance.now()
    leaving.abort()
    await until(`the upstream request ends, ${phase}`, () => upstream.aborted)
    // 100 ms is the promise; the rest is for a busy machine.
    expect(performance.now() - began).toBeLessThan(500)
    expect(await left).toBeInstanceOf(Error)
    google.clearFaults()
  }
  expect(google.seen("streamGenerateContent")).toHaveLength(1)
})

test("SIGTERM lets an open stream end whole, keeps answering that it goes, and ends with code 0", async () => {
  await using own = await startWorld()
  const { pollux, google } = own
  google.fault({ on: "streamGenerateContent", stream: { kind: "pause", after: 2, ms: 1_500 } })
  const stream = post(pollux, STREAM, bodyOf("last words"))
  await until("the stream is upstream", () => google.open() === 1)
  pollux.signal("SIGTERM")
  await until("it says that it is not ready", async () => (await pollux.api("/readyz")).status === 503)
  const late = await post(pollux, UNARY, bodyOf("too late"))
  expect(late.status).toBe(503)
  expect(textOf((await stream).text)).toBe(said("last words"))
  expect(await within("its end", pollux.exited())).toEqual({ code: 0, signal: null })
})

test("a Host header shorter than four characters is routed like any other (T8)", async () => {
  const { pollux } = world
  const { hostname, port } = new URL(pollux.url)
  const socket = connect(Number(port), hostname)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let answer = ""
  socket.on("data", (chunk) => {
    answer += chunk.toString()
  })
  socket.on("close", () => resolve(answer))
  socket.on("error", reject)
  const body = bodyOf("short host")
  socket.write(
    `POST ${UNARY} HTTP/1.1\r\nHost: a\r\nx-goog-api-key: ${pollux.key}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
  expect(await within("the answer", promise)).toStartWith("HTTP/1.1 200")
})

test("a second instance on the same port does not start, and says why (T11)", async () => {
  const { port } = new URL(world.pollux.url)
  const second = startPollux({ config: { basic: { listen_port: Number(port) } } })
  const failure = await second.then(
    () => null,
    (error: unknown) => error,
  )
  expect(failure).toBeInstanceOf(StartFailure)
  expect(failure).toMatchObject({ code: 69, output: expect.stringContaining(port) })
})

test("neither .env nor bunfig.toml of the working directory has a say (T10)", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "pollux-cwd-"))
  try {
    writeFileSync(join(cwd, ".env"), "POLLUX_CONFIG=nowhere.toml\nNODE_ENV=test\n")
    writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./nowhere.ts"]\n')
    await using pollux = await startPollux({ cwd })
    expect((await fetch(`${pollux.url}/healthz`)).status).toBe(200)
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
})

test("a body that is no JSON, a throw of any kind, shows no source and no stack (T9)", async () => {
  const { pollux } = world
  const answers = await Promise.all([
    post(pollux, UNARY, "{"),
    post(pollux, UNARY, "\u0000", { "content-type": "application/octet-stream" }),
    post(pollux, UNARY, bodyOf("x"), { "content-encoding": "gzip" }),
    post(pollux, "/geminicli/v1beta/models/%E0%A4%A:generateContent", "{}"),
  ])
  for (const { status, text } of answers) {
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(text).not.toMatch(/\bat \S+:\d+|node_modules|src\/|<html/i)
    expect(JSON.parse(text).error).toMatchObject({ code: status })
  }
})

test("a server that has started has its hot code compiled: what keeps the compiler out of the start is over by then", async () => {
  await using pollux = await startPollux()
  // Longer than the start may take.
  await Bun.sleep(1_000)
  const before = compilerSeconds(pollux.pid)
  for (let i = 0; i < 4_000; i++) await (await fetch(`${pollux.url}/healthz`)).arrayBuffer()
  // Without, its thread never wakes up within so few requests.
  await until("the compiler has worked", () => compilerSeconds(pollux.pid) - before > 0.02)
})

/** CPU that a process's compiling threads have used. */
function compilerSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks)
    .filter((thread) => readFileSync(`${tasks}/${thread}/comm`, "utf8").trim() === "JITWorker")
    .map((thread) => Number(readFileSync(`${tasks}/${thread}/schedstat`, "utf8").split(" ", 1)[0]) / 1e9)
    .reduce((sum, seconds) => sum + seconds, 0)
}
