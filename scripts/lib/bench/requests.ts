/** The requests that are sent, for each subject in the form it takes. Pure. */
import { type Api, KEY, MODEL, type SubjectName } from "./subjects.ts"

export interface Wanted {
  readonly api: Api
  /** Order for the fake upstream: `@unary SIZE`, `@burst COUNT`, `@paced COUNT MICROSECONDS`. */
  readonly order: string
  /** Bytes of text in the prompt. */
  readonly prompt: number
}

export interface Request {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The request to send to a subject, so that the same one reaches the upstream through all of them. */
export function requestFor(subject: SubjectName, { api, order, prompt }: Wanted): Request {
  const stream = !order.startsWith("@unary")
  const text = `${order} ${"x".repeat(prompt)}`
  const pollux = subject === "geminicli" || subject === "codex"
  const headers: Record<string, string> = { "content-type": "application/json" }
  if (pollux) headers.authorization = `Bearer ${KEY}`
  if (api === "geminicli") {
    const verb = stream ? "streamGenerateContent" : "generateContent"
    const query = stream ? "?alt=sse" : ""
    const path = pollux ? `/geminicli/v1beta/models/${MODEL.geminicli}:${verb}${query}` : `/v1internal:${verb}${query}`
    return { path, headers, body: JSON.stringify({ contents: [{ role: "user", parts: [{ text }] }] }) }
  }
  // What the backend demands is there, so that Pollux passes the body on as a Codex client's.
  const input = [{ type: "message", role: "user", content: [{ type: "input_text", text }] }]
  const body = { model: MODEL.codex, input, instructions: "", store: false, stream, include: [] }
  return { path: pollux ? "/codex/v1/responses" : "/responses", headers, body: JSON.stringify(body) }
}

/** The same as it goes over the wire. */
export function rawRequest(request: Request, port: number): string {
  const headers = Object.entries({
    host: `127.0.0.1:${port}`,
    ...request.headers,
    "content-length": String(Buffer.byteLength(request.body)),
  })
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  return `POST ${request.path} HTTP/1.1\r\n${lines}\r\n${request.body}`
}

/** A script for wrk that sends it, and prints what it measured as one line of JSON. */
export function wrkScript(request: Request): string {
  const quoted = (text: string): string => `[==[${text}]==]`
  const headers = Object.entries(request.headers).map(
    ([name, value]) => `wrk.headers[ ${quoted(name)} ] = ${quoted(value)}`,
  )
  return `wrk.method = "POST"
wrk.path = ${quoted(request.path)}
wrk.body = ${quoted(request.body)}
${headers.join("\n")}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'WRK {"requests":%d,"seconds":%.6f,"failed":%d,"p50":%.1f,"p95":%.1f,"p99":%.1f}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
`
}
