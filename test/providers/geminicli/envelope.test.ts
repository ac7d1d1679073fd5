import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { EnvelopeReader } from "../../../src/providers/geminicli/envelope.ts"
import { usageOf } from "../../../src/providers/geminicli/usage.ts"
import { bytes } from "./support.ts"

const part = fc.oneof(
  fc.record({ text: fc.string({ unit: "binary" }) }),
  fc.record({ text: fc.constantFrom("thoughtSignature", '"finishReason":', "\\", '\\"', `${"x".repeat(200)}"}`) }),
  fc.record({
    functionCall: fc.record({ name: fc.string(), args: fc.dictionary(fc.string(), fc.jsonValue()) }),
    thoughtSignature: fc.string(),
  }),
)
const candidate = fc.record(
  {
    content: fc.record({ role: fc.constant("model"), parts: fc.array(part, { maxLength: 3 }) }),
    finishReason: fc.constantFrom("STOP", "MAX_TOKENS"),
    index: fc.nat(3),
  },
  { requiredKeys: ["content"] },
)
const response = fc.record(
  {
    candidates: fc.array(candidate, { maxLength: 3 }),
    promptFeedback: fc.record({ blockReason: fc.string(), safetyRatings: fc.jsonValue() }, { requiredKeys: [] }),
    usageMetadata: fc.record({ promptTokenCount: fc.nat(), details: fc.array(fc.record({ a: fc.nat() })) }),
    responseId: fc.string(),
    other: fc.jsonValue(),
  },
  { requiredKeys: [] },
)
const envelope = fc.record(
  {
    response,
    traceId: fc.string({ unit: "binary" }),
    error: fc.record({ code: fc.nat() }),
    remainingCredits: fc.jsonValue(),
  },
  { requiredKeys: [] },
)

describe("reading an answer's envelope", () => {
  test("finds what JSON.parse finds, in any order and spacing", () => {
    fc.assert(
      fc.property(envelope, fc.constantFrom(0, 1, "\t"), fc.boolean(), (value, indent, turned) => {
        const ordered = turned ? Object.fromEntries(Object.entries(value).toReversed()) : value
        const json = JSON.stringify(ordered, null, indent)
        const data = bytes(`..${json}..`)
        const reader = new EnvelopeReader()
        expect(reader.read(data, 2, data.length - 2)).toBe(true)
        const cut = (from: number, to: number) =>
          from === -1 ? undefined : JSON.parse(new TextDecoder().decode(data.subarray(from, to)))
        const plain = JSON.parse(json)
        expect(cut(reader.responseStart, reader.responseEnd)).toEqual(plain.response)
        expect(cut(reader.traceStart, reader.traceEnd)).toEqual(plain.traceId)
        expect(cut(reader.usageStart, reader.usageEnd)).toEqual(plain.response?.usageMetadata)
        expect(reader.error).toBe("error" in plain)
        expect(reader.named).toBe(plain.response?.responseId !== undefined)
        const candidates: { finishReason?: string; content: { parts: object[] } }[] = plain.response?.candidates ?? []
        const feedback = plain.response?.promptFeedback
        const blocked = feedback?.blockReason !== undefined
        expect(reader.answers).toBe(candidates.length > 0 || feedback !== undefined)
        expect(reader.finished).toBe(candidates.some((one) => one.finishReason !== undefined) || blocked)
        expect(reader.signed).toBe(candidates.some((one) => one.content.parts.some((p) => "thoughtSignature" in p)))
      }),
      { numRuns: 300 },
    )
  })

  test("a text cut anywhere is not whole, and nothing throws", () => {
    fc.assert(
      fc.property(envelope, fc.nat(), (value, at) => {
        const data = bytes(JSON.stringify(value))
        expect(new EnvelopeReader().read(data, 0, at % data.length)).toBe(false)
      }),
    )
    fc.assert(fc.property(fc.uint8Array(), (data) => void new EnvelopeReader().read(data, 0, data.length)))
  })

  test("an error that is null is none", () => {
    const data = bytes('{"error" : null,"response":{}}')
    const reader = new EnvelopeReader()
    expect([reader.read(data, 0, data.length), reader.error]).toEqual([true, false])
  })

  test("one reader forgets the last envelope", () => {
    const reader = new EnvelopeReader()
    const full = bytes(
      '{"response":{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{},"responseId":"a"},"traceId":"t"}',
    )
    reader.read(full, 0, full.length)
    const bare = bytes("{}")
    reader.read(bare, 0, bare.length)
    expect({ ...reader }).toEqual({ ...new EnvelopeReader() })
  })
})

describe("the counts of an answer", () => {
  const NAMES = [
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
  ] as const
  const usageIn = (json: string) => {
    const data = bytes(json)
    const reader = new EnvelopeReader()
    expect(reader.read(data, 0, data.length)).toBe(true)
    return usageOf(reader, data)
  }
  const number = fc.oneof(
    fc.nat().map(String),
    fc.constantFrom("0", "-1", "1.0", "1.5", "2e3", "null", '"7"', "[1]", "{}", "999999999999999", "1e400"),
    fc.constantFrom("9007199254740991", "9007199254740992", "12345678901234567890"),
  )

  test("are what JSON.parse reads, however they are written", () => {
    const count = (value: unknown): number | null =>
      typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null
    const member = fc.tuple(fc.constantFrom(...NAMES, "totalTokenCount", "thoughtsTokenFound"), number)
    fc.assert(
      fc.property(fc.array(member, { maxLength: 8 }), fc.constantFrom("", " ", "\n\t"), (members, space) => {
        const usage = `{${space}${members.map(([key, text]) => `"${key}"${space}:${space}${text}${space}`).join(",")}}`
        const found = usageIn(`{"response":{"usageMetadata":${space}${usage}${space}}}`)
        const plain = JSON.parse(usage)
        const [prompt = null, tool = null, said = null, reasoning = null, cached = null] = NAMES.map((name) =>
          count(plain[name]),
        )
        const sum = (a: number | null, b: number | null) => (a === null ? b : a + (b ?? 0))
        expect(found).toEqual({ input: sum(prompt, tool), output: sum(said, reasoning), cached, reasoning })
      }),
      { numRuns: 500 },
    )
  })

  test("are none where there is no usage, or where it is no object", () => {
    expect(usageIn('{"response":{"candidates":[]}}')).toBeNull()
    expect(usageIn('{"response":{"usageMetadata":7}}')).toBeNull()
    expect(usageIn('{"response":{"usageMetadata":{"promptTokenCount":007}}}')).toBeNull()
    expect(usageIn('{"response":{"other":{"promptTokenCount":7}}}')).toBeNull()
  })
})
