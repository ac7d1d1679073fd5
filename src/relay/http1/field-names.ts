import { copied } from "../../observe/copied.ts"

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
    if (name.length <= NAME_LENGTH) {
      // Names that somebody made up must not keep out the usual ones for good.
      if (this.names.size >= MAX_NAMES) this.names.clear()
      this.names.set(copied(text), copied(name))
    }
    return name
  }
}
