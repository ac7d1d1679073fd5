import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type Results, runDriver } from "../support/clients.ts"
import { startWorld, type World } from "../support/world.ts"

const gemini = (prompt: string) => `Hello from gemini-2.5-pro. You said: "${prompt}". 日本語 \u{1F600} and that is all.`

let world: World

beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

describe("the AI SDK", () => {
  let results: Results
  beforeAll(async () => {
    results = await runDriver("ai-sdk", "ai-sdk", world.pollux)
  })

  test("generates text with both providers", () => {
    expect(results["openai unary"]).toMatchObject({ text: "You said: Say hello.", finishReason: "stop" })
    expect(results["google unary"]).toMatchObject({ text: gemini("Say hello."), finishReason: "stop" })
    for (const family of ["openai", "google"]) {
      expect(Object(results[`${family} unary`]).usage.outputTokens).toBeGreaterThan(0)
    }
  })

  test("streams text with both providers", () => {
    const common = { errors: [], finishReason: "stop" }
    expect(results["openai stream"]).toMatchObject({ ...common, text: "You said: Say hello in parts." })
    expect(results["google stream"]).toMatchObject({ ...common, text: gemini("Say hello in parts.") })
    for (const family of ["openai", "google"]) expect(Object(results[`${family} stream`]).deltas).toBeGreaterThan(3)
  })

  test("runs a tool and answers with its result, with both providers", () => {
    expect(results["openai tools"]).toEqual({
      text: 'The tool said: {"city":"Paris","celsius":21}',
      calls: [{ toolName: "get_weather", input: { city: "Paris" } }],
      steps: 2,
    })
    expect(results["google tools"]).toMatchObject({
      text: expect.stringContaining('"celsius":21'),
      calls: [{ toolName: "get_weather", input: { city: "value" } }],
      steps: 2,
    })
  })

  test("sees a wrong key as HTTP 401", () => {
    expect(results["openai wrong key"]).toMatchObject({ name: "APICallError", status: 401 })
    expect(results["google wrong key"]).toMatchObject({ name: "APICallError", status: 401 })
  })
})

describe("LangChain", () => {
  let results: Results
  beforeAll(async () => {
    results = await runDriver("langchain", "langchain", world.pollux)
  })

  test("invokes both providers", () => {
    expect(results["openai unary"]).toMatchObject({ text: "You said: Say hello." })
    expect(results["google unary"]).toMatchObject({ text: gemini("Say hello.") })
    for (const family of ["openai", "google"]) {
      expect(Object(results[`${family} unary`]).usage.output_tokens).toBeGreaterThan(0)
    }
  })

  test("streams from both providers", () => {
    expect(results["openai stream"]).toMatchObject({ text: "You said: Say hello in parts." })
    expect(results["google stream"]).toMatchObject({ text: gemini("Say hello in parts.") })
    for (const family of ["openai", "google"]) expect(Object(results[`${family} stream`]).chunks).toBeGreaterThan(3)
  })

  test("calls a tool and answers with its result, with both providers", () => {
    expect(results["openai tools"]).toEqual({
      name: "get_weather",
      args: { city: "Paris" },
      text: 'The tool said: {"celsius":21}',
    })
    expect(results["google tools"]).toMatchObject({
      name: "get_weather",
      args: { city: "value" },
      text: expect.stringContaining("21"),
    })
  })

  test("sees a wrong key as HTTP 401", () => {
    expect(results["openai wrong key"]).toMatchObject({ status: 401 })
    expect(results["google wrong key"]).toMatchObject({ status: 401 })
  })
})

test("both upstreams accepted every request that reached them", () => {
  const refused = [
    ...world.openai.requestsTo("/responses").filter(({ status }) => status !== 200),
    ...world.google.requests.filter(({ status }) => status !== 200),
  ]
  expect(refused.map(({ path, body, status }) => ({ path, body, status }))).toEqual([])
})
