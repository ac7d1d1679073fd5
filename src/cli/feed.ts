/** Reads server-sent events of the server's own feeds: `event` and `data` of one line each, as `resource:watch` writes them. */

export interface FeedEvent {
  readonly event: string
  readonly data: string
}

/** Longest line kept, in characters: a snapshot of some ten thousand credentials fits. */
const LONGEST_LINE = 64 * 1024 * 1024

/** The events of a feed until it ends or its reader stops. Comments and unknown fields are passed over (WHATWG HTML 9.2.6). */
export async function* readFeed(stream: ReadableStream<Uint8Array>): AsyncGenerator<FeedEvent> {
  const decoder = new TextDecoder()
  const parts: string[] = []
  let size = 0
  let event = "message"
  let data: string[] = []
  for await (const chunk of stream) {
    const pieces = decoder.decode(chunk, { stream: true }).split("\n")
    const last = pieces.pop() ?? ""
    for (const piece of pieces) {
      const line = (parts.splice(0).join("") + piece).replace(/\r$/, "")
      size = 0
      if (line === "") {
        if (data.length > 0) yield { event, data: data.join("\n") }
        event = "message"
        data = []
      } else if (line.startsWith("event:")) event = fieldValue(line)
      else if (line.startsWith("data:")) data.push(fieldValue(line))
    }
    size += last.length
    if (size > LONGEST_LINE) throw new Error("the feed's line is too long")
    if (last !== "") parts.push(last)
  }
}

function fieldValue(line: string): string {
  const value = line.slice(line.indexOf(":") + 1)
  return value.startsWith(" ") ? value.slice(1) : value
}
