/**
 * What Pollux is measured against: proxies on the same runtime without any logic.
 *
 *     bun scripts/lib/bench/bare.ts FORM PORT UPSTREAM http1.1|http2
 *
 * - `pass`: Bun.serve and fetch, the answer's body handed over as it is: the ceiling
 * - `read`: the same, but every chunk passes through our hands
 * - `reframe`: every event's JSON is parsed and its `response` written again, one write per chunk
 * - `translate`: whole answers, the body and the answer parsed and written again in the other API's form: what a protocol costs
 *   in the plainest code, without keys, credentials, limits or a log
 */
import { PROBED, parseForm } from "./forms.ts"

const [formName = "", port = "", upstream = "", version = ""] = process.argv.slice(2)
const form = parseForm(formName)
const protocol = version === "http2" ? "http2" : "http1.1"
const secure = upstream.startsWith("https:")

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  idleTimeout: 0,
  development: false,
  maxRequestBodySize: 64 * 1024 * 1024,
  async fetch(request) {
    const { url, method, signal, headers } = request
    const path = url.slice(url.indexOf("/", 8))
    if (path === PROBED) return new Response("ok")
    if (form === "translate") return translated(request, path)
    const answer = await fetch(upstream + path, {
      method,
      headers: { "content-type": headers.get("content-type") ?? "application/json" },
      body: await request.arrayBuffer(),
      signal,
      timeout: false,
      decompress: false,
      ...(secure && { protocol }),
    })
    const type = { "content-type": answer.headers.get("content-type") ?? "application/json" }
    if (answer.body === null || form === "pass")
      return new Response(answer.body, { status: answer.status, headers: type })
    const reader = answer.body.getReader()
    const reframe = form === "reframe" ? reframer() : (chunk: Uint8Array) => chunk
    const body = Reflect.construct(ReadableStream, [directSource(reader, reframe)])
    return new Response(body, { status: answer.status, headers: type })
  },
})

async function translated(request: Request, path: string): Promise<Response> {
  const asked = await request.json()
  const codex = path === "/responses"
  const sent = codex
    ? { ...asked, stream: true, store: false }
    : { model: "gemini-2.5-pro", project: "bare", user_prompt_id: "bare", request: asked }
  const answer = await fetch(upstream + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(sent),
    timeout: false,
    decompress: false,
    ...(secure && { protocol }),
  })
  const text = await answer.text()
  const said = JSON.parse(codex ? text.slice(text.lastIndexOf("data: ") + "data: ".length) : text)
  return new Response(JSON.stringify(said.response), {
    status: answer.status,
    headers: { "content-type": "application/json" },
  })
}

type Chunk = Uint8Array | string

function directSource(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  turn: (chunk: Uint8Array) => Chunk | null,
): Bun.DirectUnderlyingSource<Uint8Array> {
  return {
    type: "direct",
    async pull(sink) {
      while (true) {
        const { done, value } = await reader.read()
        if (done) break
        const out = turn(value)
        if (out === null) continue
        const taken = sink.write(out)
        if (typeof taken !== "number") await taken
      }
      sink.close()
    },
    cancel: () => reader.cancel().catch(() => undefined),
  }
}

function reframer(): (chunk: Uint8Array) => string | null {
  const decoder = new TextDecoder()
  let rest = ""
  return (chunk) => {
    rest += decoder.decode(chunk, { stream: true })
    let out = ""
    let from = 0
    for (let end = rest.indexOf("\r\n\r\n"); end !== -1; end = rest.indexOf("\r\n\r\n", from)) {
      out += `data: ${JSON.stringify(JSON.parse(rest.slice(from + "data: ".length, end)).response)}\n\n`
      from = end + 4
    }
    rest = rest.slice(from)
    return out === "" ? null : out
  }
}
