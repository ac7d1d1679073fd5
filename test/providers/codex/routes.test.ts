import { afterAll, beforeAll, expect, test } from "bun:test"
import { type FakeOpenAI, startFakeOpenAI } from "../../fakes/openai.ts"
import { until } from "../../support/wait.ts"
import { type Stack, startStack } from "./stack.ts"
import { MODELS } from "./support.ts"

let fake: FakeOpenAI
let stack: Stack

beforeAll(async () => {
  fake = startFakeOpenAI()
  stack = await startStack(fake)
})
afterAll(async () => {
  await stack.stop()
  await fake.stop()
})

async function told(response: Response) {
  return { status: response.status, ...Object(await response.json()).error }
}

test("errors of the request have the codes that clients of the original look for", async () => {
  expect(await told(await stack.post("{"))).toEqual({
    status: 400,
    code: "INVALID_JSON",
    type: "INVALID_JSON",
    message: "invalid JSON",
  })
  expect(await told(await stack.post([]))).toMatchObject({
    status: 400,
    code: "INVALID_REQUEST",
    type: "INVALID_REQUEST",
  })
  expect(await told(await stack.post({ model: "gpt-5.2" }, { "content-type": "text/plain" }))).toMatchObject({
    status: 400,
    code: "INVALID_REQUEST",
    message: "invalid request: the content type must be application/json",
  })
  const noModel = { status: 400, code: "INVALID_MODEL", message: "missing or empty model" }
  for (const body of [{}, { model: "" }, { model: " " }, { model: null }, { model: 5 }]) {
    expect(await told(await stack.post(body))).toMatchObject(noModel)
    expect(await told(await stack.post(body, {}, "/responses/compact"))).toMatchObject(noModel)
  }
  for (const model of ["gpt-5.2-codex ", "GPT-5.2", "gpt"]) {
    expect(await told(await stack.post({ model }))).toMatchObject({
      status: 400,
      code: "UNSUPPORTED_MODEL",
      type: "UNSUPPORTED_MODEL",
      message: "unsupported model (exact match required)",
    })
  }
  const reference = {
    model: "gpt-5.2",
    input: [
      { role: "user", content: "x" },
      { type: "item_reference", id: "rs_1" },
    ],
  }
  for (const path of ["/responses", "/responses/compact"]) {
    expect(await told(await stack.post(reference, {}, path))).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      message: expect.stringContaining("providerOptions.openai.store = false"),
    })
  }
  expect(await told(await stack.post(" ".repeat(30 * 1024 * 1024 + 1)))).toEqual({
    status: 413,
    code: "PAYLOAD_TOO_LARGE",
    type: "PAYLOAD_TOO_LARGE",
    message: "request body too large",
  })
})

test("a missing or wrong key is 401 in a form that the SDK can read", async () => {
  for (const authorization of ["", "Bearer wrong"]) {
    const error = await told(await stack.post({}, { authorization }))
    expect(error.status).toBe(401)
    expect(error.message).toBeString()
  }
  expect((await stack.get("/models", { authorization: "Bearer wrong" })).status).toBe(401)
})

test("a key that may use some models sees and gets only those", async () => {
  const headers = { authorization: "Bearer limited-key" }
  expect(await told(await stack.post({ model: "gpt-5.2-codex" }, headers))).toMatchObject({ code: "UNSUPPORTED_MODEL" })
  const list = Object(await (await stack.get("/models", headers)).json())
  expect(list.data.map(({ id }: { id: string }) => id)).toEqual(["gpt-5.2"])
})

test("the model list is OpenAI's, in the operator's order", async () => {
  const list = Object(await (await stack.get("/models")).json())
  expect(list.object).toBe("list")
  expect(list.data.map(({ id }: { id: string }) => id)).toEqual(MODELS)
  expect(list.data[0]).toMatchObject({ id: "gpt-5.2-codex", object: "model", owned_by: "codex" })
  expect(list.data[0].created).toBeInteger()
})

test("a WebSocket upgrade, and any GET, is 426 at once and closes", async () => {
  const upgrade = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  }
  for (const headers of [{}, upgrade]) {
    const response = await stack.get("/responses", headers)
    expect(response.status).toBe(426)
    expect([response.headers.get("connection"), response.headers.get("upgrade")]).toEqual([
      "Upgrade, close",
      "websocket",
    ])
    expect(await told(response)).toMatchObject({ code: "websocket_not_supported", type: "invalid_request_error" })
  }
})

test("unknown paths are 404 and wrong methods 405, in OpenAI's shape", async () => {
  expect(await told(await stack.get("/nothing"))).toMatchObject({ status: 404, code: "NOT_FOUND" })
  const put = await fetch(`${stack.base}/responses`, { method: "PUT", headers: { authorization: "Bearer a-test-key" } })
  expect(put.headers.get("allow")).toBe("POST")
  expect(await told(put)).toMatchObject({ status: 405, code: "METHOD_NOT_ALLOWED" })
  const posted = await stack.post({}, {}, "/models")
  expect(posted.headers.get("allow")).toBe("GET, HEAD")
  expect(await told(posted)).toMatchObject({ status: 405 })
  expect(await told(await stack.get("/responses/compact"))).toMatchObject({ status: 405 })
})

test("without a credential, or for a version that is none, the catalogue is empty and well-formed", async () => {
  expect(await (await stack.get("/models?client_version=0.169.0")).json()).toEqual({ models: [] })
  expect(await (await stack.get("/models?client_version=..%2F..")).json()).toEqual({ models: [] })
})

test("a caller's version gets its own catalogue, filtered, with the upstream's tag, and asked for once", async () => {
  await stack.add(fake.accounts)
  const versions = async (version: string) => {
    const response = await stack.get(`/models?client_version=${version}`)
    const { models } = Object(await response.json())
    return {
      etag: response.headers.get("etag"),
      slugs: models.map(({ slug }: { slug: string }) => slug),
      first: models[0],
    }
  }
  const [one, two] = await Promise.all([versions("0.130.0"), versions("0.130.0")])
  expect(one.slugs).toEqual(["gpt-5.2", "gpt-5.2-codex", "gpt-5.5"])
  expect(one.first.minimal_client_version).toBeString()
  expect(one.etag).toMatch(/^".+"$/)
  expect(two).toEqual(one)
  expect(fake.requestsTo("/codex/models")).toHaveLength(1)
  expect(fake.requestsTo("/codex/models")[0]?.headers).toMatchObject({ version: "0.130.0" })
  expect((await versions("0.90.0")).slugs).toEqual(["gpt-5.2", "gpt-5.2-codex"])
  expect(fake.requestsTo("/codex/models")).toHaveLength(2)
})

test("a catalogue that is refused for its token has the token renewed", async () => {
  for (const account of fake.accounts) fake.expireAccess(account)
  const before = fake.requestsTo("/oauth/token").length
  expect(await (await stack.get("/models?client_version=0.140.0")).json()).toEqual({ models: [] })
  await until("a refresh", () => fake.requestsTo("/oauth/token").length > before)
})
