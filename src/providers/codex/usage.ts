import type { TokenUsage } from "../../observe/ports.ts"
import { isObject, type Json, number } from "./json.ts"

/** Token counts of a response object, or null when it has none. */
export function usageOf(response: unknown): TokenUsage | null {
  const usage = isObject(response) ? response.usage : null
  if (!isObject(usage)) return null
  return {
    input: number(usage.input_tokens),
    output: number(usage.output_tokens),
    cached: detail(usage.input_tokens_details, "cached_tokens"),
    reasoning: detail(usage.output_tokens_details, "reasoning_tokens"),
  }
}

/** The response with both detail objects in its usage: official SDKs declare them as always there. */
export function withUsageDetails(response: Json): Json {
  const { usage } = response
  if (!isObject(usage) || (isObject(usage.input_tokens_details) && isObject(usage.output_tokens_details)))
    return response
  const input_tokens_details = usage.input_tokens_details ?? { cached_tokens: 0 }
  const output_tokens_details = usage.output_tokens_details ?? { reasoning_tokens: 0 }
  return { ...response, usage: { ...usage, input_tokens_details, output_tokens_details } }
}

function detail(details: unknown, name: string): number | null {
  return isObject(details) ? number(details[name]) : null
}
