/** Token counts of a `usageMetadata` object. */
import type { TokenUsage } from "../../observe/ports.ts"
import { isObject, parseJson } from "./json.ts"

const DECODER = new TextDecoder()

/**
 * Input includes what tools put into the prompt, and the cached part of it; output includes the thoughts, which are billed as
 * such. Null if the bytes are no usage.
 */
export function readUsage(bytes: Uint8Array): TokenUsage | null {
  const usage = parseJson(DECODER.decode(bytes))
  if (!isObject(usage)) return null
  const prompt = count(usage.promptTokenCount)
  const toolPrompt = count(usage.toolUsePromptTokenCount)
  const said = count(usage.candidatesTokenCount)
  const reasoning = count(usage.thoughtsTokenCount)
  return {
    input: sum(prompt, toolPrompt),
    output: sum(said, reasoning),
    cached: count(usage.cachedContentTokenCount),
    reasoning,
  }
}

const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null

const sum = (a: number | null, b: number | null): number | null => (a === null ? b : a + (b ?? 0))
