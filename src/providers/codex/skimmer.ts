/**
 * Passes over the deltas of a stream, which are most of its events: nobody looks into them, so that it is enough to know where
 * they end.
 *
 * It knows a frame by its very first bytes, `event: NAME\ndata: ` with a name of its list, and takes it for whole if that line
 * ends in a blank one, and no CR, which ends lines too, stands before that. Whatever looks otherwise is the scanner's to read.
 */

const LF = 0x0a
const CR = 0x0d
const WORD = 8

/** Smallest chunk that is skimmed, in bytes: for a few events the preparations cost more than the scanner does. */
export const SKIM_BYTES = 2048

/** Names whose kind is `content` (events.ts), those that come most first. */
export const SKIMMED = [
  "response.output_text.delta",
  "response.reasoning_summary_text.delta",
  "response.function_call_arguments.delta",
  "response.reasoning_text.delta",
  "response.custom_tool_call_input.delta",
] as const

interface Head {
  readonly length: number
  /**
   * The bytes eight at a time, the last eight of them overlapping where they must; little endian. As floating-point numbers, since
   * those are compared at once: of ASCII none is NaN or zero, so that they are equal where their bits are.
   */
  readonly words: Float64Array
}

const HEADS: readonly Head[] = SKIMMED.map(headOf)

/** One chunk's; made for each, since a chunk so large is rare beside the events in it. */
export class Skimmer {
  /** Frames passed over. */
  count = 0
  /** The chunk has no line end behind the delta's head at which the last `skim` stopped. */
  amid = false

  /** The chunk, since words can be read from a view only. */
  private readonly view: DataView
  /** Nothing at or behind this is skimmed: the chunk's first CR, or its end. */
  private readonly limit: number

  constructor(private readonly chunk: Uint8Array) {
    this.view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
    const cr = chunk.indexOf(CR)
    this.limit = cr < 0 ? chunk.length : cr
  }

  /** Where the deltas end that follow each other from `from` on, where a frame begins; `from` if there is none. */
  skim(from: number): number {
    this.amid = false
    let at = from
    // Deltas come in runs of one name; several runs may follow each other.
    for (let i = 0; i < HEADS.length; i++) {
      const head = HEADS[i]
      const end = head === undefined ? at : this.run(head, at)
      if (end === at) continue
      at = end
      i = -1
    }
    return at
  }

  /** Where the frames end that begin with `head`, from `from` on. */
  private run({ words, length }: Head, from: number): number {
    const { chunk, view, limit } = this
    const last = words.length - 1
    let at = from
    while (at + length <= limit && view.getFloat64(at + length - WORD, true) === words[last]) {
      let i = 0
      while (i < last && view.getFloat64(at + i * WORD, true) === words[i]) i++
      if (i < last) break
      const eol = chunk.indexOf(LF, at + length)
      if (eol < 0) this.amid = true
      if (eol < 0 || eol + 1 >= limit || chunk[eol + 1] !== LF) break
      at = eol + 2
      this.count++
    }
    return at
  }
}

function headOf(name: string): Head {
  const bytes = new Uint8Array(Buffer.from(`event: ${name}\ndata: `))
  const view = new DataView(bytes.buffer)
  const words = new Float64Array(Math.ceil(bytes.length / WORD))
  for (let i = 0; i < words.length; i++) words[i] = view.getFloat64(Math.min(i * WORD, bytes.length - WORD), true)
  return { length: bytes.length, words }
}
