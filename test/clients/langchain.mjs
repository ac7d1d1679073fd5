import { HumanMessage, ToolMessage } from "@langchain/core/messages"
import { ChatGoogleGenerativeAI } from "@langchain/google-genai"
import { ChatOpenAI } from "@langchain/openai"
import { collect, failure, key, report, url } from "./report.mjs"

const openai = (apiKey) =>
  new ChatOpenAI({
    model: "gpt-5.2-codex",
    apiKey,
    maxRetries: 0,
    useResponsesApi: true,
    configuration: { baseURL: `${url}/codex/v1` },
  })
const google = (apiKey) =>
  new ChatGoogleGenerativeAI({ model: "gemini-2.5-pro", apiKey, maxRetries: 0, baseUrl: `${url}/geminicli` })

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}

const scenarios = {}
for (const [family, make] of Object.entries({ openai, google })) {
  const model = make(key)
  scenarios[`${family} unary`] = async () => {
    const answer = await model.invoke([
      ["system", "Be brief."],
      ["human", "Say hello."],
    ])
    return { text: answer.text, usage: answer.usage_metadata }
  }
  scenarios[`${family} stream`] = async () => {
    const chunks = await collect(await model.stream("Say hello in parts."))
    return { text: chunks.map((chunk) => chunk.text).join(""), chunks: chunks.length }
  }
  scenarios[`${family} tools`] = async () => {
    const bound = model.bindTools([weather])
    const asked = new HumanMessage("What is the weather in Paris?")
    const first = await bound.invoke([asked])
    const [call] = first.tool_calls
    const told = new ToolMessage({ content: '{"celsius":21}', tool_call_id: call.id, name: call.name })
    const second = await bound.invoke([asked, first, told])
    return { name: call.name, args: call.args, text: second.text }
  }
  scenarios[`${family} wrong key`] = () => failure(() => make("wrong-key").invoke("x"))
}

await report(scenarios)
