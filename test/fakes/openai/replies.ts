/** What the fake model says: it echoes the last user text, and calls a tool when there is one to call. */
import type { Json, Reply } from "./events.ts"
import { isObject } from "./rules.ts"

/**
 * - after a tool's output: `The tool said: <output>`;
 * - with exactly one function tool, with one named in the last user text, or with `tool_choice` asking for one: a call of it,
 *   its arguments made up from its schema;
 * - else: `You said: <last user text>`.
 */
export function replyTo(request: Json): Reply {
  const input = Array.isArray(request.input) ? request.input.filter(isObject) : []
  const last = input.at(-1)
  const type = String(last?.type)
  if (type === "function_call_output" || type === "custom_tool_call_output") {
    return { text: pieces(`The tool said: ${textOf(last?.output)}`) }
  }
  const said = textOf(input.findLast((item) => item.role === "user")?.content)
  const tool = toolToCall(request, said)
  if (tool !== null) {
    return {
      calls: [{ name: String(tool.name), arguments: JSON.stringify(sample(tool.parameters, "answer", said)) }],
    }
  }
  const format = isObject(request.text) ? request.text.format : undefined
  if (isObject(format) && format.type === "json_schema") {
    return { text: pieces(JSON.stringify(sample(format.schema, "answer", said))) }
  }
  return { text: pieces(`You said: ${said}`) }
}

function toolToCall(request: Json, said: string): Json | null {
  if (request.tool_choice === "none") return null
  const tools = Array.isArray(request.tools) ? request.tools.filter(isObject) : []
  const functions = tools.filter((tool) => tool.type === "function")
  const choice = request.tool_choice
  const named = isObject(choice) ? functions.find((tool) => tool.name === choice.name) : undefined
  const mentioned = functions.find((tool) => said.includes(String(tool.name)))
  const only = functions.length === 1 && tools.length === 1 ? functions[0] : undefined
  return named ?? mentioned ?? only ?? (choice === "required" ? functions[0] : undefined) ?? null
}

/** A value that fits a JSON schema, well enough for a test: strings take the property's name, or the user's own words for "text". */
function sample(schema: unknown, name: string, said: string): unknown {
  if (!isObject(schema)) return {}
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  switch (type) {
    case "string":
      return name === "text" ? said : name === "city" || name === "location" ? "Paris" : name
    case "number":
    case "integer":
      return 1
    case "boolean":
      return true
    case "array":
      return [sample(schema.items, name, said)]
    default: {
      const properties = isObject(schema.properties) ? schema.properties : {}
      return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, sample(value, key, said)]))
    }
  }
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return ""
  return content
    .filter(isObject)
    .map((part) => (typeof part.text === "string" ? part.text : ""))
    .join("")
}

/** Words, each with the space before it. */
function pieces(text: string): readonly string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [text]
}
