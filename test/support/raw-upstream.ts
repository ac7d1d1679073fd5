/**
 * An upstream that writes down every byte it is sent and answers with exactly the bytes it is told to, for both APIs: what the
 * fakes, which speak through an HTTP library, can neither see nor say.
 */
import { once } from "node:events"
import { createServer, type Socket } from "node:net"
import { type FakeGoogle, startFakeGoogle } from "../fakes/google.ts"
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts"
import { type Running, startPollux, type TomlTable } from "./binary.ts"
import { addCredentials } from "./pool.ts"

export interface RawRequest {
  readonly method: string
  readonly target: string
  /** Name in lower case and value, in the order they came. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

/** One write, `after` milliseconds from the one before. */
export interface Piece {
  readonly bytes: string | Uint8Array
  readonly after?: number
}

/** What is written back, head and framing included; then the connection is kept, or closed. */
export interface RawReply {
  readonly pieces: readonly Piece[]
  readonly close?: boolean
}

export interface RawUpstream {
  readonly url: string
  /** All that came, in order, but for what Pollux asks for itself. */
  readonly requests: readonly RawRequest[]
  /** Answers all requests from now on. */
  answer(make: (request: RawRequest) => RawReply): void
  stop(): Promise<void>
}

export async function startRawUpstream(): Promise<RawUpstream> {
  const requests: RawRequest[] = []
  const sockets = new Set<Socket>()
  let make: (request: RawRequest) => RawReply = () => reply(404, {}, "nothing is set up")
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => socket.destroy())
    let received = Buffer.alloc(0)
    socket.on("data", async (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      for (let read = takeRequest(received); read !== null; read = takeRequest(received)) {
        received = Buffer.from(received.subarray(read.length))
        const own = OWN_QUESTIONS.get(read.request.target)
        if (own === undefined) requests.push(read.request)
        await write(socket, own ?? make(read.request))
      }
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the upstream has no port")
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    answer: (next) => {
      make = next
    },
    stop: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

const JSON_TYPE = { "content-type": "application/json" }
const ownReply = (body: object) => reply(200, JSON_TYPE, JSON.stringify(body))
/** What Pollux asks for itself, in its own time: never among `requests`, which a test counts. */
const OWN_QUESTIONS: ReadonlyMap<string, RawReply> = new Map([
  [
    "/v1internal:loadCodeAssist",
    ownReply({ currentTier: { id: "standard-tier" }, cloudaicompanionProject: "companion-raw" }),
  ],
  ["/v1internal:retrieveUserQuota", ownReply({ buckets: [] })],
  ["/backend-api/wham/usage", ownReply({ plan_type: "plus" })],
])

async function write(socket: Socket, { pieces, close = false }: RawReply): Promise<void> {
  for (const { bytes, after = 0 } of pieces) {
    if (after > 0) await Bun.sleep(after)
    if (socket.destroyed) return
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "utf8") : bytes)
  }
  if (close) socket.end()
}

function takeRequest(bytes: Buffer): { readonly request: RawRequest; readonly length: number } | null {
  const end = bytes.indexOf("\r\n\r\n")
  if (end < 0) return null
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n")
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  const declared = Number(headers.find(([name]) => name === "content-length")?.[1] ?? 0)
  const length = end + 4 + declared
  if (bytes.length < length) return null
  const [method = "", target = ""] = first.split(" ")
  return { request: { method, target, headers, body: bytes.subarray(end + 4, length).toString("utf8") }, length }
}

type Headers = Readonly<Record<string, string>> | readonly (readonly [string, string])[]

function headText(status: number, headers: Headers): string {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers)
  return `HTTP/1.1 ${status} Whatever\r\n${pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("")}`
}

/** A whole answer with a length. */
export function reply(status: number, headers: Headers, body: string): RawReply {
  return {
    pieces: [{ bytes: `${headText(status, headers)}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}` }],
  }
}

/** A chunked event stream, each piece a chunk and a write of its own. */
export function streamed(headers: Headers, parts: readonly Uint8Array[], pauseMs = 0): RawReply {
  const head = `${headText(200, headers)}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n`
  const chunks = parts
    .filter(({ length }) => length > 0)
    .map((part) => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]))
  return {
    pieces: [
      { bytes: head },
      ...chunks.map((bytes) => ({ bytes, after: pauseMs })),
      { bytes: "0\r\n\r\n", after: pauseMs },
    ],
  }
}

/** A Pollux whose two APIs are the raw upstream, and whose logins are the fakes'. */
export interface RawWorld extends AsyncDisposable {
  readonly upstream: RawUpstream
  readonly google: FakeGoogle
  readonly openai: FakeOpenAI
  readonly pollux: Running
}

export async function startRawWorld(basic: TomlTable = {}): Promise<RawWorld> {
  await using stack = new AsyncDisposableStack()
  const upstream = await startRawUpstream()
  stack.defer(() => upstream.stop())
  const google = startFakeGoogle()
  stack.defer(() => google.stop())
  const openai = startFakeOpenAI({ accounts: 1 })
  stack.defer(() => openai.stop())
  const providers = {
    geminicli: { api_url: upstream.url, token_url: `${google.url}/token`, retry_max_times: 0 },
    codex: { api_url: `${upstream.url}/backend-api/codex`, token_url: openai.tokenUrl, retry_max_times: 0 },
  }
  const pollux = stack.use(await startPollux({ config: { basic, providers } }))
  await addCredentials(pollux, "geminicli", [{ refresh_token: google.addAccount().refreshToken }])
  await addCredentials(
    pollux,
    "codex",
    openai.accounts.map(({ refreshToken }) => ({ refresh_token: refreshToken })),
  )
  const all = stack.move()
  return { upstream, google, openai, pollux, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
