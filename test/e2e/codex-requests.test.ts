/** Sessions, the shape of requests and the version gate (spec codex 10.12 to 10.14), on the compiled executable. */
import { expect, test } from "bun:test"
import { CLI, CodexSystem, inSeconds, MODEL } from "./support/codex.ts"

test("codex 10.12: a session stays by header, cache key and previous response, also over a restart, and moves when it must", async () => {
  await using system = await CodexSystem.start({ accounts: 3 })
  const names = [
    { headers: { "session-id": "s-1" }, more: {} },
    { headers: { session_id: "s-2" }, more: {} },
    { headers: {}, more: { prompt_cache_key: "k-1" } },
  ]
  const owners = new Map<object, string>()
  for (const name of names) {
    for (let i = 0; i < 2; i++) {
      await system.ask("hi", name.more, name.headers)
      owners.set(name, system.lastSent().account)
      await system.ask("noise")
    }
  }
  const first = Object(await (await system.ask("begin")).json())
  const begun = system.lastSent().account
  await system.ask("noise")
  await system.ask("go on", { previous_response_id: first.id })
  expect(system.lastSent().account).toBe(begun)
  expect(system.lastSent().json).not.toHaveProperty("previous_response_id")
  await system.pollux.stop()
  await system.pollux.restart()
  for (const name of names) {
    await system.ask("noise")
    await system.ask("hi", name.more, name.headers)
    expect(system.lastSent().account).toBe(owners.get(name))
  }
  const owner = system.openai.accounts.find(({ email }) => email === system.lastSent().account) ?? null
  system.openai.fault(owner, { kind: "usage_limit", resetsAt: inSeconds(3600) })
  const [, , last] = names
  expect((await system.ask("hi", last?.more)).status).toBe(200)
  const moved = system.lastSent().account
  expect(moved).not.toBe(owner?.email)
  await system.ask("hi", last?.more)
  expect(system.lastSent().account).toBe(moved)
})

test("codex 10.12: session and thread go upstream with hyphens, and turn state only back to who issued it", async () => {
  await using system = await CodexSystem.start({ accounts: 2 })
  const { response } = await system.stream("hi", { ...CLI, session_id: "s-9" })
  expect(system.lastSent().headers).toMatchObject({
    "session-id": "s-9",
    "thread-id": "s-9",
    "x-client-request-id": "s-9",
  })
  expect(system.lastSent().headers).not.toHaveProperty("session_id")
  const state = response.headers.get("x-codex-turn-state") ?? ""
  expect(state).toStartWith("ts.")
  const again = { ...CLI, session_id: "s-9", "x-codex-turn-state": state }
  await system.stream("hi", again)
  expect(system.lastSent().headers["x-codex-turn-state"]).toBe(state)
  const owner = system.openai.accounts.find(({ accountId }) => state.endsWith(accountId)) ?? null
  system.openai.fault(owner, { kind: "usage_limit", resetsAt: inSeconds(3600) })
  await system.stream("hi", again)
  expect(system.lastSent().account).not.toBe(owner?.email)
  expect(system.lastSent().headers).not.toHaveProperty("x-codex-turn-state")
})

test("codex 10.12: what another account encrypted is stripped and the request sent once more", async () => {
  await using system = await CodexSystem.start()
  const input = [
    { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAAAA.someone.else" },
    { role: "user", content: "go on" },
  ]
  expect((await system.ask(input)).status).toBe(200)
  expect(system.sent().map(({ status }) => status)).toEqual([400, 200])
  expect(system.lastSent().json.input).toHaveLength(1)
})

test("codex 10.13: what the backend refuses is left out, what it needs is put in, and the rest stays", async () => {
  await using system = await CodexSystem.start()
  const input = [
    { role: "system", content: "rules" },
    { role: "assistant", content: "before" },
    { role: "user", content: [{ type: "input_text", text: "now" }] },
    { type: "message", role: "user", id: "x".repeat(80), content: [{ type: "input_text", text: "later" }] },
  ]
  const dropped = {
    temperature: 1,
    top_p: 1,
    max_output_tokens: 9,
    user: "u",
    metadata: {},
    truncation: "auto",
    store: true,
  }
  const kept = {
    reasoning: { effort: "low", summary: "auto", odd: 1 },
    tools: [{ type: "namespace", name: "n" }],
    parallel_tool_calls: false,
    service_tier: "fast",
  }
  expect((await system.ask(input, { ...dropped, ...kept })).status).toBe(200)
  const { json } = system.lastSent()
  for (const name of Object.keys(dropped)) if (name !== "store") expect(json).not.toHaveProperty(name)
  expect(json).toMatchObject({
    store: false,
    stream: true,
    reasoning: kept.reasoning,
    tools: kept.tools,
    parallel_tool_calls: false,
    service_tier: "priority",
  })
  expect(json.instructions).toBeString()
  expect(json.include).toContain("reasoning.encrypted_content")
  expect(json.input[0].role).toBe("developer")
  expect(json.input[1].content[0].type).toBe("output_text")
  expect(json.input[3]).not.toHaveProperty("id")
})

test("codex 10.13: an unsupported parameter is learned from the refusal, and left out from then on", async () => {
  await using system = await CodexSystem.start()
  system.openai.refuseParameter("frobnicate")
  expect((await system.ask("hi", { frobnicate: 1 })).status).toBe(200)
  expect((await system.ask("hi", { frobnicate: 1 })).status).toBe(200)
  expect(system.sent().map(({ status }) => status)).toEqual([400, 200, 200])
})

test("codex 10.14: nothing of the client's headers goes upstream but the allow-list, under one identity", async () => {
  await using system = await CodexSystem.start({ extra: 'originator = "my_gateway"\n' })
  await system.ask(
    "hi",
    {},
    { cookie: "a=b", "x-forwarded-for": "10.0.0.9", "x-stainless-lang": "js", "user-agent": "OpenAI/JS 6.49.0" },
  )
  const { headers } = system.lastSent()
  expect(headers.originator).toBe("my_gateway")
  expect(headers["user-agent"]).toStartWith(`my_gateway/${headers.version}`)
  expect(headers.accept).toBe("text/event-stream")
  for (const name of ["cookie", "x-forwarded-for", "x-stainless-lang", "x-goog-api-key"])
    expect(headers).not.toHaveProperty(name)
  expect(headers.authorization).not.toContain(system.pollux.key)
})

test("codex 10.14: the version gate passes with the higher of configured and caller's version, and marks nobody", async () => {
  const models = [MODEL, "gpt-5.6-sol", "gpt-9-future"]
  await using system = await CodexSystem.start({ accounts: 2, models, extra: 'client_version = "0.100.0"\n' })
  const plain = await system.ask("hi", { model: "gpt-5.6-sol" })
  expect(plain.status).toBe(400)
  expect(Object(await plain.json()).error.message).toContain("newer version of Codex")
  const { response } = await system.stream("hi", CLI, { model: "gpt-5.6-sol" })
  expect(response.status).toBe(200)
  expect(system.lastSent().headers.version).toBe("0.169.0")
  expect((await system.ask("hi", { model: "gpt-5.6-sol" })).status).toBe(200)
  expect((await system.ask("hi", { model: "gpt-9-future" })).status).toBe(400)
  for (const { lacks, cooldowns } of await system.list()) expect([...lacks, ...cooldowns]).toBeEmpty()
})
