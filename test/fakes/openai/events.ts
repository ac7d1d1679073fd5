/** The events of one answer, in the order the backend sends them; `response.completed` carries an empty `output` (spec codex 3.3). */
import { randomBytes } from "node:crypto"

export type Json = Readonly<Record<string, unknown>>

export interface Event {
  readonly type: string
  readonly [field: string]: unknown
}

export interface Reply {
  /** Text pieces, one delta event each. */
  readonly text?: readonly string[]
  readonly calls?: readonly { readonly name: string; readonly arguments: string }[]
  /** Adds a reasoning item with this encrypted content. */
  readonly encrypted?: string
  readonly usage?: Json
  /** How it ends; default completed. */
  readonly end?: "completed" | "incomplete"
  readonly incompleteReason?: string
}

const id = (prefix: string) => `${prefix}_${randomBytes(24).toString("hex")}`

export function eventsOf(reply: Reply, request: Json, createdAt: number): readonly Event[] {
  const responseId = id("resp")
  const response = {
    id: responseId,
    object: "response",
    created_at: createdAt,
    status: "in_progress",
    background: false,
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? "",
    model: request.model ?? null,
    output: [],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: null,
    prompt_cache_key: request.prompt_cache_key ?? null,
    reasoning: request.reasoning ?? null,
    service_tier: "default",
    store: false,
    temperature: 1,
    text: request.text ?? { format: { type: "text" } },
    tool_choice: request.tool_choice ?? "auto",
    tools: request.tools ?? [],
    top_p: 1,
    truncation: "disabled",
    usage: null,
    user: null,
    metadata: {},
  }
  const events: Event[] = []
  let sequence = 0
  const push = (type: string, fields: Json) => {
    events.push({ type, sequence_number: sequence++, ...fields })
  }

  push("response.created", { response })
  push("response.in_progress", { response })
  let index = 0
  if (reply.encrypted !== undefined) {
    const item = { id: id("rs"), type: "reasoning", encrypted_content: reply.encrypted, summary: [] }
    push("response.output_item.added", { output_index: index, item: { ...item, encrypted_content: "" } })
    push("response.output_item.done", { output_index: index, item })
    index += 1
  }
  for (const call of reply.calls ?? []) {
    const item = { id: id("fc"), type: "function_call", call_id: id("call"), name: call.name }
    push("response.output_item.added", {
      output_index: index,
      item: { ...item, status: "in_progress", arguments: "" },
    })
    for (const delta of halves(call.arguments)) {
      push("response.function_call_arguments.delta", { item_id: item.id, output_index: index, delta })
    }
    push("response.function_call_arguments.done", {
      item_id: item.id,
      output_index: index,
      arguments: call.arguments,
    })
    push("response.output_item.done", {
      output_index: index,
      item: { ...item, status: "completed", arguments: call.arguments },
    })
    index += 1
  }
  if (reply.text !== undefined) {
    const item = { id: id("msg"), type: "message", role: "assistant" }
    const at = { item_id: item.id, output_index: index, content_index: 0 }
    const part = (text: string) => ({ type: "output_text", annotations: [], logprobs: [], text })
    push("response.output_item.added", { output_index: index, item: { ...item, status: "in_progress", content: [] } })
    push("response.content_part.added", { ...at, part: part("") })
    for (const delta of reply.text) push("response.output_text.delta", { ...at, delta, logprobs: [] })
    const text = reply.text.join("")
    push("response.output_text.done", { ...at, text, logprobs: [] })
    push("response.content_part.done", { ...at, part: part(text) })
    push("response.output_item.done", {
      output_index: index,
      item: { ...item, status: "completed", content: [part(text)] },
    })
  }
  const usage = reply.usage ?? usageOf(request, reply)
  if (reply.end === "incomplete") {
    const incomplete = { status: "incomplete", incomplete_details: { reason: reply.incompleteReason }, usage }
    push("response.incomplete", { response: { ...response, ...incomplete } })
  } else {
    push("response.completed", { response: { ...response, status: "completed", usage } })
  }
  return events
}

export function failureEvent(
  shape: "response.failed" | "error",
  code: string,
  message: string,
  extra: Json,
  sequence: number,
): Event {
  if (shape === "error") return { type: "error", sequence_number: sequence, code, message, param: null, ...extra }
  const error = { code, message, ...extra }
  const response = { id: id("resp"), object: "response", status: "failed", error, output: [], usage: null }
  return { type: "response.failed", sequence_number: sequence, response }
}

export function frame(event: Event): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

function halves(text: string): readonly string[] {
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)].filter((half) => half !== "")
}

function usageOf(request: Json, reply: Reply): Json {
  const input = Math.ceil(JSON.stringify(request.input ?? "").length / 4)
  const output = (reply.text?.length ?? 0) + (reply.calls?.length ?? 0) * 8
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reply.encrypted === undefined ? 0 : 3 },
    total_tokens: input + output,
  }
}
