/** Which headers pass, in both directions, for both providers: B10 and B11, seen as bytes. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test"
import { sendRaw } from "../support/raw.ts"
import { type RawWorld, reply, startRawWorld, streamed } from "../support/raw-upstream.ts"
import { requestText } from "../support/request-text.ts"

let world: RawWorld
beforeAll(async () => {
  world = await startRawWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const APIS = {
  codex: {
    path: "/codex/v1/responses",
    body: (stream: boolean) => JSON.stringify({ model: "gpt-5.2-codex", input: "hi", stream }),
    events: [
      '{"type":"response.created","response":{"id":"r"}}',
      '{"type":"response.completed","response":{"id":"r","output":[]}}',
    ],
  },
  gemini: {
    path: "/geminicli/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    body: () => JSON.stringify({ contents: [{ role: "user", parts: [{ text: "hi" }] }] }),
    events: ['{"response":{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}}'],
  },
} as const
type Api = keyof typeof APIS

const events = (api: Api) => APIS[api].events.map((data) => Buffer.from(`data: ${data}\n\n`))

/** Sends a streamed request with further header lines; what came back, head and body. */
async function call(api: Api, lines: Readonly<Record<string, string>> = {}, options: { readonly bare?: boolean } = {}) {
  const headers = {
    ...(options.bare === true ? {} : { "x-goog-api-key": world.pollux.key }),
    "content-type": "application/json",
    connection: "close",
    ...lines,
  }
  const answer = await sendRaw(requestText("POST", APIS[api].path, headers, APIS[api].body(true)), {
    port: Number(new URL(world.pollux.url).port),
    ms: 4_000,
  })
  const [head = "", ...rest] = answer.text.split("\r\n\r\n")
  const [status = "", ...fields] = head.split("\r\n")
  const received = new Map(
    fields.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  )
  return { status: Number(status.split(" ")[1]), headers: received, body: rest.join("\r\n\r\n"), text: answer.text }
}

/** The header names of the one request that went upstream for `api`. */
async function upstreamOf(
  api: Api,
  lines: Readonly<Record<string, string>>,
  options: { readonly bare?: boolean } = {},
) {
  const from = world.upstream.requests.length
  const answer = await call(api, lines, options)
  expect(answer.status).toBe(200)
  const sent = world.upstream.requests.slice(from)
  expect(sent).toHaveLength(1)
  return new Map(sent[0]?.headers)
}

beforeEach(() => {
  world.upstream.answer(({ target }) => streamed({}, events(target.includes("v1internal") ? "gemini" : "codex")))
})

/** Everything that ever goes to each provider; what a client sends adds to it only where the second list says so. */
const OWN: Readonly<Record<Api, readonly string[]>> = {
  codex: [
    "accept",
    "authorization",
    "chatgpt-account-id",
    "connection",
    "content-length",
    "content-type",
    "host",
    "originator",
    "user-agent",
    "version",
  ],
  gemini: ["accept", "authorization", "connection", "content-length", "content-type", "host", "user-agent"],
}
const CLIENTS: Readonly<Record<Api, readonly string[]>> = {
  codex: [
    "session-id",
    "thread-id",
    "x-client-request-id",
    "x-codex-turn-metadata",
    "x-codex-window-id",
    "x-codex-beta-features",
    "x-codex-parent-thread-id",
    "x-codex-installation-id",
    "x-openai-subagent",
    "x-openai-memgen-request",
    "x-responsesapi-include-timing-metrics",
  ],
  gemini: [],
}

/** What a client might send to be somebody else, to be seen elsewhere, or to strip what we add. */
const HOSTILE: Readonly<Record<string, string>> = {
  cookie: "session=abc; __Secure-next-auth.session-token=xyz",
  "chatgpt-account-id": "somebody-else",
  "openai-organization": "org-else",
  "openai-project": "proj-else",
  "openai-beta": "responses=experimental",
  "x-goog-user-project": "somebody-else",
  "x-goog-api-client": "else/1.0",
  "x-goog-request-params": "project=else",
  "x-forwarded-for": "203.0.113.1",
  "x-forwarded-host": "evil.example",
  "x-forwarded-proto": "https",
  "x-real-ip": "203.0.113.1",
  forwarded: "for=203.0.113.1;host=evil.example",
  via: "1.1 evil",
  origin: "https://evil.example",
  referer: "https://evil.example/secret-page",
  host: "evil.example",
  "accept-language": "de",
  "accept-encoding": "gzip, x-evil",
  te: "trailers, x-evil",
  trailer: "authorization",
  "proxy-authorization": "Basic ZXZpbDpldmls",
  "proxy-connection": "keep-alive",
  "keep-alive": "timeout=5",
  range: "bytes=0-1",
  "if-none-match": '"x"',
  "x-api-key": "sk-somebody-else-entirely",
  "api-key": "somebody-else",
  "x-stainless-os": "Evil",
  "x-amzn-trace-id": "Root=1",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  baggage: "user=me",
  "cf-connecting-ip": "203.0.113.1",
  "x-openai-fedramp": "true",
  "x-openai-internal-codex-responses-lite": "true",
  "x-codex-turn-state": "state-of-somebody-else",
  "x-method-override": "DELETE",
  "x-http-method-override": "DELETE",
  "x-original-url": "/v1internal:loadCodeAssist",
  "x-evil": "1",
}

for (const api of ["codex", "gemini"] as const) {
  test(`B11: ${api}: of all that a client sends, only the allow-list goes upstream`, async () => {
    const known = Object.fromEntries(CLIENTS[api].map((name) => [name, `value-of-${name}`]))
    const sent = await upstreamOf(api, { ...HOSTILE, ...known })
    expect([...sent.keys()].toSorted()).toEqual([...OWN[api], ...CLIENTS[api]].toSorted())
    for (const [name, value] of Object.entries(known)) expect(sent.get(name)).toBe(value)
    const all = [...sent].map(([name, value]) => `${name}: ${value}`).join("\n")
    for (const value of ["evil", "else", world.pollux.key, "203.0.113", "session-token"])
      expect(all).not.toContain(value)
    expect(sent.get("host")).toBe(new URL(world.upstream.url).host)
    expect(sent.get("authorization")).toMatch(/^Bearer (?:ya29\.|eyJ)/)
  })

  test(`B11: ${api}: the client's own key goes nowhere, wherever it stood`, async () => {
    const { key } = world.pollux
    const sent = await upstreamOf(api, { authorization: `Bearer ${key}`, "x-api-key": key }, { bare: true })
    expect([...sent].join("\n")).not.toContain(key)
    expect(sent.get("authorization")).not.toContain(key)
  })

  test(`B10: ${api}: a client's Connection header strips none of ours`, async () => {
    const plain = await upstreamOf(api, {})
    const named =
      "authorization, x-api-key, chatgpt-account-id, content-type, user-agent, originator, version, x-goog-api-key"
    const sent = await upstreamOf(api, { connection: `close, ${named}`, te: "trailers", "keep-alive": "x" })
    expect([...sent.keys()].toSorted()).toEqual([...plain.keys()].toSorted())
    expect(sent.get("connection")).toBe(plain.get("connection") ?? "")
  })
}

/** Headers of an upstream that must not reach a client. */
const HOSTILE_ANSWER: readonly (readonly [string, string])[] = [
  ["set-cookie", "__cf_bm=secret-cookie; path=/"],
  ["set-cookie", "session=another-cookie; HttpOnly"],
  ["server", "cloudflare"],
  ["alt-svc", 'h3=":443"; ma=86400'],
  ["via", "1.1 google"],
  ["cf-ray", "8f0-FRA"],
  ["cf-cache-status", "DYNAMIC"],
  ["strict-transport-security", "max-age=31536000"],
  ["public-key-pins", "x"],
  ["access-control-allow-origin", "*"],
  ["access-control-allow-credentials", "true"],
  ["content-security-policy", "default-src *"],
  ["clear-site-data", '"*"'],
  ["www-authenticate", 'Bearer realm="upstream"'],
  ["proxy-authenticate", "Basic"],
  ["location", "https://evil.example/"],
  ["refresh", "0;url=https://evil.example/"],
  ["link", "<https://evil.example/>; rel=preload"],
  ["upgrade", "h2c"],
  ["keep-alive", "timeout=1"],
  ["proxy-connection", "close"],
  ["trailer", "x-evil"],
  ["x-powered-by", "evil"],
  ["x-evil", "1"],
  ["report-to", "{}"],
  ["nel", "{}"],
  ["openai-organization", "org-of-the-account"],
  ["x-goog-user-project", "project-of-the-account"],
  ["x-codex-named", "hop by hop, since Connection names it"],
  ["connection", "keep-alive, x-codex-named, x-request-id"],
]

/** Everything that a client ever sees of an answer's head. */
const TO_CLIENT = new Set([
  "cache-control",
  "connection",
  "content-length",
  "content-type",
  "date",
  "openai-model",
  "openai-processing-ms",
  "retry-after",
  "transfer-encoding",
  "vary",
  "x-accel-buffering",
  "x-content-type-options",
  "x-models-etag",
  "x-pollux-attempts",
  "x-pollux-credential",
  "x-request-id",
  "x-upstream-request-id",
])

function expectClean(headers: ReadonlyMap<string, string>, allowed: readonly string[] = []): void {
  const strange = [...headers.keys()].filter((name) => !TO_CLIENT.has(name) && !allowed.includes(name))
  expect(strange).toEqual([])
  const all = [...headers].map(([name, value]) => `${name}: ${value}`).join("\n")
  for (const value of ["evil", "cookie", "cloudflare", "of-the-account", "hop by hop"]) expect(all).not.toContain(value)
}

for (const api of ["codex", "gemini"] as const) {
  test(`B10: ${api}: of a hostile answer's headers only the allow-list reaches the client`, async () => {
    const more = [
      ["x-codex-primary-used-percent", "12"],
      ["x-request-id", "req_up"],
    ] as const
    world.upstream.answer(() => streamed([...HOSTILE_ANSWER, ...more], events(api)))
    const { status, headers, text } = await call(api)
    expect(status).toBe(200)
    expectClean(headers, api === "codex" ? ["x-codex-primary-used-percent"] : [])
    expect(headers.has("x-codex-primary-used-percent")).toBe(api === "codex")
    expect(headers.get("x-upstream-request-id")).toBeUndefined()
    expect(text).not.toContain("secret-cookie")
  })

  test(`B10: ${api}: neither do those of a refusal, whatever its status`, async () => {
    for (const code of [400, 402, 403, 404, 409, 413, 422, 429, 500, 503]) {
      const body = JSON.stringify({ error: { message: "no", code: "no", status: "NO", type: "no" } })
      world.upstream.answer(() => reply(code, [...HOSTILE_ANSWER, ["content-type", "application/json"]], body))
      const { status, headers } = await call(api)
      expect(status).toBeGreaterThanOrEqual(400)
      expectClean(headers)
      // Fit again for the next one.
      const provider = api === "codex" ? "codex" : "geminicli"
      const clear = { method: "POST", headers: { "content-type": "application/json" }, body: '{"id":1}' }
      for (const verb of ["clear", "enable"]) await world.pollux.api(`/${provider}/resource:${verb}`, clear)
    }
  })
}
