import { afterEach, beforeEach, expect, test } from "bun:test"
import { type FakeAccount, type FakeOpenAI, startFakeOpenAI } from "../../fakes/openai.ts"
import { type Stack, startStack } from "./stack.ts"

let fake: FakeOpenAI
let stack: Stack

beforeEach(async () => {
  fake = startFakeOpenAI({ accounts: 2 })
  stack = await startStack(fake)
})
afterEach(async () => {
  await stack.stop()
  await fake.stop()
})

const ask = (text: string, more: object = {}) => ({ model: "gpt-5.2-codex", input: text, ...more })
const account = (index: number): FakeAccount => {
  const found = fake.accounts[index]
  if (found === undefined) throw new Error(`no account ${index}`)
  return found
}
const sent = () => fake.requestsTo("/codex/responses")
const lastSent = () => Object(sent().at(-1))
const eventsIn = (text: string) => [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)
const CODEX = {
  "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)",
  originator: "codex_exec",
}

test("a unary answer is rebuilt from the stream that the backend insists on", async () => {
  await stack.add([account(0)])
  const response = await stack.post(ask("Grüße 😀"))
  expect(response.status).toBe(200)
  expect(response.headers.get("content-type")).toBe("application/json")
  const body = Object(await response.json())
  expect(body).toMatchObject({ object: "response", status: "completed", error: null })
  expect(body.output[0].content[0].text).toBe("You said: Grüße 😀")
  expect(stack.requests.at(-1)).toMatchObject({ status: 200, end: "complete", model: "gpt-5.2-codex", stream: false })
  expect(stack.requests.at(-1)?.usage?.output).toBeGreaterThan(0)
})

test("a stream reaches SDKs with its items in the last event, and Codex clients byte for byte", async () => {
  await stack.add([account(0)])
  const sdk = await stack.post(ask("hi", { stream: true }), { accept: "application/json" })
  expect(sdk.headers.get("content-type")).toStartWith("text/event-stream")
  expect(sdk.headers.get("x-codex-primary-used-percent")).toBe("12")
  expect(sdk.headers.get("x-upstream-request-id")).toStartWith("req_")
  expect(sdk.headers.has("set-cookie")).toBeFalse()
  expect(sdk.headers.has("cf-ray")).toBeFalse()
  const text = await sdk.text()
  expect(eventsIn(text).at(0)).toBe("response.created")
  expect(eventsIn(text).at(-1)).toBe("response.completed")
  expect(text.slice(text.lastIndexOf("data: "))).toContain('"text":"You said: hi"')

  fake.fault(account(0), { kind: "chunks", size: 1 })
  const cli = await (await stack.post(ask("hi", { stream: true }), CODEX)).text()
  expect(cli.slice(cli.lastIndexOf("data: "))).toContain('"output":[]')
})

test("a credential's limit, ban or expiry moves the request to another one before anything reached the client", async () => {
  await stack.add([account(0), account(1)])
  const first = account(0)
  const faults = [
    { kind: "usage_limit", resetsAt: Math.floor(Date.now() / 1000) + 3600 } as const,
    { kind: "event", code: "server_is_overloaded" } as const,
    { kind: "cut", afterEvents: 2, how: "close" } as const,
    { kind: "no_answer", how: "reset" } as const,
    { kind: "status", status: 500, body: "oops" } as const,
    { kind: "cloudflare" } as const,
  ]
  for (const fault of faults) {
    for (const view of stack.pool.list()) stack.pool.clear(view.id)
    fake.clearFaults()
    fake.fault(first, fault)
    for (let i = 0; i < 2; i++) {
      const response = await stack.post(ask("again"))
      expect(response.status).toBe(200)
    }
    expect(first.faults).toBeEmpty()
  }
})

test("an error after content is passed on as the protocol's own last event, without a retry", async () => {
  await stack.add([account(0)])
  fake.fault(account(0), { kind: "event", code: "server_is_overloaded", afterContent: true })
  const text = await (await stack.post(ask("hi", { stream: true }))).text()
  expect(eventsIn(text).at(-1)).toBe("response.failed")
  expect(sent()).toHaveLength(1)
})

test("a connection that dies mid-stream ends in an event, and cleanly", async () => {
  await stack.add([account(0)])
  fake.fault(account(0), { kind: "cut", afterEvents: 6, how: "reset" }, { kind: "cut", afterEvents: 6, how: "close" })
  const reset = await (await stack.post(ask("hi", { stream: true }), CODEX)).text()
  expect(eventsIn(reset).at(-1)).toBe("response.failed")
  const closed = await (await stack.post(ask("hi", { stream: true }))).text()
  expect(eventsIn(closed).at(-1)).toBe("error")
})

test("a request fault reaches the client as the backend said it, and is tried once", async () => {
  await stack.add([account(0), account(1)])
  const error = {
    message: "Invalid schema",
    type: "invalid_request_error",
    param: "tools[0]",
    code: "invalid_function_parameters",
  }
  fake.fault(null, { kind: "status", status: 400, body: { error } })
  const response = await stack.post(ask("hi"))
  expect(response.status).toBe(400)
  expect(await response.json()).toEqual({ error })
  expect(sent()).toHaveLength(1)
})

test("an unknown parameter is dropped and retried once, then left out at once", async () => {
  await stack.add([account(0)])
  fake.refuseParameter("frobnicate")
  expect((await stack.post(ask("hi", { frobnicate: 1 }))).status).toBe(200)
  expect(sent().map(({ status }) => status)).toEqual([400, 200])
  expect((await stack.post(ask("hi", { frobnicate: 1 }))).status).toBe(200)
  expect(sent()).toHaveLength(3)
  expect(lastSent().json).not.toHaveProperty("frobnicate")
})

test("encrypted reasoning of another account is stripped and the request sent again", async () => {
  await stack.add([account(0)])
  const input = [
    { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAAAA.other" },
    { role: "user", content: "go on" },
  ]
  const response = await stack.post(ask("", { input }))
  expect(response.status).toBe(200)
  expect(sent().map(({ status }) => status)).toEqual([400, 200])
  expect(lastSent().json.input).toHaveLength(1)
})

test("an item id that the backend does not know is stripped and the request sent again", async () => {
  await stack.add([account(0)])
  const input = [{ type: "message", role: "user", id: "msg_foreign", content: "hi" }]
  expect((await stack.post(ask("", { input }))).status).toBe(200)
  expect(sent().map(({ status }) => status)).toEqual([404, 200])
})

test("an access token that died early costs one refresh for a hundred requests", async () => {
  await stack.add([account(0)])
  const before = account(0).refreshes
  fake.expireAccess(account(0))
  const answers = await Promise.all(Array.from({ length: 100 }, () => stack.post(ask("hi"))))
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 200))
  expect(account(0).refreshes - before).toBe(1)
})

test("a session stays with its credential by header, cache key and previous response", async () => {
  await stack.add([account(0), account(1)])
  /** Who serves a request after a varying number of others, so that chance cannot look like affinity. */
  const servedBy = async (body: object, headers: Record<string, string> = {}) => {
    const answers: unknown[] = []
    for (const others of [0, 1, 2, 1, 1]) {
      for (let i = 0; i < others; i++) await stack.post(ask("noise"))
      answers.push(await (await stack.post(body, headers)).json())
      owners.push(lastSent().account)
    }
    return Object(answers.at(-1))
  }
  let owners: unknown[] = []
  await servedBy(ask("hi"))
  expect(new Set(owners).size).toBe(2)

  owners = []
  await servedBy(ask("hi"), { "session-id": "s-1" })
  await servedBy(ask("hi"), { session_id: "s-1" })
  expect(new Set(owners).size).toBe(1)

  owners = []
  const { id } = await servedBy(ask("hi", { prompt_cache_key: "k-1" }))
  await servedBy(ask("hi", { previous_response_id: id }))
  expect(new Set(owners).size).toBe(1)
})

test("turn state goes back to the credential that issued it, and to no other", async () => {
  await stack.add([account(0), account(1)])
  const session = { ...CODEX, "session-id": "s-2" }
  const first = await stack.post(ask("hi", { stream: true }), session)
  await first.text()
  const state = first.headers.get("x-codex-turn-state") ?? ""
  expect(state).toStartWith("ts.")
  await (await stack.post(ask("hi", { stream: true }), { ...session, "x-codex-turn-state": state })).text()
  expect(lastSent().headers["x-codex-turn-state"]).toBe(state)
  const owner = fake.accounts.find(({ accountId }) => state.endsWith(accountId)) ?? null
  fake.fault(owner, { kind: "usage_limit", resetsAt: Math.floor(Date.now() / 1000) + 3600 })
  await (await stack.post(ask("hi", { stream: true }), { ...session, "x-codex-turn-state": state })).text()
  expect(lastSent().account).not.toBe(owner?.email)
  expect(lastSent().headers).not.toHaveProperty("x-codex-turn-state")
})

test("a dry pool answers as the Codex CLI understands it, and an empty one with the exact words", async () => {
  const empty = await stack.post(ask("hi"))
  expect(empty.status).toBe(503)
  expect(await empty.text()).toBe(
    '{"error":{"code":"NO_CREDENTIAL","message":"No available credentials to process the request.","type":"NO_CREDENTIAL"}}',
  )
  await stack.add([account(0), account(1)])
  const soon = Math.floor(Date.now() / 1000) + 600
  fake.fault(account(0), { kind: "usage_limit", resetsAt: soon + 1000, planType: "plus" })
  fake.fault(account(1), { kind: "usage_limit", resetsAt: soon, planType: "plus" })
  const dry = await stack.post(ask("hi"))
  expect(dry.status).toBe(429)
  const { error } = Object(await dry.json())
  expect(error).toMatchObject({ type: "usage_limit_reached", code: "usage_limit_reached", plan_type: "plus" })
  expect(error.resets_at).toBeWithin(soon, soon + 5)
  expect(Number(dry.headers.get("retry-after"))).toBeWithin(590, 605)
  const again = await stack.post(ask("hi"))
  expect(again.status).toBe(429)
  expect(Object(await again.json()).error.resets_at).toBe(error.resets_at)
  expect(stack.pool.list().flatMap(({ quotas }) => quotas.map(({ name }) => name))).toContain("primary")
})

test("a version gate marks no credential, and a caller's version is tried once the model was served under it", async () => {
  await stack.add([account(0)])
  const refused = await stack.post(ask("hi", { model: "gpt-9-future" }))
  expect(refused.status).toBe(400)
  expect(Object(await refused.json()).error.message).toContain("requires a newer version")
  const newest = { "user-agent": "codex_cli_rs/9.1.0 (x)", originator: "codex_cli_rs" }
  const invented = { "user-agent": "codex_cli_rs/8.9.9 (x)", originator: "codex_cli_rs" }
  expect((await stack.post(ask("hi", { model: "gpt-5.2" }), newest)).status).toBe(200)
  expect((await stack.post(ask("hi", { model: "gpt-9-future" }), invented)).status).toBe(400)
  const before = fake.requestsTo("/responses").length
  expect((await stack.post(ask("hi", { model: "gpt-9-future" }))).status).toBe(400)
  expect(fake.requestsTo("/responses")).toHaveLength(before + 1)
  expect((await stack.post(ask("hi", { model: "gpt-9-future" }), newest)).status).toBe(200)
  expect(lastSent().headers.version).toBe("9.1.0")
  const served = await stack.post(ask("hi", { model: "gpt-9-future" }))
  expect(served.status).toBe(200)
  expect(lastSent().headers).toMatchObject({ version: "9.1.0", "user-agent": "codex_cli_rs/9.1.0 (pollux)" })
  expect(stack.pool.list()[0]?.lacks).toEqual([])
})

test("compact goes to its own endpoint and comes back as JSON", async () => {
  await stack.add([account(0)])
  const body = ask("", { input: [{ role: "user", content: "long story" }], stream: true, store: true, include: [] })
  const response = await stack.post(body, {}, "/responses/compact")
  expect(response.status).toBe(200)
  expect(response.headers.get("content-type")).toBe("application/json")
  expect(Object(await response.json()).output[0].type).toBe("compaction")
  expect(fake.requestsTo("/compact")[0]?.headers.accept).toBe("application/json")
})

test("a client that leaves ends the upstream request at once", async () => {
  await stack.add([account(0)])
  fake.fault(account(0), { kind: "cut", afterEvents: 5, how: "stall" })
  const controller = new AbortController()
  const response = await fetch(`${stack.base}/responses`, {
    method: "POST",
    headers: { authorization: "Bearer a-test-key" },
    body: JSON.stringify(ask("hi", { stream: true })),
    signal: controller.signal,
  })
  await response.body?.getReader().read()
  controller.abort()
  await sent()[0]?.closed
  expect(sent()[0]?.aborted).toBeTrue()
  expect(stack.pool.list()[0]?.state).toBe("ready")
})

test("a gateway that answers a stream with JSON is understood", async () => {
  await stack.add([account(0)])
  const json = JSON.stringify({ id: "resp_1", object: "response", status: "completed", output: [] })
  fake.fault(account(0), { kind: "raw", body: json, contentType: "application/json" })
  const text = await (await stack.post(ask("hi", { stream: true }))).text()
  expect(eventsIn(text)).toEqual(["response.created", "response.completed"])
})
