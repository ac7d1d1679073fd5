/** Lines whose fields are known beforehand, as JSON: put together from bytes that are kept, without objects or strings of their own. */
import type { Cleaner } from "./cleaner.ts"
import { perSecond, sinceSecond, utcSecond } from "./format.ts"
import type { LineField, LineValue, LogLevel } from "./ports.ts"
import { evident } from "./redact.ts"
import type { Sink } from "./sink.ts"

/** Writes one line with these values. */
export type LineFormat = (level: LogLevel, values: readonly LineValue[]) => void

const encoder = new TextEncoder()
const END = encoder.encode("}\n")

/** Places for the values of a group; newcomers take the place of those they meet there. */
const PLACES = 128
/** A longer piece is not worth its memory. Bytes. */
const LONGEST_KEPT = 1024

interface Kept {
  readonly values: readonly LineValue[]
  readonly bytes: Uint8Array
}

/** A few characters of each text tell most groups apart; the numbers in one hardly vary. */
function placeOf(values: readonly LineValue[], from: number, to: number): number {
  let sum = 0
  for (let index = from; index < to; index++) {
    const value = values[index]
    if (typeof value !== "string" || value === "") continue
    const { length } = value
    sum = (sum * 31 + length * 7 + value.charCodeAt(length >> 1) * 5 + value.charCodeAt(length - 1)) | 0
  }
  return sum & (PLACES - 1)
}

/** Fields whose values mostly come together again: the bytes of all of them are kept. */
class Group {
  private readonly fields: number
  private readonly kept: (Kept | null)[] = new Array(PLACES).fill(null)
  private last: Kept | null = null

  constructor(
    private readonly names: readonly string[],
    private readonly cleaner: Cleaner,
  ) {
    this.fields = names.length
  }

  /** The names and values from `at` on, as JSON has them. */
  bytes(values: readonly LineValue[], at: number): Uint8Array {
    const { last } = this
    return last !== null && this.matches(last, values, at) ? last.bytes : this.turn(values, at)
  }

  private matches(kept: Kept, values: readonly LineValue[], at: number): boolean {
    for (let index = 0; index < this.fields; index++) {
      if (kept.values[index] !== values[at + index]) return false
    }
    return true
  }

  private turn(values: readonly LineValue[], at: number): Uint8Array {
    const place = placeOf(values, at, at + this.fields)
    const kept = this.kept[place] ?? null
    if (kept === null || !this.matches(kept, values, at)) return this.learn(values, at, place)
    this.last = kept
    return kept.bytes
  }

  /** The bytes, which are kept only if they needed no cleaning: what held a secret is not remembered. */
  private learn(values: readonly LineValue[], at: number, place: number): Uint8Array {
    let text = ""
    let harmless = true
    for (const [index, name] of this.names.entries()) {
      const value = values[at + index] ?? null
      const clean = typeof value === "string" ? this.cleaner.text(value) : value
      harmless &&= clean === value
      text += `,"${name}":${JSON.stringify(clean)}`
    }
    const bytes = encoder.encode(text)
    if (harmless && bytes.length <= LONGEST_KEPT) {
      this.last = { values: values.slice(at, at + this.fields), bytes }
      this.kept[place] = this.last
    }
    return bytes
  }
}

/** What stands in a line for one field, or for a group of them. */
interface Part {
  /** Where its values begin. */
  readonly at: number
  readonly group: Group | null
  /** What stands before a field's value: as it is, and with a quotation mark. */
  readonly head: Uint8Array
  readonly quoted: Uint8Array
}

function partsOf(fields: readonly LineField[], cleaner: Cleaner): readonly Part[] {
  let at = 0
  return fields.map((field) => {
    const single = typeof field === "string"
    const part: Part = {
      at,
      group: single ? null : new Group(field, cleaner),
      head: encoder.encode(`,"${single ? field : ""}":`),
      quoted: encoder.encode(`,"${single ? field : ""}":"`),
    }
    at += single ? 1 : field.length
    return part
  })
}

/** The same lines as the JSON format writes. Names must be clean. */
export function createJsonLine(
  event: string,
  fields: readonly LineField[],
  { sink, now, cleaner }: { readonly sink: Sink; readonly now: () => number; readonly cleaner: Cleaner },
): LineFormat {
  const parts = partsOf(fields, cleaner)
  const second = perSecond((ms) => encoder.encode(`{"time":"${utcSecond(ms)}.`))
  const head = (level: LogLevel) =>
    encoder.encode(`Z","level":"${level}","event":${JSON.stringify(cleaner.text(event))}`)
  const heads: Readonly<Record<LogLevel, Uint8Array>> = {
    error: head("error"),
    warn: head("warn"),
    info: head("info"),
    debug: head("debug"),
    trace: head("trace"),
  }
  return (level, values) => {
    const page = sink.open()
    if (page === null) return
    const ms = now()
    page.piece(second(ms))
    page.padded(sinceSecond(ms))
    page.piece(heads[level])
    for (const { at, group, head, quoted } of parts) {
      if (group !== null) {
        page.piece(group.bytes(values, at))
        continue
      }
      const value = values[at] ?? null
      if (typeof value === "number") {
        page.piece(head)
        page.number(value)
      } else if (typeof value === "string" && evident(value)) {
        page.piece(quoted)
        page.ascii(value)
        page.ascii('"')
      } else {
        page.piece(head)
        if (typeof value === "string") page.text(JSON.stringify(cleaner.text(value)))
        else page.ascii(String(value))
      }
    }
    page.piece(END)
    sink.close()
  }
}
