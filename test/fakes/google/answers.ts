/** What the fake model says: text in several events, or a function call when tools are offered. */
import { isJson, type Json, list } from "./envelope.ts"
import type { FakeAccount, ReplyContext } from "./types.ts"
import type { World } from "./world.ts"

const tokensOf = (value: unknown): number => Math.max(1, Math.ceil(JSON.stringify(value ?? "").length / 4))

export function countTokens(request: Json): Json {
  const total = list(request.contents).reduce((sum: number, content) => sum + tokensOf(content), 0)
  const extra = ["systemInstruction", "tools"].reduce(
    (sum, key) => sum + (request[key] === undefined ? 0 : tokensOf(request[key])),
    0,
  )
  return { totalTokens: total + extra }
}

export function context(world: World, account: FakeAccount, body: Json, stream: boolean): ReplyContext {
  const request = isJson(body.request) ? { ...body.request } : {}
  return {
    account,
    model: String(body.model),
    request,
    stream,
    prompt: lastUserText(request),
    count: world.answered,
  }
}

function lastUserText(request: Json): string {
  for (const content of list(request.contents).toReversed()) {
    if (!isJson(content) || content.role === "model") continue
    const texts = list(content.parts).flatMap((part) =>
      isJson(part) && typeof part.text === "string" ? [part.text] : [],
    )
    if (texts.length > 0) return texts.join(" ")
  }
  return ""
}

/** The `response` values of one answer, in order. */
export function answer(world: World, context: ReplyContext): readonly Record<string, unknown>[] {
  const scripted = world.options.reply?.(context)
  if (scripted !== undefined && scripted !== null) return scripted
  const parts = chooseParts(world, context)
  const responseId = world.unique("resp-")
  const usage = usageOf(world, context, parts)
  return parts.map((part, index) => {
    const last = index === parts.length - 1
    return {
      candidates: [{ content: { role: "model", parts: [part] }, ...(last ? { finishReason: "STOP" } : {}), index: 0 }],
      usageMetadata: last ? usage : { ...usage, candidatesTokenCount: undefined },
      modelVersion: context.model,
      responseId,
    }
  })
}

/** One answer instead of many, for the unary call. */
export function merged(responses: readonly Record<string, unknown>[]): Record<string, unknown> {
  const last = responses.at(-1) ?? {}
  const parts: unknown[] = []
  for (const response of responses) {
    const candidate = list(response.candidates)[0]
    const content = isJson(candidate) ? candidate.content : undefined
    for (const part of isJson(content) ? list(content.parts) : []) {
      const before = parts.at(-1)
      const joinable = isJson(part) && isJson(before) && plainText(part) && plainText(before)
      if (joinable && part.thought === before.thought)
        parts[parts.length - 1] = { ...before, ...part, text: `${before.text}${part.text}` }
      else parts.push(part)
    }
  }
  const candidate = list(last.candidates)[0]
  if (!isJson(candidate)) return last
  return { ...last, candidates: [{ ...candidate, content: { role: "model", parts } }] }
}

const plainText = (part: Json) => typeof part.text === "string" && part.functionCall === undefined

function chooseParts(world: World, context: ReplyContext): Json[] {
  const { request, model, prompt } = context
  const config = isJson(request.generationConfig) ? request.generationConfig : {}
  const thinking = isJson(config.thinkingConfig) && config.thinkingConfig.includeThoughts === true
  const thoughts: Json[] = thinking ? [{ text: `**Considering**\n\nThe user wants: ${prompt}`, thought: true }] : []
  const call = functionCall(request)
  if (call !== null) return [...thoughts, { functionCall: call, ...signed(world, context) }]
  const outcome = functionOutcome(request)
  const text =
    outcome === null
      ? `Hello from ${model}. You said: "${prompt}". 日本語 \u{1F600} and that is all.`
      : `The function answered ${outcome}.`
  const words = text.match(/\S+\s*/g) ?? [text]
  const pieces = Array.from({ length: Math.ceil(words.length / 3) }, (_, index) => ({
    text: words.slice(index * 3, index * 3 + 3).join(""),
  }))
  if (model.startsWith("gemini-3") && thinking) {
    const last = pieces.pop()
    if (last !== undefined) return [...thoughts, ...pieces, { ...last, ...signed(world, context) }]
  }
  return [...thoughts, ...pieces]
}

function signed(world: World, context: ReplyContext): Json {
  const signature = Buffer.from(`\u0001${world.unique("signature-")}`).toString("base64")
  world.signatures.set(signature, context.account)
  return { thoughtSignature: signature }
}

/** A call of the first declared function when the last turn is a plain user text. */
function functionCall(request: Json): Json | null {
  const mode = isJson(request.toolConfig) ? request.toolConfig.functionCallingConfig : undefined
  if (isJson(mode) && mode.mode === "NONE") return null
  const declared = list(request.tools).flatMap((tool) => (isJson(tool) ? list(tool.functionDeclarations) : []))
  const first = declared.find(isJson)
  const last = list(request.contents).at(-1)
  if (first === undefined || !isJson(last) || last.role === "model") return null
  if (list(last.parts).some((part) => isJson(part) && part.functionResponse !== undefined)) return null
  const schema = first.parametersJsonSchema ?? first.parameters
  const properties = isJson(schema) && isJson(schema.properties) ? schema.properties : {}
  const required = isJson(schema) ? list(schema.required).map(String) : []
  const args = Object.fromEntries(
    Object.entries(properties)
      .filter(([name]) => required.length === 0 || required.includes(name))
      .map(([name, property]) => [name, example(property)]),
  )
  return { name: String(first.name), args }
}

function example(property: unknown): unknown {
  if (!isJson(property)) return "value"
  const allowed = list(property.enum)
  if (allowed.length > 0) return allowed[0]
  switch (String(property.type).toLowerCase()) {
    case "number":
    case "integer":
      return 3
    case "boolean":
      return true
    case "array":
      return []
    case "object":
      return {}
    default:
      return "value"
  }
}

function functionOutcome(request: Json): string | null {
  const last = list(request.contents).at(-1)
  if (!isJson(last)) return null
  const answers = list(last.parts).flatMap((part) =>
    isJson(part) && isJson(part.functionResponse) ? [JSON.stringify(part.functionResponse.response)] : [],
  )
  return answers.length === 0 ? null : answers.join(" and ")
}

function usageOf(world: World, context: ReplyContext, parts: readonly Json[]): Json {
  const { request, account } = context
  const contents = list(request.contents)
  const prompt = Number(countTokens(request).totalTokens)
  const thoughts = parts.filter((part) => part.thought === true).reduce((sum, part) => sum + tokensOf(part), 0)
  const said = parts.filter((part) => part.thought !== true).reduce((sum, part) => sum + tokensOf(part), 0)
  const prefix = `${account.sub} ${JSON.stringify(contents[0])}`
  const cached = contents.length > 1 && world.prefixes.has(prefix) ? tokensOf(contents[0]) : 0
  world.prefixes.add(prefix)
  return {
    promptTokenCount: prompt,
    candidatesTokenCount: said,
    ...(thoughts > 0 ? { thoughtsTokenCount: thoughts } : {}),
    ...(cached > 0 ? { cachedContentTokenCount: cached } : {}),
    totalTokenCount: prompt + said + thoughts,
    trafficType: "PROVISIONED_THROUGHPUT_UNSPECIFIED",
  }
}
