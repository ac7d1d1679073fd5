/** The generated parts of a Markdown text: where they begin and end, and putting new ones in. Pure. */

const MARKER = /^<!-- generated:([a-z-]+):(begin|end) -->$/gm

const begin = (name: string) => `<!-- generated:${name}:begin -->`
const end = (name: string) => `<!-- generated:${name}:end -->`

/**
 * `text` with every part replaced.
 * @param parts by name
 * @throws Error when a part has no place, a place has no part, or markers do not pair up
 */
export function withParts(text: string, parts: Readonly<Record<string, string>>): string {
  const found = [...text.matchAll(MARKER)].map(([, name = "", edge = ""]) => `${name}:${edge}`)
  const paired = found.every((mark, index) =>
    index % 2 === 0 ? mark.endsWith(":begin") : mark === found[index - 1]?.replace(/begin$/, "end"),
  )
  if (!paired || found.length % 2 !== 0) throw new Error(`markers do not pair up: ${found.join(", ")}`)
  const places = found.filter((mark) => mark.endsWith(":begin")).map((mark) => mark.slice(0, -":begin".length))
  const twice = places.find((place, index) => places.indexOf(place) !== index)
  if (twice !== undefined) throw new Error(`the part ${twice} has two places`)
  for (const place of places) if (!Object.hasOwn(parts, place)) throw new Error(`nothing is known of the part ${place}`)
  let result = text
  for (const [name, part] of Object.entries(parts)) {
    const from = result.indexOf(`${begin(name)}\n`)
    const to = result.indexOf(end(name))
    if (from < 0 || to < from)
      throw new Error(`the part ${name} has no place: put ${begin(name)} and ${end(name)} somewhere`)
    result = `${result.slice(0, from)}${begin(name)}\n\n${part.trim()}\n\n${result.slice(to)}`
  }
  return result
}
