import { HumanMessage, ToolMessage } from "@langchain/core/messages"
import { clients, clientsWithWrongKey, collect, failure, report } from "./report.mjs"

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}

const scenarios = {}
for (const family of ["openai", "google"]) {
  const model = clients[family]
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
  scenarios[`${family} wrong key`] = async () => {
    const wrong = await clientsWithWrongKey()
    return failure(() => wrong[family].invoke("x"))
  }
}

await report(scenarios)
