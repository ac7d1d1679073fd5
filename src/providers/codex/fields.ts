/** Top-level fields of a request, each with its rule (spec codex 3.2). A field without a rule passes as it is. */
import { inputOfText, normaliseInput } from "./items.ts"
import { isObject, type Json } from "./json.ts"

/** What a rule may look at beside its own field. */
export interface FieldContext {
  readonly hasTools: boolean
}

/** The field's new value; `undefined` leaves it out; the same value keeps the client's bytes. */
export type FieldRule = (value: unknown, context: FieldContext) => unknown

/** Fields that the backend refuses with 400 `Unsupported parameter`. */
const UNSUPPORTED = [
  "max_output_tokens",
  "max_completion_tokens",
  "max_tokens",
  "temperature",
  "top_p",
  "prompt_cache_retention",
  "prompt_cache_options",
  "prompt_cache_breakpoint",
  "previous_response_id",
  "truncation",
  "user",
  "metadata",
  "safety_identifier",
  "context_management",
  "stream_options",
  "generate",
  "background",
  "conversation",
  "prompt",
  "max_tool_calls",
  "top_logprobs",
  "logprobs",
  "seed",
  "presence_penalty",
  "frequency_penalty",
  "stop",
  "n",
] as const

const ENCRYPTED_REASONING = "reasoning.encrypted_content"

/** Values of `include` in the Responses API; others are refused. */
const INCLUDES: ReadonlySet<unknown> = new Set([
  ENCRYPTED_REASONING,
  "file_search_call.results",
  "web_search_call.results",
  "web_search_call.action.sources",
  "message.input_image.image_url",
  "computer_call_output.output.image_url",
  "code_interpreter_call.outputs",
  "message.output_text.logprobs",
])

/** Tiers the backend knows, and the name users know one of them by; `auto` and `default` mean no field. */
const TIERS: Readonly<Record<string, string>> = { priority: "priority", fast: "priority", flex: "flex" }

const drop: FieldRule = () => undefined
/** Null means "not given" in the Responses API; the backend takes some of its nulls amiss. */
const orAbsent: FieldRule = (value) => value ?? undefined

export const FIELD_RULES: ReadonlyMap<string, FieldRule> = new Map<string, FieldRule>([
  ...UNSUPPORTED.map((name) => [name, drop] as const),
  ["stream", () => true],
  ["store", () => false],
  ["instructions", (value) => value ?? ""],
  ["input", (value) => normalInput(value)],
  ["include", (value) => unionInclude(value)],
  ["tools", (value) => (value === null ? undefined : renamedTools(value))],
  ["parallel_tool_calls", (value, { hasTools }) => (hasTools ? (value ?? true) : undefined)],
  ["service_tier", (value) => (typeof value === "string" && Object.hasOwn(TIERS, value) ? TIERS[value] : undefined)],
  ["reasoning", orAbsent],
  ["text", orAbsent],
  ["tool_choice", (value) => (value === null ? undefined : renamedChoice(value))],
  ["prompt_cache_key", orAbsent],
  ["client_metadata", orAbsent],
])

/** Responses-lite bodies are laid out for the backend by the client and stay as they are, but for what it demands of all. */
export const LITE_RULES: ReadonlyMap<string, FieldRule> = new Map<string, FieldRule>([
  ["stream", () => true],
  ["store", () => false],
  ["instructions", (value) => value ?? ""],
])

/** Fields that `/responses/compact` knows (spec codex 8.2); all others are left out. */
const COMPACT_FIELDS: ReadonlySet<string> = new Set([
  "model",
  "input",
  "instructions",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning",
  "service_tier",
  "text",
])

export function isCompactField(name: string): boolean {
  return COMPACT_FIELDS.has(name)
}

/**
 * Fields that must be there and are not; what the client left out is added in front of its own bytes.
 * @param refused names the backend has refused for this model before: it would refuse them of us, too
 */
export function missingFields(
  body: Json,
  context: FieldContext,
  cacheKey: string | null,
  refused: readonly string[],
): Readonly<Record<string, unknown>> {
  const added = missingLiteFields(body)
  if (!("input" in body)) added.input = []
  if (!("include" in body)) added.include = [ENCRYPTED_REASONING]
  if (context.hasTools && !("parallel_tool_calls" in body)) added.parallel_tool_calls = true
  if (cacheKey !== null && !("prompt_cache_key" in body)) added.prompt_cache_key = cacheKey
  for (const name of refused) delete added[name]
  return added
}

export function missingLiteFields(body: Json): Record<string, unknown> {
  const added: Record<string, unknown> = {}
  if (!("instructions" in body)) added.instructions = ""
  if (!("store" in body)) added.store = false
  if (!("stream" in body)) added.stream = true
  return added
}

export function missingCompactFields(body: Json): Readonly<Record<string, unknown>> {
  const added: Record<string, unknown> = {}
  if (!("instructions" in body)) added.instructions = ""
  if (!("input" in body)) added.input = []
  return added
}

export function hasTools(body: Json): boolean {
  return Array.isArray(body.tools) && body.tools.length > 0
}

function normalInput(value: unknown): unknown {
  if (typeof value === "string") return inputOfText(value)
  if (value === null) return []
  return Array.isArray(value) ? normaliseInput(value) : value
}

function unionInclude(value: unknown): unknown {
  if (!Array.isArray(value) || value.length === 0) return [ENCRYPTED_REASONING]
  const known = value.filter((entry) => INCLUDES.has(entry))
  if (!known.includes(ENCRYPTED_REASONING)) return [...known, ENCRYPTED_REASONING]
  return known.length === value.length ? value : known
}

/** The preview's name is refused; order and every other tool stay as they are. */
function renamedTools(tools: unknown): unknown {
  if (!Array.isArray(tools) || !tools.some(isPreview)) return tools
  return tools.map(renamed)
}

/** A choice that names a tool, or several (`allowed_tools`), must name them as the list does. */
function renamedChoice(choice: unknown): unknown {
  if (!isObject(choice)) return choice
  const tools = renamedTools(choice.tools)
  return renamed(tools === choice.tools ? choice : { ...choice, tools })
}

function renamed(tool: unknown): unknown {
  return isPreview(tool) ? { ...tool, type: "web_search" } : tool
}

function isPreview(tool: unknown): tool is Json {
  return isObject(tool) && typeof tool.type === "string" && tool.type.startsWith("web_search_preview")
}
