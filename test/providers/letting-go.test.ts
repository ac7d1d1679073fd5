/** The memory of a large chunk is given back as soon as a framer has seen it and its output is written (`ChunkReader.giveBack`). */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ResponseFramer } from "../../src/providers/codex/framer.ts"
import { NO_LIMITS } from "../../src/providers/codex/limits.ts"
import { AnswerNotes } from "../../src/providers/codex/notes.ts"
import { ARRAY_FRAME, SSE_FRAME, StreamFramer } from "../../src/providers/geminicli/response.ts"
import type { Failure, Framer } from "../../src/relay/ports.ts"
import { eventsOf, frame } from "../fakes/openai/events.ts"

/** Chunks of this size on are given back; smaller ones never. */
const LARGE = 16 * 1024
const CUT: Failure = { kind: "cut", detail: "a test" }

const codex = (isCodex: boolean) => (): Framer =>
  new ResponseFramer({ notes: new AnswerNotes(NO_LIMITS, () => 0), headers: new Headers(), codex: isCodex })
const gemini = (form: typeof SSE_FRAME) => (): Framer =>
  new StreamFramer(form, {
    headers: new Headers(),
    learn: () => undefined,
    explain: ({ kind }) => `{"error":"${kind}"}`,
  })

/** What is written of a stream that comes in these pieces. @param givesBack the memory of each large one, once it was seen */
function written(make: () => Framer, pieces: readonly Uint8Array[], end: Failure | null, givesBack: boolean): string {
  const framer = make()
  let text = ""
  const write = (bytes: Uint8Array | null): void => {
    if (bytes !== null) text += Buffer.from(bytes).toString("latin1")
  }
  for (const piece of pieces) {
    // Sockets give Buffers, whose `slice` is a view.
    const { buffer } = new Uint8Array(piece)
    const chunk = Buffer.from(buffer)
    write(framer.push(chunk))
    if (givesBack && chunk.length >= LARGE) buffer.transfer(0)
  }
  write(framer.end(end))
  return `${text} ${framer.phase} ${framer.events} ${JSON.stringify([framer.failure, framer.lateError, framer.usage])}`
}

const CODEX = eventsOf(
  { text: Array.from({ length: 700 }, (_, i) => `word ${i} Grüße 😀 `), calls: [{ name: "f", arguments: '{"a":1}' }] },
  { model: "m", instructions: "i" },
  1,
)
  .map(frame)
  .join("")
const ERROR = 'event: error\ndata: {"type":"error","error":{"code":"x","message":"m"}}\n\n'
const part = (said: string, more = ""): string =>
  `data: {"response":{"candidates":[{"content":{"parts":[{"text":"${said}"}]}${more}}],"usageMetadata":{"promptTokenCount":1}},"traceId":"t"}\n\n`
const GEMINI = `${Array.from({ length: 900 }, (_, i) => part(`word ${i} `)).join("")}${part("last", ',"finishReason":"STOP"')}`

describe.each<[string, () => Framer, readonly string[]]>([
  [
    "a stream of responses for its own client",
    codex(true),
    [CODEX, CODEX.slice(0, 60_000), CODEX.slice(0, 60_000) + ERROR],
  ],
  ["a stream of responses for others", codex(false), [CODEX, CODEX.slice(0, 60_000), CODEX.slice(0, 60_000) + ERROR]],
  [
    "a stream of envelopes as events",
    gemini(SSE_FRAME),
    [GEMINI, GEMINI.slice(0, 60_000), `{"error":{"code":500}}${" ".repeat(50_000)}`],
  ],
  ["a stream of envelopes as an array", gemini(ARRAY_FRAME), [GEMINI, GEMINI.slice(0, 60_000)]],
])("%s", (_, make, streams) => {
  test("is the same whether the memory of its chunks is given back or not", () => {
    const cuts = fc.array(fc.nat({ max: 120_000 }), { maxLength: 6 })
    fc.assert(
      fc.property(fc.constantFrom(...streams), cuts, fc.boolean(), (stream, at, isCut) => {
        const bytes = Buffer.from(stream)
        const places = [0, ...at.filter((place) => place < bytes.length).sort((a, b) => a - b), bytes.length]
        const pieces = places.slice(1).map((place, i) => bytes.subarray(places[i], place))
        const end = isCut ? CUT : null
        expect(written(make, pieces, end, true)).toBe(written(make, pieces, end, false))
      }),
      { numRuns: 80 },
    )
  })
})
