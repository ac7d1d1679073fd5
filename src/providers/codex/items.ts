/** Input items (spec codex 3.1, 3.2): roles, content and ids as the backend takes them. Each function gives back its argument itself when nothing changes. */
import { isObject, type Json } from "./json.ts"

/** Longest item id the backend takes. */
const MAX_ID = 64

/** Prefixes of ids that fit an item's type; items of other types are left alone. */
const ID_PREFIXES: Readonly<Record<string, readonly string[]>> = {
  message: ["msg_"],
  reasoning: ["rs_"],
  function_call: ["fc_"],
  function_call_output: ["fc_", "fco_"],
  custom_tool_call: ["ctc_"],
  custom_tool_call_output: ["ctco_"],
}

/** Text given instead of a list of items. */
export function inputOfText(content: string): readonly Json[] {
  return [{ type: "message", role: "user", content: [{ type: "input_text", text: content }] }]
}

export function normaliseInput(input: readonly unknown[]): readonly unknown[] {
  let changed: unknown[] | null = null
  for (let i = 0; i < input.length; i++) {
    const item = input[i]
    const normal = isObject(item) ? normaliseItem(item) : item
    if (normal === item) continue
    changed ??= input.slice()
    changed[i] = normal
  }
  return changed ?? input
}

function normaliseItem(item: Json): Json {
  const cleaned = hasFittingId(item) ? item : without(item, "id")
  return isMessage(cleaned) ? normaliseMessage(cleaned) : cleaned
}

/** A message, also in the short form that leaves the type out. */
function isMessage(item: Json): boolean {
  return item.type === "message" || (item.type === undefined && typeof item.role === "string")
}

/** Whether the id may stay: none at all, one that fits the type, or any id of a type not known here. */
function hasFittingId(item: Json): boolean {
  if (!("id" in item)) return true
  const type = item.type ?? (typeof item.role === "string" ? "message" : undefined)
  const prefixes = typeof type === "string" && Object.hasOwn(ID_PREFIXES, type) ? ID_PREFIXES[type] : undefined
  if (prefixes === undefined) return true
  const { id } = item
  return typeof id === "string" && id.length <= MAX_ID && prefixes.some((prefix) => id.startsWith(prefix))
}

/** `system` becomes `developer` where it stands, which keeps order, images and the cached prefix. */
function normaliseMessage(message: Json): Json {
  const role = message.role === "system" ? "developer" : message.role
  const content = contentFor(role, message.content)
  return role === message.role && content === message.content ? message : { ...message, role, content }
}

/** Text parts are `output_text` in the assistant's messages and `input_text` in all others. */
function contentFor(role: unknown, content: unknown): unknown {
  const type = role === "assistant" ? "output_text" : "input_text"
  if (typeof content === "string") return [{ type, text: content }]
  if (!Array.isArray(content)) return content
  let changed: unknown[] | null = null
  for (let i = 0; i < content.length; i++) {
    const part: unknown = content[i]
    const normal = typeof part === "string" ? { type, text: part } : retyped(part, type)
    if (normal === part) continue
    changed ??= content.slice()
    changed[i] = normal
  }
  return changed ?? content
}

function retyped(part: unknown, type: string): unknown {
  if (!isObject(part) || part.type === type) return part
  const isText = part.type === "input_text" || part.type === "output_text" || part.type === "text"
  if (!isText || typeof part.text !== "string") return part
  // Annotations and log probabilities belong to output only.
  return type === "output_text" ? { ...part, type } : { type, text: part.text }
}

/** Without every item id, and without reasoning that only its id could have recalled. Null if there is nothing to take away. */
export function stripIds(input: readonly unknown[]): readonly unknown[] | null {
  let changed = false
  const kept: unknown[] = []
  for (const item of input) {
    if (!isObject(item) || item.type === "item_reference") kept.push(item)
    else if (item.type === "reasoning" && typeof item.encrypted_content !== "string") changed = true
    else if ("id" in item) {
      kept.push(without(item, "id"))
      changed = true
    } else kept.push(item)
  }
  return changed ? kept : null
}

/** Without what only another account could decrypt: encrypted reasoning and compaction items. Null if there is none. */
export function stripEncrypted(input: readonly unknown[]): readonly unknown[] | null {
  const kept = input.filter((item) => !isObject(item) || typeof item.encrypted_content !== "string")
  return kept.length === input.length ? null : kept
}

/** Whether an output item refers to a call that the input does not contain: the conversation lives elsewhere. */
export function hasOrphanOutput(input: readonly unknown[]): boolean {
  const calls = new Set<unknown>()
  for (const item of input) {
    if (!isObject(item) || typeof item.type !== "string" || item.call_id === undefined) continue
    if (!item.type.endsWith("_output")) calls.add(item.call_id)
    else if (!calls.has(item.call_id)) return true
  }
  return false
}

/** Whether an item stands for one that the backend would have to keep. */
export function hasReference(input: unknown): boolean {
  return Array.isArray(input) && input.some((item) => isObject(item) && item.type === "item_reference")
}

export function without(object: Json, name: string): Json {
  const { [name]: _, ...rest } = object
  return rest
}
