/** Streams, what goes upstream, and thought signatures (spec geminicli 11.9, .10, .16, .17), on the compiled executable. */
import { expect, test } from "bun:test"
import { errors } from "../fakes/google.ts"
import { until } from "../support/wait.ts"
import { contents, eventsOf, GeminiSystem, MODEL, said, textOf } from "./support/gemini.ts"

const PREVIEW = "gemini-3-pro-preview"

const lastEvent = (stream: string) => Object(eventsOf(stream).at(-1))

test("geminicli 11.9: an error event before any content fails over, unseen by the client", async () => {
  await using system = await GeminiSystem.start({ accounts: 2 })
  const event = errors.unavailable()
  for (const account of [system.account(0), system.account(1)]) {
    system.google.fault({ on: "generate", account, stream: { kind: "error", after: 0, event } })
    const response = await system.stream("whole")
    expect(response.status).toBe(200)
    const stream = await response.text()
    expect(stream).not.toContain("error")
    expect(textOf(eventsOf(stream))).toBe(said("whole"))
    system.google.clearFaults()
  }
})

test("geminicli 11.9: an error event mid-stream reaches the client as an event, and the stream ends", async () => {
  await using system = await GeminiSystem.start()
  system.google.fault({ on: "generate", stream: { kind: "error", after: 3, event: errors.internal() } })
  const response = await system.stream("a b c d e f g h i j")
  expect(response.status).toBe(200)
  expect(lastEvent(await response.text()).error).toMatchObject({ code: 500, status: "INTERNAL" })
})

for (const inEvent of [false, true]) {
  test(`geminicli 11.9: a connection cut ${inEvent ? "inside" : "between"} events ends in an error event, not in a hang`, async () => {
    await using system = await GeminiSystem.start()
    system.google.fault({ on: "generate", stream: { kind: "cut", after: 3, inEvent } })
    const stream = await (await system.stream("a b c d e f g h i j")).text()
    expect(lastEvent(stream).error.code).toBe(502)
    expect(eventsOf(stream)).toHaveLength(4)
  })
}

test("geminicli 11.9: the array form is closed properly when the upstream breaks", async () => {
  await using system = await GeminiSystem.start()
  system.google.fault({ on: "generate", stream: { kind: "cut", after: 3 } })
  const response = await system.ask("a b c d e f g h i j", { verb: "streamGenerateContent" })
  const answers = Object(await response.json())
  expect(answers).toHaveLength(4)
  expect(answers.at(-1).error.code).toBe(502)
})

test("geminicli 11.9: silence shorter than idle_timeout is waited for, longer silence ends in an error event, and no total cuts a slow stream", async () => {
  await using system = await GeminiSystem.start({ extra: { idle_timeout: 2 }, google: { eventDelayMs: 250 } })
  system.google.fault({ on: "generate", stream: { kind: "pause", after: 2, ms: 800 } })
  const slow = await (await system.stream("a b c d e f g h i j k l m n o p q r s t u v w x y z")).text()
  expect(textOf(eventsOf(slow))).toEndWith("and that is all.")
  system.google.fault({ on: "generate", stream: { kind: "stall", after: 2 } })
  const stalled = await (await system.stream("a b c d e f g h i j")).text()
  expect(lastEvent(stalled).error.code).toBe(504)
  await until("the stalled request is given up", () => system.google.open() === 0)
})

test("geminicli 11.9: an empty stream is tried elsewhere, and one that stays empty is 502 before any 200", async () => {
  await using system = await GeminiSystem.start({ accounts: 2 })
  system.google.fault({ on: "generate", stream: { kind: "empty" } })
  expect((await system.stream()).status).toBe(200)
  system.google.fault({ on: "generate", stream: { kind: "empty" }, times: Number.POSITIVE_INFINITY })
  const response = await system.stream()
  expect(response.status).toBe(502)
  expect(await response.json()).toMatchObject({ error: { code: 502 } })
})

test("geminicli 11.9: a blocked prompt and a thought-only answer are relayed, never dropped", async () => {
  const answers = [
    { promptFeedback: { blockReason: "PROHIBITED_CONTENT" }, modelVersion: MODEL },
    { candidates: [{ content: { role: "model", parts: [{ text: "hm", thought: true }] }, finishReason: "STOP" }] },
    { candidates: [{ content: { role: "model" }, finishReason: "MAX_TOKENS" }] },
  ]
  let current = 0
  await using system = await GeminiSystem.start({ google: { reply: () => [answers[current] ?? {}] } })
  for (current = 0; current < answers.length; current++) {
    const stream = await system.stream()
    expect(eventsOf(await stream.text())[0]).toMatchObject(answers[current] ?? {})
    const unary = await system.ask()
    expect(unary.status).toBe(200)
    expect(Object(await unary.json())).toMatchObject(answers[current] ?? {})
  }
})

for (const wire of [{ eol: "\r\n", pieceBytes: 1 }, { eol: "\r" }, { comments: true, pieceBytes: 7 }] as const) {
  test(`geminicli 11.9: an upstream that writes ${JSON.stringify(wire)} gives the same events`, async () => {
    await using system = await GeminiSystem.start()
    system.google.fault({ on: "generate", stream: { kind: "wire", ...wire } })
    const stream = await (await system.stream("same")).text()
    expect(textOf(eventsOf(stream))).toBe(said("same"))
  })
}

test("geminicli 11.9: a client that leaves mid-stream ends the upstream answer", async () => {
  await using system = await GeminiSystem.start({ google: { eventDelayMs: 200 } })
  const leaving = new AbortController()
  const response = await system.stream("a b c d e f g h i j k l m n o p", { signal: leaving.signal })
  const reader = response.body?.getReader()
  await reader?.read()
  leaving.abort()
  await until("the upstream sees it", () => system.google.seen("streamGenerateContent")[0]?.aborted, 1_000)
  await until("the slot is free", async () => (await system.only()).inFlight === 0)
  expect((await system.only()).lastError).toBeNull()
})

test("geminicli 11.10: the upstream gets the official client's names, a prompt id, the session, and nothing of the client's headers", async () => {
  await using system = await GeminiSystem.start()
  await system.ask("x", {
    headers: {
      "session-id": "conversation-7",
      cookie: "a=b",
      "x-forwarded-for": "10.1.1.1",
      "user-agent": "secret-tool/1",
    },
  })
  await system.ask("x", { model: PREVIEW })
  const [first, second] = system.google.seen("generateContent")
  expect(first?.json).toMatchObject({ model: MODEL, project: "companion-1", request: { session_id: "conversation-7" } })
  expect(first?.json?.user_prompt_id).not.toBeEmpty()
  expect(second?.json?.user_prompt_id).not.toBe(first?.json?.user_prompt_id)
  expect(first?.headers["user-agent"]).toMatch(/^GeminiCLI\/\d+\.\d+\.\d+\/gemini-2\.5-pro \(/)
  expect(second?.headers["user-agent"]).toContain(`/${PREVIEW} `)
  const names = Object.keys(first?.headers ?? {}).sort()
  expect(names).toEqual(
    ["accept", "authorization", "connection", "content-length", "content-type", "host", "user-agent"].sort(),
  )
  for (const { json } of [first, second].filter((seen) => seen !== undefined)) expect(json).not.toHaveProperty("key")
})

const CALL = { functionCall: { name: "weather", args: { city: "Paris" } } }
const TOOLS = [
  {
    functionDeclarations: [
      { name: "weather", parameters: { type: "OBJECT", properties: { city: { type: "STRING" } } } },
    ],
  },
]
const follow = (part: Record<string, unknown>) => ({
  contents: [
    { role: "user", parts: [{ text: "weather?" }] },
    { role: "model", parts: [part] },
    { role: "user", parts: [{ functionResponse: { name: "weather", response: { sky: "blue" } } }] },
  ],
  tools: TOOLS,
})

test("geminicli 11.16: a signature that the client lost is put back, per part and without waiting for the end", async () => {
  await using system = await GeminiSystem.start()
  const first = await system.stream("", { model: PREVIEW, body: { ...contents("weather?"), tools: TOOLS } })
  const [part] = Object(eventsOf(await first.text())[0]).candidates[0].content.parts
  expect(part.thoughtSignature).not.toBeEmpty()
  const { thoughtSignature, ...lost } = part
  const second = await system.ask("", { model: PREVIEW, body: follow(lost) })
  expect(second.status).toBe(200)
  const sent = Object(system.google.seen("generateContent").at(-1)?.json)
  expect(sent.request.contents[1].parts[0].thoughtSignature).toBe(thoughtSignature)
})

test("geminicli 11.16: an unknown call gets the documented dummy, and a refused signature is replaced by it, once", async () => {
  await using system = await GeminiSystem.start()
  expect((await system.ask("", { model: PREVIEW, body: follow(CALL) })).status).toBe(200)
  system.google.forget()
  const forged = follow({ ...CALL, thoughtSignature: Buffer.from("forged").toString("base64") })
  expect((await system.ask("", { model: PREVIEW, body: forged })).status).toBe(200)
  expect(system.google.seen("generateContent").map(({ status }) => status)).toEqual([400, 200])
})

test("geminicli 11.17: bodies are changed only where Cloud Code needs it, and everything unknown passes", async () => {
  await using system = await GeminiSystem.start()
  const body = {
    model: "models/other",
    system_instruction: "Be brief.",
    contents: [{ parts: [{ text: "hello" }, {}] }, { role: "model", parts: [] }],
    generation_config: { max_output_tokens: 10, thinking_config: { thinking_budget: 128, include_thoughts: true } },
    tools: [{ function_declarations: [{ name: "f", parameters: { $ref: "#/x", anyOf: [{ type: "string" }] } }] }],
    safetySettings: [],
    labels: { team: "a" },
  }
  expect((await system.ask("", { body })).status).toBe(200)
  const { request } = Object(system.google.seen("generateContent")[0]?.json)
  expect(request).not.toHaveProperty("model")
  expect(request.systemInstruction.parts).toEqual([{ text: "Be brief." }])
  expect(request.contents).toEqual([{ role: "user", parts: [{ text: "hello" }] }])
  expect(request.generationConfig).toEqual({
    maxOutputTokens: 10,
    thinkingConfig: { thinkingBudget: 128, includeThoughts: true },
  })
  expect(request.tools).toEqual([
    { functionDeclarations: [{ name: "f", parameters: { $ref: "#/x", anyOf: [{ type: "string" }] } }] },
  ])
  expect(request.safetySettings).toEqual([])
  expect(request.labels).toEqual({ team: "a" })

  const unknown = await system.ask("", { body: { ...contents("x"), inventedField: 1 } })
  expect(unknown.status).toBe(400)
  expect(Object(await unknown.json()).error.message).toContain('Unknown name "inventedField"')
})
