import { clients, clientsWithWrongKey, collect, failure, report } from "./report.mjs"

const model = "gemini-2.5-pro"
const ai = clients.client

const tools = [
  {
    functionDeclarations: [
      {
        name: "get_weather",
        description: "Weather of a city",
        parametersJsonSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      },
    ],
  },
]

await report({
  async list() {
    const models = await collect(await ai.models.list())
    return models.map(({ name, supportedActions }) => ({ name, supportedActions }))
  },

  async get() {
    const { name, displayName, inputTokenLimit } = await ai.models.get({ model })
    return { name, displayName, inputTokenLimit }
  },

  async unary() {
    const response = await ai.models.generateContent({
      model,
      contents: "Say hello, \u{1F600}.",
      config: { systemInstruction: "Be brief.", temperature: 0.5, maxOutputTokens: 200 },
    })
    return {
      text: response.text,
      finishReason: response.candidates[0].finishReason,
      usage: response.usageMetadata,
      modelVersion: response.modelVersion,
    }
  },

  async stream() {
    const chunks = await collect(await ai.models.generateContentStream({ model, contents: "Say hello in parts." }))
    return {
      chunks: chunks.length,
      text: chunks.map((chunk) => chunk.text ?? "").join(""),
      finishReason: chunks.at(-1)?.candidates?.[0]?.finishReason,
      usage: chunks.at(-1)?.usageMetadata,
    }
  },

  async thoughts() {
    const config = { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } }
    const response = await ai.models.generateContent({ model, contents: "Think.", config })
    return { thought: response.candidates[0].content.parts.some((part) => part.thought), text: response.text }
  },

  async functions() {
    const asked = { role: "user", parts: [{ text: "What is the weather in Paris?" }] }
    const first = await ai.models.generateContent({ model, contents: [asked], config: { tools } })
    const call = first.functionCalls[0]
    const parts = [{ functionResponse: { name: call.name, response: { celsius: 21 } } }]
    const contents = [asked, first.candidates[0].content, { role: "user", parts }]
    const second = await ai.models.generateContent({ model, contents, config: { tools } })
    const signed = first.candidates[0].content.parts.some((part) => part.thoughtSignature !== undefined)
    return { name: call.name, args: call.args, signed, text: second.text }
  },

  async chat() {
    const chat = ai.chats.create({ model })
    const first = await chat.sendMessage({ message: "My name is Ada." })
    const second = await collect(await chat.sendMessageStream({ message: "What is my name?" }))
    const third = await chat.sendMessage({ message: "And again?" })
    return {
      first: first.text,
      second: second.map((chunk) => chunk.text ?? "").join(""),
      third: third.text,
      roles: chat.getHistory(true).map(({ role }) => role),
    }
  },

  async countTokens() {
    const { totalTokens } = await ai.models.countTokens({ model, contents: "How many tokens are these?" })
    return { totalTokens }
  },

  async wrongKey() {
    const wrong = await clientsWithWrongKey()
    return failure(() => wrong.client.models.generateContent({ model, contents: "x" }))
  },

  unknownModel: () => failure(() => ai.models.generateContent({ model: "gemini-none", contents: "x" })),

  badRequest: () =>
    failure(() => ai.models.generateContent({ model, contents: [{ role: "narrator", parts: [{ text: "x" }] }] })),
})
