/** The output items of a stream as its `response.output_item.done` events gave them (spec codex 3.3), bounded. */
import { isObject, number, parseObject } from "./json.ts"

/** Most bytes of items kept for one stream, by default: an image may take tens of MB as base64. */
export const MAX_ITEM_BYTES = 32 * 1024 * 1024

export class ItemList {
  /** Data of the events, copied: a view would keep its whole chunk alive. Null once there was too much. */
  #events: Uint8Array[] | null = []
  #size = 0

  /** @param maxBytes most bytes of items; beyond it none is kept */
  constructor(private readonly maxBytes = MAX_ITEM_BYTES) {}

  add(data: Uint8Array): void {
    this.#size += data.length
    if (this.#size > this.maxBytes) this.#events = null
    this.#events?.push(data.slice())
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
      const event = parseObject(Buffer.from(data.buffer, data.byteOffset, data.length).toString("utf8"))
      if (event === null || !isObject(event.item)) continue
      const index = number(event.output_index)
      if (index === null) rest.push(event.item)
      else items.set(index, event.item)
    }
    return [...[...items].sort(([a], [b]) => a - b).map(([, item]) => item), ...rest]
  }
}
