import { createGoogleGenerativeAI } from "@ai-sdk/google"
import { createOpenAI } from "@ai-sdk/openai"
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai"
import { collect, failure, key, report, url } from "./report.mjs"

const openai = createOpenAI({ baseURL: `${url}/codex/v1`, apiKey: key })
const google = createGoogleGenerativeAI({ baseURL: `${url}/geminicli/v1beta`, apiKey: key })
const families = { openai: openai("gpt-5.2-codex"), google: google("gemini-2.5-pro") }

const tools = {
  get_weather: tool({
    description: "Weather of a city",
    inputSchema: jsonSchema({
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    }),
    execute: async ({ city }) => ({ city, celsius: 21 }),
  }),
}

const scenarios = {}
for (const [family, model] of Object.entries(families)) {
  scenarios[`${family} unary`] = async () => {
    const { text, finishReason, usage } = await generateText({
      model,
      system: "Be brief.",
      prompt: "Say hello.",
      maxRetries: 0,
    })
    return { text, finishReason, usage }
  }
  scenarios[`${family} stream`] = async () => {
    const result = streamText({ model, prompt: "Say hello in parts.", maxRetries: 0 })
    const parts = await collect(result.fullStream)
    const errors = parts.filter(({ type }) => type === "error").map(({ error }) => String(error))
    const deltas = parts.filter(({ type }) => type === "text-delta")
    const text = deltas.map((part) => part.text).join("")
    return { text, deltas: deltas.length, errors, finishReason: await result.finishReason, usage: await result.usage }
  }
  scenarios[`${family} tools`] = async () => {
    const { text, steps } = await generateText({
      model,
      prompt: "What is the weather in Paris?",
      tools,
      stopWhen: stepCountIs(3),
      maxRetries: 0,
    })
    const calls = steps.flatMap(({ toolCalls }) => toolCalls.map(({ toolName, input }) => ({ toolName, input })))
    return { text, calls, steps: steps.length }
  }
}
scenarios["openai wrong key"] = () => {
  const model = createOpenAI({ baseURL: `${url}/codex/v1`, apiKey: "wrong-key" })("gpt-5.2-codex")
  return failure(() => generateText({ model, prompt: "x", maxRetries: 0 }))
}
scenarios["google wrong key"] = () => {
  const model = createGoogleGenerativeAI({ baseURL: `${url}/geminicli/v1beta`, apiKey: "wrong-key" })("gemini-2.5-pro")
  return failure(() => generateText({ model, prompt: "x", maxRetries: 0 }))
}

await report(scenarios)
