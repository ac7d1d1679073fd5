/** What the load upstream says: made from the request alone, so that the client knows every byte beforehand. */

/** What a request asks the upstream for, as words in its prompt: `@events=12 @every=5000`. */
export interface Order {
  /** Names the request; the bytes follow from it. */
  readonly id: number
  /** Events between the first and the last. */
  readonly events: number
  /** Milliseconds between two events. */
  readonly every: number
  /** Milliseconds before anything is said. */
  readonly late: number
  /** Bytes of filling in each event. */
  readonly fill: number
  /** 1: the first attempt is answered 429. 2: the connection breaks before the answer. 3: it breaks amid the stream. */
  readonly fault: number
}

const NOTHING: Order = { id: 0, events: 3, every: 0, late: 0, fill: 0, fault: 0 }

export function orderText(order: Partial<Order>): string {
  return Object.entries(order)
    .map(([name, value]) => `@${name}=${value}`)
    .join(" ")
}

/** @param text the request's body, or its first few hundred characters */
export function readOrder(text: string): Order {
  const order: Record<string, number> = { ...NOTHING }
  for (const [, name = "", value = ""] of text.matchAll(/@(\w+)=(\d+)/g)) order[name] = Number(value)
  return { ...NOTHING, ...order }
}

const frame = (event: { readonly type: string } & Readonly<Record<string, unknown>>) =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
const filling = (bytes: number) => (bytes === 0 ? "" : "x".repeat(bytes))
const encoder = new TextEncoder()

/** The events of a Codex stream, each one frame. */
export function codexEvent({ id, events, fill }: Order, index: number): Uint8Array | null {
  if (index > events + 1) return null
  const response = { id: `resp_${id}`, object: "response", status: "in_progress" }
  if (index === 0) return encoder.encode(frame({ type: "response.created", response }))
  if (index <= events) {
    const delta = `${id}.${index} 日本 \u{1F600} ${filling(fill)}`
    return encoder.encode(frame({ type: "response.output_text.delta", delta }))
  }
  const output = [{ type: "message", role: "assistant", content: [{ type: "output_text", text: `${id}` }] }]
  const usage = { input_tokens: 3, output_tokens: events, total_tokens: 3 + events }
  const done = { type: "response.completed", response: { ...response, status: "completed", output, usage } }
  return encoder.encode(frame(done))
}

/** All bytes of a Codex stream. */
export function codexBytes(order: Order): Uint8Array {
  const parts: Uint8Array[] = []
  for (let index = 0; ; index++) {
    const part = codexEvent(order, index)
    if (part === null) return Buffer.concat(parts)
    parts.push(part)
  }
}

/** A whole Gemini answer of about 1 KB. */
export function geminiAnswer({ id }: Order): string {
  const text = `${id} ${"word ".repeat(150)}`
  const candidates = [{ content: { role: "model", parts: [{ text }] }, finishReason: "STOP", index: 0 }]
  const usageMetadata = { promptTokenCount: 3, candidatesTokenCount: 150, totalTokenCount: 153 }
  return JSON.stringify({ response: { candidates, usageMetadata, modelVersion: "gemini-2.5-pro" }, traceId: `t${id}` })
}
