/** A response stream on its way to the client (spec codex 5): chunks pass as they are, a few frames are looked into. */
import type { AnswerHeaders, Failure, Framer } from "../../relay/ports.ts"
import { SseScanner } from "../../relay/sse.ts"
import { isRequestFault, readError } from "./errors.ts"
import { type EventKind, kindOf, responseIdOf, typeOf } from "./events.ts"
import { ItemList } from "./item-list.ts"
import { isObject, parseObject } from "./json.ts"
import type { AnswerNotes } from "./notes.ts"
import { SKIM_BYTES, Skimmer } from "./skimmer.ts"
import { BLANK, endOfBroken, KEEP_ALIVE_CODEX, KEEP_ALIVE_OTHER } from "./synthetic.ts"

/** Longest error event that is kept for its verdict, in characters. */
const MAX_ERROR = 64 * 1024
/** So much of an incomplete frame decides whether it may be the one to patch. */
const HEAD = 160
const LF = 0x0a
/** Blank lines, comments and other fields before a frame's event name. */
const PREAMBLE = /^(?:(?:(?::|id|retry)[^\r\n]*)?(?:[\r\n]+|$))*/
const startsOf = (...types: readonly string[]): readonly string[] =>
  types.flatMap((type) => [`event: ${type}`, `event:${type}`, `data: {"type":"${type}"`, `data:{"type":"${type}"`])
const LAST = startsOf("response.completed", "response.incomplete")
const FAULTS = startsOf("response.failed", "error")
const NAMED = /^(?:event: ?[^\r\n]|data: ?\{"type":"[^"])/

export interface FramerParts {
  readonly notes: AnswerNotes
  /** Of the upstream's answer, for a failure found while opening. */
  readonly headers: AnswerHeaders
  /** The caller is a Codex client: it reads items as they come and gets every byte of the last event as sent. */
  readonly codex: boolean
  /** The text of an error event as the client may see it: without what is the operator's. Default: as it is. */
  readonly scrub?: (text: string) => string
  /** Largest event; default as the scanner has it. */
  readonly maxFrameBytes?: number
  /** Smallest chunk that is skimmed, in bytes; default as the skimmer has it. */
  readonly skimBytes?: number
}

/**
 * Bytes change in three places only: a frame without an `event:` line gets one, a last event whose `output` is empty gets the
 * items that were streamed, and an error event loses what names the account. Everything else is written as it came, chunk for
 * chunk.
 */
export class ResponseFramer implements Framer {
  phase: "opening" | "flowing" | "done" = "opening"
  events = 0
  failure: Failure | null = null

  private readonly scanner: SseScanner
  private readonly skimBytes: number
  private readonly items = new ItemList()
  /** Bytes of the frame begun in earlier chunks. */
  private carried = 0
  /** Whether those bytes are kept back; null while that is not decided, and they go out. */
  private holding: boolean | null = null
  /** While holding: so many of them went out before that was decided. */
  private out = 0
  private ended = false
  /** An event was too large to be one. */
  private broken = false
  /** Where the last event's data lies, for its sequence number; while a chunk is read, -1 if the start is that of its line. */
  private last: Uint8Array | null = null
  private lastStart = 0
  private lastEnd = 0

  constructor(private readonly parts: FramerParts) {
    this.scanner = new SseScanner(parts.maxFrameBytes)
    this.skimBytes = parts.skimBytes ?? SKIM_BYTES
  }

  get usage() {
    return this.parts.notes.usage
  }
  get quotas() {
    return this.parts.notes.quotas
  }
  get plan() {
    return this.parts.notes.plan
  }
  get responseId() {
    return this.parts.notes.responseId
  }
  get lateError() {
    return this.parts.notes.lateError
  }
  get incomplete(): boolean {
    return this.phase !== "done" || this.broken
  }
  get keepAlive(): Uint8Array | null {
    if (this.phase === "done") return null
    return this.parts.codex ? KEEP_ALIVE_CODEX : KEEP_ALIVE_OTHER
  }
  get betweenFrames(): boolean {
    return !this.scanner.overflowed && ((this.holding === true && this.out === 0) || this.scanner.betweenFrames)
  }

  push(chunk: Uint8Array): Uint8Array | null {
    const { scanner } = this
    if (scanner.overflowed) return null
    scanner.feed(chunk)
    /** Pieces to write instead of the chunk; null while the chunk will do. */
    let out: Uint8Array[] | null = null
    /** First byte of the chunk that is not written yet. */
    let from = 0
    /** Where the current frame begins in this chunk. */
    let at = 0
    const skimmer = chunk.length >= this.skimBytes ? new Skimmer(chunk) : null
    while (true) {
      if (skimmer !== null && this.phase === "flowing" && scanner.ahead() === at) at = this.skim(skimmer, chunk, at)
      if (!scanner.next()) break
      const end = at + scanner.end - scanner.start - this.carried
      const kind = this.take()
      const isHeld = this.holding === true
      const written = isHeld ? this.out : this.carried
      const patched = this.unwritten(this.patch(kind), written)
      if (patched !== null || isHeld) {
        out ??= []
        if (at > from) out.push(chunk.subarray(from, at))
        out.push(patched ?? this.named(scanner.frame()).subarray(written))
        from = end
      } else if (scanner.eventEnd === scanner.eventStart && kind !== "none") {
        const type = typeOf(scanner)
        if (type !== null) {
          const blank = end - blankLength(scanner.bytes, scanner.end)
          out ??= []
          out.push(chunk.subarray(from, blank), eventLine(type))
          from = blank
        }
      }
      at = end
      this.carried = 0
      this.holding = null
    }
    if (skimmer !== null && this.last === chunk) this.keepLast(chunk)
    // What is held back may be an error event, of which nothing goes out that was not looked through.
    if (scanner.overflowed) {
      return this.breakOff(joined(out, chunk.subarray(this.holding === true ? chunk.length : from)))
    }
    return this.keepTail(chunk, out, from, at)
  }

  /** Passes over deltas, which need no look; gives where they end. */
  private skim(skimmer: Skimmer, chunk: Uint8Array, from: number): number {
    const before = skimmer.count
    const end = skimmer.skim(from)
    if (skimmer.amid) this.holding = false
    if (end === from) return from
    this.scanner.skipTo(end)
    this.events += skimmer.count - before
    this.last = chunk
    this.lastStart = -1
    this.lastEnd = end - BLANK.length
    return end
  }

  /** Copies the last event's data, so that a large chunk is not held until the next one comes. */
  private keepLast(chunk: Uint8Array): void {
    const start = this.lastStart < 0 ? chunk.lastIndexOf(LF, this.lastEnd - 1) + 1 : this.lastStart
    // Not `slice`, which of a Buffer is a view.
    this.last = new Uint8Array(chunk.subarray(start, this.lastEnd))
    this.lastStart = 0
    this.lastEnd = this.last.length
  }

  /** An event beyond all measure: what comes behind it cannot be told from it, so that the stream ends here. */
  private breakOff(written: Uint8Array): Uint8Array {
    const fault: Failure = { kind: "cut", detail: "an event of the upstream is too large" }
    this.broken = this.phase !== "done"
    if (this.phase === "opening") this.failure = fault
    const last = this.end(fault)
    this.phase = "done"
    return last === null ? written : Buffer.concat([written, last])
  }

  end(fault: Failure | null): Uint8Array | null {
    if (this.ended) return null
    this.ended = true
    const { scanner, phase } = this
    const out: Uint8Array[] = []
    const isOpen = this.carried > 0 && !this.betweenFrames
    if (fault === null && phase !== "done" && scanner.finish()) this.takeLast(out)
    else if (isOpen || scanner.overflowed) out.push(bytesOf(BLANK))
    if (this.phase !== "done") {
      const { codex, notes } = this.parts
      out.push(bytesOf(endOfBroken(fault, codex, notes.rawId, this.nextSequence())))
    }
    return out.length === 0 ? null : Buffer.concat(out)
  }

  /** Decides about the incomplete frame at the chunk's end, and gives out what may be written. */
  private keepTail(chunk: Uint8Array, out: Uint8Array[] | null, from: number, at: number): Uint8Array | null {
    const { scanner } = this
    const tail = scanner.tail()
    const wasHeld = this.holding === true
    const before = this.carried
    this.carried = tail.length
    if (tail.length === 0) this.holding = null
    else if (this.holding !== false) this.holding = this.mayBePatched(tail)
    if (!wasHeld || at > 0) this.out = before
    if (this.holding === true) {
      if (wasHeld && at === 0) return null
      const whole = chunk.subarray(from, at)
      return out === null && whole.length === 0 ? null : joined(out, whole)
    }
    if (wasHeld && at === 0) return new Uint8Array(tail.subarray(this.out))
    if (out === null && from === 0) return chunk
    return joined(out, chunk.subarray(from))
  }

  /**
   * Whether an incomplete frame is an error event, or is or may turn out to be a last event that lacks its items. Null: its
   * first bytes, which may go out, do not tell.
   */
  private mayBePatched(tail: Uint8Array): boolean | null {
    const head = Buffer.from(tail.buffer, tail.byteOffset, Math.min(HEAD, tail.length)).toString("latin1")
    const rest = head.slice(PREAMBLE.exec(head)?.[0].length ?? 0)
    const isOthers = this.parts.codex || this.items.isEmpty || this.phase === "done"
    const isLate = tail.length >= HEAD
    if (rest === "") return isLate || !isOthers ? true : null
    if (FAULTS.some((start) => rest.startsWith(start))) return true
    if (!isOthers && LAST.some((start) => start.startsWith(rest) || rest.startsWith(start))) return true
    // The first bytes of an error event may go out: nothing of the operator's stands in them.
    if (FAULTS.some((start) => start.startsWith(rest))) return isLate ? true : null
    // A frame that names its type in no way known, or so late, is not told from an error event before it is whole.
    return !NAMED.test(rest)
  }

  /** Looks into the scanner's frame as far as it matters. */
  private take(): EventKind {
    const { scanner } = this
    const kind = kindOf(scanner)
    if (kind === "none") return kind
    this.events++
    this.last = scanner.bytes
    this.lastStart = scanner.dataStart
    this.lastEnd = scanner.dataEnd
    switch (kind) {
      case "content":
      case "added":
        if (this.phase === "opening") this.phase = "flowing"
        break
      case "item":
        if (this.phase === "opening") this.phase = "flowing"
        if (!this.parts.codex) {
          this.items.add(scanner.span())
          this.items.keep()
        }
        break
      case "created":
        this.parts.notes.response(responseIdOf(scanner.span()))
        break
      case "limits": {
        const event = parseObject(scanner.text())
        if (event !== null) this.parts.notes.limits(event)
        break
      }
      case "failed":
      case "error":
        this.failed()
        break
      default:
        break
    }
    return kind
  }

  private failed(): void {
    if (this.phase === "done") return
    const body = this.scanner.text()
    this.parts.notes.ended(parseObject(body)?.response)
    // A fault of the request is the client's to read, as the upstream said it: no other credential would do better.
    if (!isRequestFault(readError(body))) {
      const kept = body.slice(0, MAX_ERROR)
      if (this.phase === "opening") this.failure = { kind: "event", body: kept, headers: this.parts.headers }
      // Also while opening: the handshake may have been committed meanwhile, since it is held for a bounded time only.
      this.parts.notes.lateError = kept
    }
    this.phase = "done"
  }

  /**
   * A last event: notes its usage, and gives it its items if it has none. An error event: leaves out what names the account.
   * Null: the frame stays as it is.
   */
  private patch(kind: EventKind): Uint8Array | null {
    if (kind === "failed" || kind === "error") return this.scrubbed()
    if ((kind !== "completed" && kind !== "incomplete") || this.phase === "done") return null
    this.phase = "done"
    const { scanner } = this
    const event = parseObject(scanner.text())
    this.parts.notes.ended(event?.response)
    const response = event?.response
    if (event === null || !isObject(response) || this.parts.codex || scanner.dataLines !== 1) return null
    if (Array.isArray(response.output) && response.output.length > 0) return null
    const output = this.items.sorted()
    if (output === null || output.length === 0) return null
    return this.withData(JSON.stringify({ ...event, response: { ...response, output } }))
  }

  /** What is left to write of a patched frame of which `written` bytes are out; null if those were others. */
  private unwritten(patched: Uint8Array | null, written: number): Uint8Array | null {
    if (patched === null || written === 0) return patched
    const same = Buffer.compare(patched.subarray(0, written), this.scanner.frame().subarray(0, written)) === 0
    return same ? patched.subarray(written) : null
  }

  private scrubbed(): Uint8Array | null {
    const { scanner, parts } = this
    const text = scanner.text()
    const clean = parts.scrub?.(text) ?? text
    if (clean === text) return null
    if (scanner.dataLines === 1) return this.withData(clean)
    // One line instead of several; what stands before them stays, since it may be out already.
    const { bytes, start, dataStart, eventStart, eventEnd } = scanner
    const type = eventEnd > eventStart && eventStart < dataStart ? null : typeOf(scanner)
    const rest = `${clean.replaceAll("\n", " ")}\n${type === null ? "" : `event: ${type}\n`}\n`
    return Buffer.concat([bytes.subarray(start, dataStart), bytesOf(rest)])
  }

  /** The frame with other data in its one line of it. */
  private withData(text: string): Uint8Array {
    const { bytes, start, dataStart, dataEnd, end } = this.scanner
    return this.named(Buffer.concat([bytes.subarray(start, dataStart), bytesOf(text), bytes.subarray(dataEnd, end)]))
  }

  /** The frame with an event name, if it came without one. */
  private named(frame: Uint8Array): Uint8Array {
    const { scanner } = this
    if (scanner.eventEnd > scanner.eventStart) return frame
    const type = scanner.dataLines === 0 ? null : typeOf(scanner)
    if (type === null) return frame
    const blank = frame.length - blankLength(frame, frame.length)
    return Buffer.concat([frame.subarray(0, blank), eventLine(type), frame.subarray(blank)])
  }

  /** The unterminated last frame of a clean end: some servers leave out the last blank line. Cut JSON is no event. */
  private takeLast(out: Uint8Array[]): void {
    const { scanner } = this
    const wasHeld = this.holding === true
    if (scanner.dataLines > 0 && parseObject(scanner.text()) === null) {
      if (!wasHeld || this.out > 0) out.push(bytesOf(BLANK))
      return
    }
    const patched = this.unwritten(this.patch(this.take()), this.out)
    if (wasHeld) out.push(patched ?? new Uint8Array(scanner.frame().subarray(this.out)))
    out.push(bytesOf(BLANK))
  }

  private nextSequence(): number {
    if (this.last === null) return 0
    const data = Buffer.from(this.last.buffer, this.last.byteOffset + this.lastStart, this.lastEnd - this.lastStart)
    const found = /"sequence_number":\s*(\d{1,15})/.exec(data.toString("latin1"))?.[1]
    return found === undefined ? this.events : Number(found) + 1
  }
}

/** Length of the blank line that ends a whole frame. */
function blankLength(bytes: Uint8Array, end: number): number {
  return bytes[end - 1] === 0x0a && bytes[end - 2] === 0x0d ? 2 : 1
}

function eventLine(type: string): Uint8Array {
  return bytesOf(`event: ${type}\n`)
}

function joined(pieces: readonly Uint8Array[] | null, last: Uint8Array): Uint8Array {
  return Buffer.concat([...(pieces ?? []), last])
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text)
}
