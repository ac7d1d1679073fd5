/** Characters of a field's name (RFC 9110 section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

const MAX_NAMES = 512
/** Longest name that is kept. */
const NAME_LENGTH = 64

/** Names of header fields as they come, each with its lower case: a server sends the same ones every time. */
export class FieldNames {
  private readonly names = new Map<string, string>()

  /** In lower case; empty for what is no name. */
  of(text: string): string {
    const known = this.names.get(text)
    if (known !== undefined) return known
    if (!TOKEN.test(text)) return ""
    const name = text.toLowerCase()
    if (this.names.size < MAX_NAMES && name.length <= NAME_LENGTH) this.names.set(copied(text), copied(name))
    return name
  }
}

/** A text of its own: a part of another one keeps all of that. */
function copied(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1")
}
