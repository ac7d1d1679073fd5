/** A flag turned over in the text of a JSON object, so that the rest of it need not be written anew. Pure. */

/** How an ASCII letter may be written in other words. */
const ESCAPED_ASCII = "\\u00"

/**
 * The text with the flag `name` turned over and every other byte as it was; null where it is not certain which bytes those are.
 * @param text one valid JSON object
 * @param name of one of its own members, ASCII letters
 * @param before that member's value
 */
export function flipped(text: string, name: string, before: boolean): string | null {
  const key = `"${name}"`
  const at = text.indexOf(key)
  // Whatever else looks like it, deeper inside or within a string, stands there beside the member itself: then there are two.
  if (at === -1 || text.includes(key, at + 1) || text.includes(ESCAPED_ASCII)) return null
  const old = String(before)
  // Between a name and its value there are a colon and white space only.
  const from = text.indexOf(old, at + key.length)
  return `${text.slice(0, from)}${!before}${text.slice(from + old.length)}`
}
