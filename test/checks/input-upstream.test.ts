/** Event streams as an upstream may write them: B18, for each cut of the bytes. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type RawWorld, startRawWorld, streamed } from "../support/raw-upstream.ts"

let world: RawWorld
beforeAll(async () => {
  world = await startRawWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

/** Payloads of the streams; long lines, wide characters and an escape in each. */
const CODEX = [
  { type: "response.created", response: { id: "resp_1", status: "in_progress" } },
  { type: "response.output_text.delta", delta: "日本\u{1F600}\r\n" },
  {
    type: "response.completed",
    response: { id: "resp_1", status: "completed", output: [], usage: { total_tokens: 3 } },
  },
]
const part = (text: string, extra: object = {}) => ({
  response: { candidates: [{ content: { role: "model", parts: [{ text }] }, ...extra }] },
  traceId: "t",
})
const GEMINI = [part("日本"), part("\u{1F600}\r\n"), part("!", { finishReason: "STOP" })]

interface Form {
  readonly eol: string
  readonly before?: string
  readonly space?: string
  readonly between?: string
}

const FORMS: Readonly<Record<string, Form>> = {
  LF: { eol: "\n" },
  CRLF: { eol: "\r\n" },
  CR: { eol: "\r" },
  "no space behind the colon": { eol: "\n", space: "" },
  "a byte order mark": { eol: "\r\n", before: "\ufeff" },
  "comments, empty events and unknown fields": {
    eol: "\n",
    before: ": hello\n\n",
    between: ":\nid: 7\nretry: 10\n\n\n\nfoo\n\n",
  },
}

function stream(payloads: readonly object[], { eol, before = "", space = " ", between = "" }: Form): Uint8Array {
  const events = payloads.map((payload) => {
    const name = "type" in payload ? `event:${space}${payload.type}${eol}` : ""
    return `${name}data:${space}${JSON.stringify(payload)}${eol}${eol}`
  })
  return Buffer.from(before + events.join(between))
}

/** The data of each event, by the algorithm of the standard (WHATWG HTML 9.2.6), over whole text. */
function dataOf(text: string): readonly string[] {
  const events: string[] = []
  let data: string[] = []
  for (const line of text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/)) {
    if (line === "") {
      if (data.length > 0) events.push(data.join("\n"))
      data = []
    } else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""))
  }
  return events
}

const json = { "content-type": "application/json" }
const ask = {
  codex: (note: string) => ({
    path: "/codex/v1/responses",
    body: { model: "gpt-5.2-codex", stream: true, input: note },
  }),
  gemini: (note: string) => ({
    path: "/geminicli/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    body: { contents: [{ role: "user", parts: [{ text: note }] }] },
  }),
}

/** Runs `task` for each number below `count`, a few at a time. */
async function each(count: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: 48 }, worker))
}

async function received(api: keyof typeof ask, note: string): Promise<Buffer> {
  const { path, body } = ask[api](note)
  const response = await world.pollux.api(path, { method: "POST", headers: json, body: JSON.stringify(body) })
  expect(response.status).toBe(200)
  return Buffer.from(await response.arrayBuffer())
}

/** Answers the request that carries `cut N` with the bytes in two pieces, cut there; N beyond the end: byte by byte. */
function serve(bytes: Uint8Array): void {
  world.upstream.answer(({ body }) => {
    const at = Number(/cut (\d+)/.exec(body)?.[1] ?? 0)
    if (at > bytes.length)
      return streamed(
        {},
        [...bytes].map((byte) => Uint8Array.of(byte)),
      )
    return streamed({}, [bytes.subarray(0, at), bytes.subarray(at)], 2)
  })
}

for (const [name, form] of Object.entries(FORMS)) {
  test(`B18: ${name}: however a Codex stream is cut, the client gets its bytes unchanged`, async () => {
    const bytes = stream(CODEX, form)
    serve(bytes)
    await each(bytes.length + 2, async (at) => {
      const got = await received("codex", `cut ${at}`)
      if (!got.equals(bytes)) expect({ at, got: got.toString() }).toEqual({ at, got: Buffer.from(bytes).toString() })
    })
    expect(dataOf(Buffer.from(bytes).toString())).toEqual(CODEX.map((payload) => JSON.stringify(payload)))
  }, 30_000)

  test(`B18: ${name}: however a Gemini stream is cut, the client gets the same events`, async () => {
    const bytes = stream(GEMINI, form)
    serve(bytes)
    const wanted = GEMINI.map(({ response }) => response.candidates)
    await each(bytes.length + 2, async (at) => {
      const events = dataOf((await received("gemini", `cut ${at}`)).toString("utf8"))
      expect({ at, events: events.map((data) => JSON.parse(data).candidates) }).toEqual({ at, events: wanted })
    })
  }, 30_000)
}
