/**
 * A text of its own. A part of a text keeps all of that in memory (JavaScriptCore), so that one name out of a request's head, kept
 * for hours, would keep the head: 16 KiB, with somebody's key in it.
 */
export function copied(text: string): string {
  const bytes = Buffer.from(text, "latin1").toString("latin1")
  return bytes === text ? bytes : Buffer.from(text, "utf16le").toString("utf16le")
}
