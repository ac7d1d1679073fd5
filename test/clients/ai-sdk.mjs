import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai"
import { clients, clientsWithWrongKey, collect, failure, report } from "./report.mjs"

const MODELS = { openai: "gpt-5.2-codex", google: "gemini-2.5-pro" }

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
for (const [family, name] of Object.entries(MODELS)) {
  const model = clients[family](name)
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
  scenarios[`${family} wrong key`] = async () => {
    const wrong = await clientsWithWrongKey()
    return failure(() => generateText({ model: wrong[family](name), prompt: "x", maxRetries: 0 }))
  }
}

await report(scenarios)
