import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { modelList, modelOf, openaiModelList } from "../../../src/providers/geminicli/models.ts"
import { splitModelPath } from "../../../src/providers/geminicli/target.ts"
import { start } from "./app.ts"
import { hello } from "./support.ts"

const BASE = "/geminicli/v1beta"
const PRO = `${BASE}/models/gemini-2.5-pro`

describe("lists of models", () => {
  test("name each model as the API does, without nulls", async () => {
    const { ask } = await start()
    const { models } = await (await ask(`${BASE}/models`)).json()
    expect(models.map(({ name }: { name: string }) => name)).toEqual([
      "models/gemini-2.5-pro",
      "models/gemini-3-pro-preview",
      "models/odd-model",
    ])
    expect(models[0]).toEqual({
      name: "models/gemini-2.5-pro",
      baseModelId: "gemini-2.5-pro",
      version: "001",
      displayName: "Gemini 2.5 Pro",
      inputTokenLimit: 1_048_576,
      outputTokenLimit: 65_536,
      supportedGenerationMethods: ["generateContent", "countTokens"],
      thinking: true,
    })
    expect(JSON.stringify(models)).not.toContain("null")
    expect(await (await ask(`${PRO}`)).json()).toEqual(models[0])
    expect(await (await ask(`${BASE}/models/models/odd-model`)).json()).toEqual(modelOf("odd-model"))
    const openai = await (await ask(`${BASE}/openai/models`)).json()
    expect(openai.data[0]).toEqual({
      id: "gemini-2.5-pro",
      object: "model",
      created: 1_750_118_400,
      owned_by: "gemini-cli",
      display_name: "Gemini 2.5 Pro",
    })
  })

  test("pages hold every model once, for any size", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 60 }),
        fc.oneof(fc.nat(70).map(String), fc.string()),
        (ids, size) => {
          const seen: unknown[] = []
          let token: string | undefined = ""
          for (let page = 0; token !== undefined && page <= ids.length + 1; page++) {
            const result = modelList(ids, new URLSearchParams({ pageSize: size, pageToken: token }))
            if (Array.isArray(result.models)) seen.push(...result.models)
            token = typeof result.nextPageToken === "string" ? result.nextPageToken : undefined
          }
          expect(seen).toEqual(ids.map(modelOf))
        },
      ),
    )
    expect(modelList(["a"], new URLSearchParams({ pageToken: "junk", pageSize: "-1" }))).toEqual({
      models: [modelOf("a")],
    })
    expect(openaiModelList(["toString"]).data).toEqual([
      { id: "toString", object: "model", created: 0, owned_by: "gemini-cli", display_name: "toString" },
    ])
  })
})

describe("paths", () => {
  test.each([
    ["gemini-2.5-pro:generateContent", { model: "gemini-2.5-pro", verb: "generateContent" }],
    ["gemini-2.5-pro%3AgenerateContent", { model: "gemini-2.5-pro", verb: "generateContent" }],
    ["models/x:y", { model: "x", verb: "y" }],
    ["tuned:model:y", { model: "tuned:model", verb: "y" }],
    ["x", { model: "x", verb: null }],
    ["x:", { model: "x", verb: "" }],
    ["", null],
    [":y", null],
    ["models/", null],
    ["%zz", null],
    ["%ff:y", null],
  ])("%s", (rest, expected) => expect(splitModelPath(rest)).toEqual(expected))

  test("nothing makes it throw", () => {
    fc.assert(fc.property(fc.string(), (rest) => void splitModelPath(rest)))
  })
})

describe("what is refused, in the API's own shape", () => {
  test("the right code for each, and the upstream hears nothing", async () => {
    const { ask, add, google, app } = await start()
    await add()
    google.forget()
    const post = (path: string, body: unknown = hello, init: RequestInit = {}) => ask(path, body, init)
    const narrow = { "x-goog-api-key": "narrow-key" }
    const long = "x".repeat(10_000)
    const cases: readonly (readonly [
      what: string,
      answer: Promise<Response>,
      code: number,
      status: string,
      message?: string,
    ])[] = [
      [
        "no key",
        fetch(`${app.url.replace(/\/$/, "")}${PRO}:generateContent`, { method: "POST" }),
        401,
        "UNAUTHENTICATED",
      ],
      [
        "a wrong key",
        post(`${PRO}:generateContent`, hello, { headers: { "x-goog-api-key": "no" } }),
        401,
        "UNAUTHENTICATED",
      ],
      [
        "an unknown model",
        post(`${BASE}/models/gpt-5:generateContent`),
        400,
        "INVALID_ARGUMENT",
        "unsupported model: gpt-5",
      ],
      [
        "an unknown model, no body",
        post(`${BASE}/models/gpt-5:generateContent`, "{"),
        400,
        "INVALID_ARGUMENT",
        "unsupported model: gpt-5",
      ],
      ["an unknown model, asked about", ask(`${BASE}/models/gpt-5`), 404, "NOT_FOUND"],
      [
        "a model the key may not use",
        post(`${PRO}:generateContent`, "{", { headers: narrow }),
        403,
        "PERMISSION_DENIED",
      ],
      ["a model the key may not see", ask(PRO, undefined, { headers: narrow }), 404, "NOT_FOUND"],
      ["embeddings", post(`${PRO}:embedContent`), 501, "UNIMPLEMENTED"],
      ["batches of them", post(`${PRO}:batchEmbedContents`), 501, "UNIMPLEMENTED"],
      ["files", ask(`${BASE}/files`), 501, "UNIMPLEMENTED"],
      ["caches", post(`${BASE}/cachedContents`), 501, "UNIMPLEMENTED"],
      [
        "chat completions",
        post(`${BASE}/openai/chat/completions`),
        501,
        "UNIMPLEMENTED",
        "Of OpenAI's form only the list of models is served here; call models/{model}:generateContent instead.",
      ],
      ["an unknown verb", post(`${PRO}:explode`), 404, "NOT_FOUND"],
      ["an inherited verb", post(`${PRO}:toString`), 404, "NOT_FOUND"],
      ["an empty verb", post(`${PRO}:`), 404, "NOT_FOUND"],
      ["another path", ask(`${BASE}/nothing/here`), 404, "NOT_FOUND"],
      ["GET for a verb", ask(`${PRO}:generateContent`), 405, "METHOD_NOT_ALLOWED"],
      ["POST for a model", post(PRO), 405, "METHOD_NOT_ALLOWED"],
      ["POST for the list", post(`${BASE}/models`), 405, "METHOD_NOT_ALLOWED"],
      ["DELETE", ask(PRO, undefined, { method: "DELETE" }), 405, "METHOD_NOT_ALLOWED"],
      [
        "another content type",
        post(`${PRO}:generateContent`, "a=b", { headers: { "content-type": "text/plain" } }),
        400,
        "INVALID_ARGUMENT",
      ],
      ["no JSON", post(`${PRO}:generateContent`, "{"), 400, "INVALID_ARGUMENT", "invalid JSON"],
      ["two objects", post(`${PRO}:generateContent`, '{},"model":"x"'), 400, "INVALID_ARGUMENT", "invalid JSON"],
      ["an array", post(`${PRO}:generateContent`, "[]"), 400, "INVALID_ARGUMENT"],
      ["no body", post(`${PRO}:generateContent`, ""), 400, "INVALID_ARGUMENT"],
      ["too much", post(`${PRO}:generateContent`, `"${"x".repeat(31 * 1024 * 1024)}"`), 413, "PAYLOAD_TOO_LARGE"],
      ["an encoded slash", post(`${BASE}/models/..%2f..%2fv1internal:generateContent`), 400, "INVALID_ARGUMENT"],
      ["a line break", post(`${BASE}/models/a%0d%0ab:generateContent`), 400, "INVALID_ARGUMENT"],
      ["a NUL", post(`${BASE}/models/gemini-2.5-pro%00:generateContent`), 400, "INVALID_ARGUMENT"],
      ["a long name", post(`${BASE}/models/${long}:generateContent`), 400, "INVALID_ARGUMENT"],
      ["a verb with a query", post(`${PRO}:generateContent%3Falt=sse`), 404, "NOT_FOUND"],
    ]
    for (const [what, answer, code, status, message] of cases) {
      const response = await answer
      const body = await response.text()
      expect([what, response.status, response.headers.get("content-type")?.split(";")[0]]).toEqual([
        what,
        code,
        "application/json",
      ])
      const { error } = JSON.parse(body)
      expect([what, error.code, error.status]).toEqual([what, code, status])
      expect(error.message.length).toBeGreaterThan(5)
      expect(error.message.length).toBeLessThan(300)
      expect(error.message).not.toMatch(/[\r\n\0]/)
      if (message !== undefined) expect(error.message).toBe(message)
      if (code === 405) expect(response.headers.get("allow")).toMatch(/GET|POST/)
    }
    expect(google.requests).toEqual([])
  })

  test("an error instead of an array of answers is an array", async () => {
    const { ask } = await start()
    for (const [path, body] of [
      [`${PRO}:streamGenerateContent`, "{"],
      [`${BASE}/models/gpt-5:streamGenerateContent?alt=json`, "{}"],
    ] as const) {
      const response = await ask(path, body)
      expect(response.status).toBe(400)
      expect(await response.json()).toEqual([
        { error: { code: 400, message: expect.any(String), status: "INVALID_ARGUMENT" } },
      ])
    }
    expect((await (await ask(`${PRO}:streamGenerateContent?alt=sse`, "{")).json()).error.code).toBe(400)
  })

  test("JSON types with parameters and suffixes are taken", async () => {
    const { ask, add } = await start()
    await add()
    for (const type of ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"])
      expect((await ask(`${PRO}:generateContent`, hello, { headers: { "content-type": type } })).status).toBe(200)
  })

  test("HEAD is answered like GET", async () => {
    const { ask } = await start()
    for (const path of [`${BASE}/models`, PRO])
      expect((await ask(path, undefined, { method: "HEAD" })).status).toBe(200)
  })
})
