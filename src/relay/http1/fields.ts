import type { HeaderFields } from "../headers.ts"
import type { AnswerHeaders } from "../ports.ts"

/** An answer's header fields, as `Headers` would give them. */
export class Fields implements AnswerHeaders {
  /** @param fields names in lower case */
  constructor(private readonly fields: HeaderFields) {}

  get(name: string): string | null {
    const value = this.fields[name.toLowerCase()]
    return value === undefined ? null : typeof value === "string" ? value : value.join(", ")
  }

  has(name: string): boolean {
    return this.fields[name.toLowerCase()] !== undefined
  }

  toJSON(): HeaderFields {
    return this.fields
  }
}
