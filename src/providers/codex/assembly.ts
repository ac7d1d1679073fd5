/** Output items rebuilt from a stream's events, for one that began and was never said to be done (spec codex 3.3). Pure. */
import { isObject, type Json, number, text } from "./json.ts"

interface Draft {
  readonly item: Json
  /** Text by content index. */
  readonly texts: Map<number, { type: "output_text" | "refusal"; text: string }>
  arguments: string | null
}

/** The items of `output_item.added` events, each with what later events put into it. */
export function draftItems(events: readonly Json[]): ReadonlyMap<number, Json> {
  const drafts = new Map<number, Draft>()
  for (const event of events) {
    const index = number(event.output_index)
    if (index === null) continue
    if (event.type === "response.output_item.added" && isObject(event.item)) {
      drafts.set(index, { item: event.item, texts: new Map(), arguments: null })
    } else {
      const draft = drafts.get(index)
      if (draft !== undefined) addTo(draft, event)
    }
  }
  return new Map([...drafts].map(([index, draft]) => [index, finished(draft)]))
}

function addTo(draft: Draft, event: Json): void {
  const part = number(event.content_index) ?? 0
  switch (event.type) {
    case "response.output_text.delta":
      append(draft, part, "output_text", text(event.delta) ?? "")
      return
    case "response.refusal.delta":
      append(draft, part, "refusal", text(event.delta) ?? "")
      return
    case "response.output_text.done":
      draft.texts.set(part, { type: "output_text", text: text(event.text) ?? "" })
      return
    case "response.refusal.done":
      draft.texts.set(part, { type: "refusal", text: text(event.refusal) ?? "" })
      return
    case "response.function_call_arguments.delta":
    case "response.custom_tool_call_input.delta":
      draft.arguments = (draft.arguments ?? "") + (text(event.delta) ?? "")
      return
    case "response.function_call_arguments.done":
      draft.arguments = text(event.arguments) ?? draft.arguments
      return
    case "response.custom_tool_call_input.done":
      draft.arguments = text(event.input) ?? draft.arguments
      return
    default:
      return
  }
}

function append(draft: Draft, part: number, type: "output_text" | "refusal", delta: string): void {
  const before = draft.texts.get(part)
  draft.texts.set(part, { type, text: (before?.text ?? "") + delta })
}

function finished({ item, texts, arguments: args }: Draft): Json {
  if (item.type === "message") {
    const parts = [...texts].sort(([a], [b]) => a - b).map(([, part]) => part)
    const content = parts.map((part) =>
      part.type === "refusal"
        ? { type: "refusal", refusal: part.text }
        : { type: "output_text", text: part.text, annotations: [] },
    )
    return { ...item, status: "incomplete", content }
  }
  if (item.type === "function_call" && args !== null) return { ...item, status: "incomplete", arguments: args }
  if (item.type === "custom_tool_call" && args !== null) return { ...item, input: args }
  return item
}
