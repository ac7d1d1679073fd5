/** Token counts of a `usageMetadata` object. */
import type { TokenUsage } from "../../observe/ports.ts"
import type { EnvelopeReader } from "./envelope.ts"
import { isObject, parseJson } from "./json.ts"

const DECODER = new TextDecoder()

/** What the envelope in `bytes`, just read, says of its usage; null if it says nothing. */
export function usageOf(envelope: EnvelopeReader, bytes: Uint8Array): TokenUsage | null {
  if (envelope.usageEnd === -1) return null
  if (envelope.oddCount) return readUsage(bytes.subarray(envelope.usageStart, envelope.usageEnd))
  const { prompt, toolPrompt, said, thought, cached } = envelope
  return tokens(told(prompt), told(toolPrompt), told(said), told(thought), told(cached))
}

/** Null if the bytes are no usage. */
function readUsage(bytes: Uint8Array): TokenUsage | null {
  const usage = parseJson(DECODER.decode(bytes))
  if (!isObject(usage)) return null
  return tokens(
    count(usage.promptTokenCount),
    count(usage.toolUsePromptTokenCount),
    count(usage.candidatesTokenCount),
    count(usage.thoughtsTokenCount),
    count(usage.cachedContentTokenCount),
  )
}

/** Input includes what tools put into the prompt, and the cached part of it; output the thoughts, which are billed as such. */
function tokens(
  prompt: number | null,
  toolPrompt: number | null,
  said: number | null,
  reasoning: number | null,
  cached: number | null,
): TokenUsage {
  return { input: sum(prompt, toolPrompt), output: sum(said, reasoning), cached, reasoning }
}

const told = (count: number): number | null => (count === -1 ? null : count)

const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null

const sum = (a: number | null, b: number | null): number | null => (a === null ? b : a + (b ?? 0))
