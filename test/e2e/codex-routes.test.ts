/** Every route of the Responses API below /codex on the compiled executable (DESIGN 5, spec codex 0, 8, 10.15, 10.17). */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { brotliCompressSync } from "node:zlib"
import { sendRaw, statuses } from "../support/raw.ts"
import { CLI, CodexSystem, eventNames, lastData, MODEL, outputText } from "./support/codex.ts"

let system: CodexSystem

beforeAll(async () => {
  system = await CodexSystem.start()
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
})

test("models are listed in the operator's order, with a created time", async () => {
  const body = Object(await (await system.pollux.api("/codex/v1/models")).json())
  expect(body.object).toBe("list")
  expect(body.data.map(({ id }: { id: string }) => id)).toEqual([MODEL, "gpt-5.2", "gpt-5.3-codex"])
  for (const model of body.data) {
    expect(model).toMatchObject({ object: "model", owned_by: "codex", display_name: model.id })
    expect(Number.isInteger(model.created)).toBeTrue()
  }
})

test("codex 10.15: with client_version the catalogue is the upstream's for that version, filtered, with its tag", async () => {
  const at = async (version: string) => {
    const response = await system.pollux.api(`/codex/v1/models?client_version=${version}`)
    const slugs = Object(await response.json()).models.map(({ slug }: { slug: string }) => slug)
    return { slugs, etag: response.headers.get("etag") }
  }
  expect((await at("0.169.0")).slugs).toEqual(["gpt-5.2", MODEL, "gpt-5.3-codex"])
  expect((await at("0.169.0")).etag).toMatch(/^"\w+"$/)
  expect((await at("0.90.0")).slugs).toEqual(["gpt-5.2", MODEL])
  expect((await at("nonsense")).slugs).toEqual([])
})

test("a unary answer and a stream come from the same path", async () => {
  const unary = await system.ask("Grüße 😀")
  expect(unary.status).toBe(200)
  expect(outputText(await unary.json())).toBe("You said: Grüße 😀")
  expect(unary.headers.get("x-pollux-attempts")).toBe("1")
  const { response, text } = await system.stream("Grüße 😀", { accept: "application/json" })
  expect(response.headers.get("content-type")).toStartWith("text/event-stream")
  expect(response.headers.get("x-accel-buffering")).toBe("no")
  expect(outputText(lastData(text).response)).toBe("You said: Grüße 😀")
})

test("codex 10.15: compact is answered as JSON, by the session's own credential", async () => {
  const body = { model: MODEL, input: "long story", stream: true, store: true, include: ["x"] }
  const response = await system.post(body, {}, "/responses/compact")
  expect(response.status).toBe(200)
  expect(response.headers.get("content-type")).toStartWith("application/json")
  expect(Object(await response.json()).output[0].type).toBe("compaction")
  const sent = Object(system.openai.requestsTo("/responses/compact").at(-1)?.json)
  for (const name of ["stream", "store", "include"]) expect(sent).not.toHaveProperty(name)
})

test("codex 10.15: a WebSocket upgrade is refused with 426 at once, and the connection closed", async () => {
  const { port } = new URL(system.pollux.url)
  const upgrade = [
    "GET /codex/v1/responses HTTP/1.1",
    "Host: 127.0.0.1",
    `Authorization: Bearer ${system.pollux.key}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "OpenAI-Beta: responses_websockets=2026-02-06",
  ]
  const answer = await sendRaw(`${upgrade.join("\r\n")}\r\n\r\n`, { port: Number(port), ms: 2_000 })
  expect(statuses(answer)).toEqual([426])
  expect(answer.closed).toBeTrue()
  expect(answer.ms).toBeLessThan(1_000)
  expect(answer.text).toContain("websocket_not_supported")
})

test("codex 10.15: a callback without a login is refused at both of its addresses", async () => {
  for (const path of ["/auth/callback", "/codex/auth/callback"]) {
    const response = await fetch(`${system.pollux.url}${path}?code=ac_made_up_code&state=made-up`)
    expect(response.status).toBe(403)
  }
})

const REFUSED: readonly (readonly [what: string, body: unknown, status: number, code: string, message: string])[] = [
  ["broken JSON", "{", 400, "INVALID_JSON", "invalid JSON"],
  ["a body that is no object", [], 400, "INVALID_REQUEST", "invalid request"],
  ["no model", { input: "x" }, 400, "INVALID_MODEL", "missing or empty model"],
  ["an empty model", { model: "", input: "x" }, 400, "INVALID_MODEL", "missing or empty model"],
  [
    "another model",
    { model: "gpt-4", input: "x" },
    400,
    "UNSUPPORTED_MODEL",
    "unsupported model (exact match required)",
  ],
  [
    "a model with a blank",
    { model: `${MODEL} `, input: "x" },
    400,
    "UNSUPPORTED_MODEL",
    "unsupported model (exact match required)",
  ],
]

for (const [what, body, status, code, message] of REFUSED) {
  test(`${what} is refused as clients of the original know it`, async () => {
    for (const path of ["/responses", "/responses/compact"]) {
      const response = await system.post(body, {}, path)
      expect(response.status).toBe(status)
      expect(await response.json()).toEqual({ error: { code, message, type: code } })
    }
  })
}

test("another content type is refused", async () => {
  const response = await system.post("{}", { "content-type": "text/plain" })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: { code: "INVALID_REQUEST" } })
})

test("without the key there is nothing but 401, in a form that the SDK reads", async () => {
  for (const [method, path] of [
    ["GET", "/codex/v1/models"],
    ["POST", "/codex/v1/responses"],
    ["GET", "/codex/v1/none"],
    ["POST", "/codex/resource:add"],
    ["GET", "/codex/resource:list"],
  ] as const) {
    const response = await fetch(`${system.pollux.url}${path}`, { method })
    expect(response.status).toBe(401)
    expect(Object(await response.json()).error.message).toBe("Missing API key")
  }
})

test("unknown paths are 404 and wrong methods 405, in OpenAI's shape", async () => {
  const unknown = await system.pollux.api("/codex/v1/embeddings", { method: "POST", body: "{}" })
  expect(unknown.status).toBe(404)
  expect(await unknown.json()).toMatchObject({ error: { code: "NOT_FOUND", type: "NOT_FOUND" } })
  const wrong = await system.pollux.api("/codex/v1/responses", { method: "DELETE" })
  expect(wrong.status).toBe(405)
  expect(wrong.headers.get("allow")).toContain("POST")
})

const CODINGS: Readonly<Record<string, (body: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>>> = {
  gzip: (body) => Bun.gzipSync(body),
  deflate: (body) => Bun.deflateSync(body),
  br: (body) => new Uint8Array(brotliCompressSync(body)),
  zstd: (body) => new Uint8Array(Bun.zstdCompressSync(body)),
}

const sendCoded = (coding: string, body: Uint8Array<ArrayBuffer>) =>
  system.pollux.api("/codex/v1/responses", {
    method: "POST",
    headers: { ...CLI, "content-type": "application/json", "content-encoding": coding },
    body,
  })

for (const [coding, encode] of Object.entries(CODINGS)) {
  test(`codex 10.17: a body in ${coding} is decoded, and measured after it`, async () => {
    const body = new TextEncoder().encode(JSON.stringify({ model: MODEL, input: coding, stream: true }))
    const response = await sendCoded(coding, encode(body))
    expect(response.status).toBe(200)
    expect(await response.text()).toContain("response.completed")
    const bomb = await sendCoded(coding, encode(new Uint8Array(31 * 1024 * 1024)))
    expect(bomb.status).toBe(413)
    expect(await bomb.json()).toEqual({
      error: { code: "PAYLOAD_TOO_LARGE", message: "request body too large", type: "PAYLOAD_TOO_LARGE" },
    })
  })
}

test("codex 10.17: an unknown coding and a broken one are the client's faults", async () => {
  const body = new TextEncoder().encode(JSON.stringify({ model: MODEL, input: "x" }))
  expect((await sendCoded("lzma", body)).status).toBe(415)
  expect((await sendCoded("gzip", body)).status).toBe(400)
})

test("a Codex client's own stream keeps event names and bytes", async () => {
  const { text } = await system.stream("bytes", CLI)
  expect(eventNames(text)[0]).toBe("response.created")
  expect(lastData(text).response.output).toEqual([])
})

test("nothing of all this leaves a secret in the log", () => {
  expect(system.pollux.leaks()).toEqual([])
})
