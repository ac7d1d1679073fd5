import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Results, runDriver } from "../support/clients.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
let results: Results

beforeAll(async () => {
  world = await startWorld()
  results = await runDriver("openai", "openai-sdk", world.pollux)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

test("the openai SDK lists the configured models, in their order", () => {
  expect(results.models).toEqual(["gpt-5.2-codex", "gpt-5.2", "gpt-5.3-codex"].map((id) => ({ id, object: "model" })))
})

test("a unary call gets one complete response, rebuilt from the stream that the upstream insists on", () => {
  expect(results.unary).toMatchObject({
    object: "response",
    status: "completed",
    error: null,
    output: ["message"],
    output_text: "You said: Say hello.",
    usage: { output_tokens: expect.any(Number), total_tokens: expect.any(Number) },
  })
})

test("a conversation with a system message and unsupported parameters is made acceptable", () => {
  expect(results.conversation).toEqual({ output_text: "You said: Second." })
})

test("a stream arrives event by event and ends completed", () => {
  expect(results.stream).toMatchObject({
    first: "response.created",
    last: "response.completed",
    text: "You said: Say hello in parts.",
    types: expect.arrayContaining([
      "response.output_item.added",
      "response.output_text.delta",
      "response.output_item.done",
    ]),
  })
  expect(results.stream).toHaveProperty("deltas", 6)
})

test("the responses.stream() helper finds the text in its final response", () => {
  const text = "You said: Say hello to the helper."
  expect(results.helper).toEqual({ status: "completed", output_text: text, deltas: text })
})

test("a function is called, and its output is answered", () => {
  expect(results.tools).toMatchObject({
    name: "get_weather",
    arguments: { city: "Paris" },
    output_text: 'The tool said: {"city":"Paris","celsius":21}',
  })
})

test("structured output is parsed by the SDK", () => {
  expect(results.structured).toEqual({ parsed: { city: "Paris" } })
})

test("an aborted stream ends the upstream request too", async () => {
  expect(results.abort).toEqual({ aborted: true })
  await until("no request is in flight", async () => {
    const list = await (await world.pollux.api("/codex/resource:list")).json()
    return Object(list).counts.inFlight === 0
  })
})

test("a wrong key is an AuthenticationError, an unknown model a BadRequestError with its code", () => {
  expect(results.wrongKey).toMatchObject({ name: "AuthenticationError", status: 401 })
  expect(results.unknownModel).toMatchObject({ name: "BadRequestError", status: 400, code: "UNSUPPORTED_MODEL" })
})

test("the upstream accepted every request that reached it", () => {
  const statuses = world.openai
    .requestsTo("/responses")
    .filter(({ aborted }) => !aborted)
    .map(({ status }) => status)
  expect(statuses.length).toBeGreaterThan(6)
  expect(statuses.filter((status) => status !== 200)).toEqual([])
})
