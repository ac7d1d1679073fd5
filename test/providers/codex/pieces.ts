/** Streams in pieces, and read again. */

export const bytes = (text: string) => new Uint8Array(Buffer.from(text))

/** `stream` cut at these offsets, given in any order. */
export function cutAt(stream: Uint8Array, ...points: readonly number[]): Uint8Array[] {
  const edges = [0, ...[...points].sort((a, b) => a - b), stream.length]
  return edges.slice(1).map((end, i) => stream.slice(edges[i], end))
}

/** Reads events as the standard says (WHATWG HTML 9.2.6). */
export function read(text: string): { name: string; event: unknown }[] {
  const found: { name: string; event: unknown }[] = []
  let name = ""
  let data: string[] = []
  for (const line of text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/)) {
    if (line === "") {
      if (data.length > 0) found.push({ name, event: JSON.parse(data.join("\n")) })
      name = ""
      data = []
    }
    const [, field, value] = /^(event|data): ?(.*)$/.exec(line) ?? []
    if (field === "event") name = value ?? ""
    if (field === "data") data.push(value ?? "")
  }
  return found
}
