/** The output items of a stream as its `response.output_item.done` events gave them (spec codex 3.3), bounded. */
import { type Span, textOf } from "../../relay/span.ts"
import { isObject, number, parseObject } from "./json.ts"

/** Most bytes of items kept for one stream, by default: an image may take tens of MB as base64. */
export const MAX_ITEM_BYTES = 32 * 1024 * 1024

export class ItemList {
  /** Data of the events. Null once there was too much. */
  #events: Span[] | null = []
  #size = 0
  /** How many of them have bytes of their own. */
  #kept = 0

  /** @param maxBytes most bytes of items; beyond it none is kept */
  constructor(private readonly maxBytes = MAX_ITEM_BYTES) {}

  /** @param data of an event; `keep` must follow before its chunk is let go */
  add(data: Span): void {
    this.#size += data.to - data.from
    if (this.#size > this.maxBytes) this.#events = null
    this.#events?.push(data)
  }

  /** Copies what was added since the last time: a view would keep its whole chunk alive. */
  keep(): void {
    const events = this.#events
    if (events === null) return
    for (const { bytes, from, to } of events.splice(this.#kept)) {
      // Not `slice`, which of a Buffer is a view.
      const copy = new Uint8Array(bytes.subarray(from, to))
      events.push({ bytes: copy, from: 0, to: copy.length })
    }
    this.#kept = events.length
  }

  get isEmpty(): boolean {
    return this.#events === null || this.#events.length === 0
  }

  /** The items by their output_index, those without one behind; null when there were too many to keep. */
  sorted(): readonly unknown[] | null {
    if (this.#events === null) return null
    const items = new Map<number, unknown>()
    const rest: unknown[] = []
    for (const data of this.#events) {
      const event = parseObject(textOf(data))
      if (event === null || !isObject(event.item)) continue
      const index = number(event.output_index)
      if (index === null) rest.push(event.item)
      else items.set(index, event.item)
    }
    return [...[...items].sort(([a], [b]) => a - b).map(([, item]) => item), ...rest]
  }
}
