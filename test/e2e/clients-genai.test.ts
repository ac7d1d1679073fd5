import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Results, runDriver } from "../support/clients.ts"
import { startWorld, type World } from "../support/world.ts"

const said = (prompt: string) => `Hello from gemini-2.5-pro. You said: "${prompt}". 日本語 \u{1F600} and that is all.`

let world: World
let results: Results

beforeAll(async () => {
  world = await startWorld()
  results = await runDriver("genai", "genai-sdk", world.pollux)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

test("@google/genai lists the configured models and gets one", () => {
  expect(results.list).toMatchObject([{ name: "models/gemini-2.5-pro" }])
  expect(results.get).toMatchObject({ name: "models/gemini-2.5-pro" })
})

test("a unary call with a system instruction is answered in full", () => {
  expect(results.unary).toMatchObject({
    text: said("Say hello, \u{1F600}."),
    finishReason: "STOP",
    modelVersion: "gemini-2.5-pro",
    usage: { promptTokenCount: expect.any(Number), totalTokenCount: expect.any(Number) },
  })
})

test("a stream arrives in several chunks and ends with its reason and usage", () => {
  expect(results.stream).toMatchObject({
    text: said("Say hello in parts."),
    finishReason: "STOP",
    usage: { totalTokenCount: expect.any(Number) },
  })
  expect(Object(results.stream).chunks).toBeGreaterThan(3)
})

test("thoughts are delivered as thoughts, apart from the text", () => {
  expect(results.thoughts).toEqual({ thought: true, text: said("Think.") })
})

test("a function is called, its signature travels back with the call, and its result is answered", () => {
  expect(results.functions).toEqual({
    name: "get_weather",
    args: { city: "value" },
    signed: true,
    text: 'The function answered {"celsius":21}.',
  })
})

test("a chat keeps its history over unary and streamed turns", () => {
  expect(results.chat).toMatchObject({
    first: said("My name is Ada."),
    second: said("What is my name?"),
    third: said("And again?"),
  })
  const roles: readonly string[] = Object(results.chat).roles
  expect(roles.filter((role) => role === "user")).toHaveLength(3)
})

test("tokens are counted", () => {
  expect(Object(results.countTokens).totalTokens).toBeGreaterThan(0)
})

test("errors come in the shape that the SDK reads", () => {
  const errorOf = (name: string) => JSON.parse(Object(results[name]).message).error
  expect(results.wrongKey).toMatchObject({ name: "ApiError", status: 401 })
  expect(errorOf("wrongKey")).toMatchObject({ code: 401, status: "UNAUTHENTICATED" })
  expect(results.unknownModel).toMatchObject({ name: "ApiError" })
  expect(errorOf("unknownModel")).toMatchObject({ message: expect.stringContaining("gemini-none") })
})

test("what the upstream refuses as invalid reaches the client word for word", () => {
  expect(results.badRequest).toMatchObject({
    name: "ApiError",
    status: 400,
    message: expect.stringContaining("Please use a valid role: user, model."),
  })
})
