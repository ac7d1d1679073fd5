import { clients, clientsWithWrongKey, collect, failure, report } from "./report.mjs"

const model = "gpt-5.2-codex"
const client = clients.client.withOptions({ maxRetries: 0 })

const weather = {
  type: "function",
  name: "get_weather",
  description: "Weather of a city",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
}

await report({
  async models() {
    return (await collect(client.models.list())).map(({ id, object }) => ({ id, object }))
  },

  async unary() {
    const response = await client.responses.create({ model, input: "Say hello." })
    const { id, object, status, output_text, usage, error } = response
    return { id, object, status, output_text, usage, error, output: response.output.map(({ type }) => type) }
  },

  async conversation() {
    const input = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "First." },
      { role: "assistant", content: "Yes?" },
      { role: "user", content: [{ type: "input_text", text: "Second." }] },
    ]
    const response = await client.responses.create({ model, input, instructions: "Answer.", max_output_tokens: 100 })
    return { output_text: response.output_text }
  },

  async stream() {
    const stream = await client.responses.create({ model, input: "Say hello in parts.", stream: true })
    const events = await collect(stream)
    return {
      types: [...new Set(events.map(({ type }) => type))],
      first: events[0]?.type,
      last: events.at(-1)?.type,
      deltas: events.filter(({ type }) => type === "response.output_text.delta").length,
      text: events.flatMap((event) => (event.type === "response.output_text.delta" ? [event.delta] : [])).join(""),
    }
  },

  async helper() {
    const stream = client.responses.stream({ model, input: "Say hello to the helper." })
    const deltas = []
    stream.on("response.output_text.delta", (event) => deltas.push(event.delta))
    const response = await stream.finalResponse()
    return { status: response.status, output_text: response.output_text, deltas: deltas.join("") }
  },

  async tools() {
    const input = [{ role: "user", content: "What is the weather in Paris?" }]
    const first = await client.responses.create({ model, input, tools: [weather], store: false })
    const call = first.output.find(({ type }) => type === "function_call")
    const output = JSON.stringify({ city: JSON.parse(call.arguments).city, celsius: 21 })
    const follow = [...input, ...first.output, { type: "function_call_output", call_id: call.call_id, output }]
    const second = await client.responses.create({ model, input: follow, tools: [weather], store: false })
    return { name: call.name, arguments: JSON.parse(call.arguments), output_text: second.output_text }
  },

  async structured() {
    const schema = {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    }
    const text = { format: { type: "json_schema", name: "place", strict: true, schema } }
    const response = await client.responses.parse({ model, input: "Where?", text })
    return { parsed: response.output_parsed }
  },

  async abort() {
    const controller = new AbortController()
    const stream = await client.responses.create(
      { model, input: "Say much.", stream: true },
      { signal: controller.signal },
    )
    for await (const event of stream) {
      if (event.type !== "response.created") continue
      controller.abort()
      break
    }
    return { aborted: controller.signal.aborted }
  },

  async wrongKey() {
    const wrong = await clientsWithWrongKey()
    return failure(() => wrong.client.responses.create({ model, input: "x" }))
  },

  unknownModel: () => failure(() => client.responses.create({ model: "gpt-none", input: "x" })),
})
