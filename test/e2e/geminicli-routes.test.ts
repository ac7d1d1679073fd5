/** Every route of the Gemini API below /geminicli on the compiled executable (DESIGN 5, spec geminicli 4 and 11.7, 11.8). */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { brotliCompressSync } from "node:zlib"
import { contents, eventsOf, GeminiSystem, MODEL, said, textOf } from "./support/gemini.ts"

let system: GeminiSystem

beforeAll(async () => {
  system = await GeminiSystem.start()
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
})

const get = async (path: string) => {
  const response = await system.pollux.api(path)
  return { status: response.status, body: Object(await response.json()) }
}

test("geminicli 11.7: the list of models has prefixed names, no nulls, and pages", async () => {
  const { status, body } = await get("/geminicli/v1beta/models")
  expect(status).toBe(200)
  expect(body.models.map(({ name }: { name: string }) => name)).toEqual([
    "models/gemini-2.5-pro",
    "models/gemini-2.5-flash",
    "models/gemini-3-pro-preview",
  ])
  expect(JSON.stringify(body)).not.toContain("null")
  expect(body.models[0].supportedGenerationMethods).toEqual(["generateContent", "countTokens"])
  const page = await get("/geminicli/v1beta/models?pageSize=2")
  expect(page.body.models).toHaveLength(2)
  const rest = await get(`/geminicli/v1beta/models?pageSize=2&pageToken=${page.body.nextPageToken}`)
  expect(rest.body.models).toHaveLength(1)
  expect(rest.body).not.toHaveProperty("nextPageToken")
})

test("geminicli 11.7: one model is given by its name, with and without the prefix, and an unknown one is 404", async () => {
  expect((await get(`/geminicli/v1beta/models/${MODEL}`)).body.name).toBe(`models/${MODEL}`)
  expect((await get(`/geminicli/v1beta/models/models%2F${MODEL}`)).body.name).toBe(`models/${MODEL}`)
  expect(await get("/geminicli/v1beta/models/gemini-none")).toMatchObject({
    status: 404,
    body: { error: { code: 404, status: "NOT_FOUND" } },
  })
})

test("geminicli 11.7: the list for OpenAI's SDKs has a created time", async () => {
  const { body } = await get("/geminicli/v1beta/openai/models")
  expect(body.object).toBe("list")
  expect(body.data[0]).toMatchObject({ id: MODEL, object: "model", owned_by: "gemini-cli" })
  for (const model of body.data) expect(Number.isInteger(model.created)).toBeTrue()
})

test("generateContent answers with the unwrapped response", async () => {
  const response = await system.ask("Grüße 😀")
  expect(response.status).toBe(200)
  expect(response.headers.get("content-type")).toStartWith("application/json")
  expect(response.headers.get("x-pollux-attempts")).toBe("1")
  const body = Object(await response.json())
  expect(textOf(body)).toBe(said("Grüße 😀"))
  expect(body).not.toHaveProperty("response")
  expect(body.usageMetadata.totalTokenCount).toBeGreaterThan(0)
})

test("streamGenerateContent with alt=sse is an event stream without names and without [DONE]", async () => {
  const response = await system.stream("one two three")
  expect(response.headers.get("content-type")).toStartWith("text/event-stream")
  expect(response.headers.get("cache-control")).toContain("no-cache")
  const stream = await response.text()
  expect(stream).not.toMatch(/^event:|\[DONE\]/m)
  const events = eventsOf(stream)
  expect(events.length).toBeGreaterThan(2)
  expect(textOf(events)).toBe(said("one two three"))
})

test("geminicli 11.7: without alt, and with $alt=json, a stream is one JSON array, and so is its error", async () => {
  for (const query of ["", "?$alt=json;enum-encoding=int", "?alt=json"]) {
    const response = await system.ask("array", { verb: "streamGenerateContent", query })
    expect(response.headers.get("content-type")).toStartWith("application/json")
    const answers = Object(await response.json())
    expect(answers.length).toBeGreaterThan(2)
    expect(textOf(answers)).toBe(said("array"))
  }
  const refused = await system.ask("x", { verb: "streamGenerateContent", model: "gemini-none" })
  expect(refused.status).toBe(400)
  expect(await refused.json()).toMatchObject([{ error: { code: 400, status: "INVALID_ARGUMENT" } }])
})

test("geminicli 11.7: countTokens asks the upstream, in its own envelope", async () => {
  system.google.forget()
  const response = await system.ask("count me", { verb: "countTokens" })
  expect(response.status).toBe(200)
  expect(Object(await response.json()).totalTokens).toBeGreaterThan(0)
  expect(system.google.seen("countTokens")[0]?.json).toMatchObject({ request: { model: `models/${MODEL}` } })
  expect(system.google.seen("generateContent")).toBeEmpty()
})

const LACKING = [
  "models/gemini-2.5-pro:embedContent",
  "models/gemini-2.5-pro:batchEmbedContents",
  "models/gemini-2.5-pro:predict",
  "cachedContents",
  "files",
  "openai/chat/completions",
]

for (const path of LACKING) {
  test(`geminicli 11.7: POST ${path} is 501, since Cloud Code has none`, async () => {
    system.google.forget()
    const response = await system.pollux.api(`/geminicli/v1beta/${path}`, { method: "POST", body: "{}" })
    expect(response.status).toBe(501)
    expect(await response.json()).toMatchObject({ error: { code: 501, status: "UNIMPLEMENTED" } })
    expect(system.google.requests).toBeEmpty()
  })
}

test("geminicli 11.7: an unknown verb, a model without one and a wrong method never become a generate call", async () => {
  system.google.forget()
  expect((await system.ask("x", { verb: "sing" })).status).toBe(404)
  const bare = await system.pollux.api(`/geminicli/v1beta/models/${MODEL}`, { method: "POST", body: "{}" })
  expect(bare.status).toBe(405)
  expect(bare.headers.get("allow")).toContain("GET")
  const deleted = await system.pollux.api("/geminicli/v1beta/models", { method: "DELETE" })
  expect(deleted.status).toBe(405)
  expect(await deleted.json()).toMatchObject({ error: { code: 405 } })
  expect(system.google.requests).toBeEmpty()
})

test("geminicli 11.8: the key is taken from three places, the first one present decides, and a wrong one is a 401 of the API's shape", async () => {
  const { url, key } = system.pollux
  const models = `${url}/geminicli/v1beta/models`
  const status = async (path: string, headers: Record<string, string> = {}) => (await fetch(path, { headers })).status
  expect(await status(models, { "x-goog-api-key": key })).toBe(200)
  expect(await status(models, { authorization: `Bearer ${key}` })).toBe(200)
  expect(await status(`${models}?key=${key}`)).toBe(200)
  expect(await status(`${models}?key=${key}`, { "x-goog-api-key": "wrong" })).toBe(401)
  expect(await status(models, { authorization: `Basic ${key}` })).toBe(401)
  for (const headers of [{}, { "x-goog-api-key": "wrong" }]) {
    const refused = await fetch(models, { headers })
    expect(refused.status).toBe(401)
    expect(refused.headers.has("www-authenticate")).toBeTrue()
    expect(await refused.json()).toMatchObject({ error: { code: 401, status: "UNAUTHENTICATED" } })
  }
})

const BAD: readonly (readonly [what: string, init: { body: string; type?: string }, message: RegExp])[] = [
  ["broken JSON", { body: '{"contents":[' }, /JSON/],
  ["a body that is no object", { body: "[]" }, /object|invalid/i],
  ["another content type", { body: "{}", type: "text/plain" }, /application\/json/],
  ["an empty body", { body: "" }, /./],
]

for (const [what, { body, type = "application/json" }, message] of BAD) {
  test(`${what} is refused as the Gemini API refuses`, async () => {
    const response = await system.pollux.api(`/geminicli/v1beta/models/${MODEL}:generateContent`, {
      method: "POST",
      headers: { "content-type": type },
      body,
    })
    expect(response.status).toBe(400)
    const { error } = Object(await response.json())
    expect(error).toMatchObject({ code: 400, status: "INVALID_ARGUMENT" })
    expect(error.message).toMatch(message)
  })
}

test("a model that is not configured is refused before the body is looked at", async () => {
  const response = await system.pollux.api("/geminicli/v1beta/models/gpt-4:generateContent", {
    method: "POST",
    body: "?",
  })
  expect(response.status).toBe(400)
  expect(Object(await response.json()).error.message).toContain("unsupported model: gpt-4")
})

test("a body beyond 30 MiB is 413 in the API's shape, also when it only becomes so by decoding", async () => {
  const path = `/geminicli/v1beta/models/${MODEL}:generateContent`
  const large = Buffer.alloc(31 * 1024 * 1024, 0x20)
  const plain = await system.pollux.api(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: large,
  })
  expect(plain.status).toBe(413)
  expect(await plain.json()).toMatchObject({ error: { code: 413, status: "PAYLOAD_TOO_LARGE" } })
  const packed = await system.pollux.api(path, {
    method: "POST",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: Bun.gzipSync(large),
  })
  expect(packed.status).toBe(413)
})

const CODINGS: Readonly<Record<string, (body: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>>> = {
  gzip: (body) => Bun.gzipSync(body),
  deflate: (body) => Bun.deflateSync(body),
  br: (body) => new Uint8Array(brotliCompressSync(body)),
  zstd: (body) => new Uint8Array(Bun.zstdCompressSync(body)),
}

for (const [coding, encode] of Object.entries(CODINGS)) {
  test(`a body in ${coding} is understood`, async () => {
    const response = await system.pollux.api(`/geminicli/v1beta/models/${MODEL}:generateContent`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": coding },
      body: encode(new TextEncoder().encode(JSON.stringify(contents(coding)))),
    })
    expect(response.status).toBe(200)
    expect(textOf(await response.json())).toBe(said(coding))
  })
}

test("nothing of all this leaves a secret in the log", () => {
  expect(system.pollux.leaks()).toEqual([])
})
