/** The Cloud Code envelope of an answer: `{"response","traceId"}`. */
import { startsWith } from "../../relay/span.ts"

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** Which member of the envelope is being read. */
type Within = 0 | 1 | 2
const NOTHING = 0
const RESPONSE = 1
const TRACE = 2

/** Bytes that make JSON's structure: quote, brackets and braces, comma. */
const STRUCTURE = tableOf(QUOTE, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET, COMMA)
/** Bytes at which a string's plain text ends. */
const TEXT_END = tableOf(QUOTE, BACKSLASH)
/** Bytes of a string read one by one before the rest is searched: most strings are short, and images are long. */
const SHORT = 48

function tableOf(...members: readonly number[]): Uint8Array {
  const table = new Uint8Array(256)
  for (const member of members) table[member] = 1
  return table
}

/**
 * Looks through one answer envelope, once, and notes where the parts lie that matter; what they say is not parsed. One reader
 * serves a whole stream. Takes any bytes, never throws.
 */
export class EnvelopeReader {
  /** `[start, end)` of the `response` object; -1 if there is none, or it does not end. */
  responseStart = -1
  responseEnd = -1
  /** The `traceId` string with its quotes; -1 if there is none. */
  traceStart = -1
  traceEnd = -1
  /** The `usageMetadata` object of the response; -1 if there is none. */
  usageStart = -1
  usageEnd = -1
  /** Its counts; -1 where there is none. */
  prompt = -1
  toolPrompt = -1
  said = -1
  thought = -1
  cached = -1
  /** Some count is not written in plain digits: the object has to be parsed. */
  oddCount = false
  /** An `error` instead of, or beside, the response. */
  error = false
  /** The response has a `responseId` of its own. */
  named = false
  /** The response holds at least one candidate, or says why it holds none (promptFeedback). */
  answers = false
  /** Some candidate is finished, or the prompt was blocked: an end may follow. */
  finished = false
  /** Some part carries a thought signature. */
  signed = false

  /** Reads `bytes[start, end)`. True if it is a whole object. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    this.responseStart = this.responseEnd = this.traceStart = this.traceEnd = this.usageStart = this.usageEnd = -1
    this.prompt = this.toolPrompt = this.said = this.thought = this.cached = -1
    this.error = this.named = this.answers = this.finished = this.signed = this.oddCount = false
    let within: Within = NOTHING
    let inUsage = false
    let depth = 0
    let i = start
    while (i < end) {
      const byte = bytes[i] ?? 0
      if (STRUCTURE[byte] === 0) {
        i++
        continue
      }
      if (byte === QUOTE) {
        // Most strings are short and plain: read here, without a call.
        let close = i + 1
        const short = Math.min(close + SHORT, end)
        while (close < short && TEXT_END[bytes[close] ?? 0] === 0) close++
        if (close === short || bytes[close] !== QUOTE) close = closingQuote(bytes, close, end)
        if (close === -1) return false
        const length = close - i - 1
        // Deep inside, only one name matters; everything else there is passed over.
        if (depth > 4 && length !== 16) {
          i = close + 1
          continue
        }
        let after = close + 1
        while (after < end && isSpace(bytes[after])) after++
        if (bytes[after] === COLON && after < end) {
          if (depth === 1) within = this.envelopeKey(bytes, i + 1, length, after + 1)
          else if (depth === 2) {
            if (within === RESPONSE) inUsage = this.responseKey(bytes, i + 1, length, after + 1, end)
          } else if (depth === 3) {
            if (inUsage) this.usageKey(bytes, i + 1, length, after + 1, end)
            // A prompt that was let through may have ratings too: its answer goes on.
            else if (length === 11 && within === RESPONSE && startsWith(bytes, i + 1, "blockReason"))
              this.finished = true
          } else if (depth === 4) {
            if (length === 12 && within === RESPONSE && startsWith(bytes, i + 1, "finishReason")) this.finished = true
          } else if (depth === 7 && startsWith(bytes, i + 1, "thoughtSignature")) this.signed = true
          i = after + 1
          continue
        }
        if (depth === 1 && within === TRACE) {
          this.traceStart = i
          this.traceEnd = close + 1
        }
        i = after
        continue
      }
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (depth === 0 && byte === OPEN_BRACKET) return false
        if (depth === 1 && within === RESPONSE && byte === OPEN_BRACE) this.responseStart = i
        if (depth === 2 && inUsage && byte === OPEN_BRACE) this.usageStart = i
        depth++
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth--
        if (depth === 1) {
          if (within === RESPONSE && this.responseStart !== -1) this.responseEnd = i + 1
          within = NOTHING
        } else if (depth === 2 && inUsage) {
          if (this.usageStart !== -1) this.usageEnd = i + 1
          inUsage = false
        } else if (depth <= 0) return depth === 0
      } else if (depth === 1) within = NOTHING
      i++
    }
    return false
  }

  private envelopeKey(bytes: Uint8Array, at: number, length: number, value: number): Within {
    if (length === 8 && startsWith(bytes, at, "response")) return RESPONSE
    if (length === 7 && startsWith(bytes, at, "traceId")) return TRACE
    if (length === 5 && startsWith(bytes, at, "error")) this.error ||= !isNull(bytes, value)
    return NOTHING
  }

  private usageKey(bytes: Uint8Array, at: number, length: number, value: number, end: number): void {
    switch (length) {
      case 16:
        if (startsWith(bytes, at, "promptTokenCount")) this.prompt = this.countAt(bytes, value, end)
        break
      case 18:
        if (startsWith(bytes, at, "thoughtsTokenCount")) this.thought = this.countAt(bytes, value, end)
        break
      case 20:
        if (startsWith(bytes, at, "candidatesTokenCount")) this.said = this.countAt(bytes, value, end)
        break
      case 23:
        if (startsWith(bytes, at, "cachedContentTokenCount")) this.cached = this.countAt(bytes, value, end)
        else if (startsWith(bytes, at, "toolUsePromptTokenCount")) this.toolPrompt = this.countAt(bytes, value, end)
    }
  }

  private countAt(bytes: Uint8Array, at: number, end: number): number {
    const count = naturalAt(bytes, at, end)
    if (count === -1) this.oddCount = true
    return count
  }

  /** Returns whether the value is the usage. */
  private responseKey(bytes: Uint8Array, at: number, length: number, value: number, end: number): boolean {
    switch (length) {
      case 10:
        if (startsWith(bytes, at, "candidates")) this.answers ||= hasElement(bytes, value, end)
        else if (startsWith(bytes, at, "responseId")) this.named = true
        return false
      case 13:
        return startsWith(bytes, at, "usageMetadata")
      case 14:
        if (startsWith(bytes, at, "promptFeedback")) this.answers = true
        return false
      default:
        return false
    }
  }
}

const DIGIT_0 = 0x30
/** As many digits as are a safe integer whatever they say. */
const MAX_DIGITS = 15

/** A number written as one to 15 digits; -1 if the value is anything else. */
function naturalAt(bytes: Uint8Array, at: number, end: number): number {
  let i = at
  while (i < end && isSpace(bytes[i])) i++
  const from = i
  let value = 0
  while (i < end) {
    const digit = (bytes[i] ?? 0) - DIGIT_0
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
    i++
  }
  const digits = i - from
  if (digits === 0 || digits > MAX_DIGITS || (digits > 1 && bytes[from] === DIGIT_0)) return -1
  const next = bytes[i]
  return i < end && (next === COMMA || next === CLOSE_BRACE || isSpace(next)) ? value : -1
}

/** The closing quote of a string some of whose bytes, up to `from`, were read already; -1 if it does not end. */
function closingQuote(bytes: Uint8Array, from: number, end: number): number {
  let i = from
  while (i < end) {
    const quote = bytes.indexOf(QUOTE, i)
    if (quote === -1 || quote >= end) return -1
    let back = quote
    while (back > i && bytes[back - 1] === BACKSLASH) back--
    if ((quote - back) % 2 === 0) return quote
    i = quote + 1
  }
  return -1
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Whether the value at `at` is an array with something in it. */
function hasElement(bytes: Uint8Array, at: number, end: number): boolean {
  let i = at
  while (i < end && isSpace(bytes[i])) i++
  if (bytes[i] !== OPEN_BRACKET) return false
  i++
  while (i < end && isSpace(bytes[i])) i++
  return i < end && bytes[i] !== CLOSE_BRACKET
}

function isNull(bytes: Uint8Array, at: number): boolean {
  let i = at
  while (isSpace(bytes[i])) i++
  return startsWith(bytes, i, "null")
}
