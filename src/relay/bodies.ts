import type { Assembler, Failure } from "./ports.ts"

/** How much of a failed answer's body is read. */
export const ERROR_BODY_BYTES = 256 * 1024
/** Largest answer that is assembled in memory. */
export const UNARY_BYTES = 64 * 1024 * 1024

/**
 * The start of a failed answer's body, as text. What the upstream sends beyond `limit`, or after the reading was aborted, is
 * left out: an error's first bytes say what it is. Never rejects.
 */
export async function readErrorBody(response: Response, limit: number = ERROR_BODY_BYTES): Promise<string> {
  if (response.body === null) return ""
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let text = ""
  let left = limit
  try {
    while (left > 0) {
      const { done, value } = await reader.read()
      if (done) return text + decoder.decode()
      text += decoder.decode(value.subarray(0, left), { stream: true })
      left -= value.length
    }
  } catch {
    return text
  }
  void reader.cancel().catch(() => undefined)
  return text
}

export interface UnaryRead {
  /** Called per chunk, for the idle limit. */
  readonly onChunk: () => void
  readonly limit?: number
}

/**
 * Reads an answer into its assembler until the body ends, the assembler has what it needs, or finds a failure. Null: go on to
 * `finish`. Rejects with what reading rejects with.
 */
export async function readUnary(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  assembler: Assembler,
  { onChunk, limit = UNARY_BYTES }: UnaryRead,
): Promise<Failure | null> {
  let size = 0
  while (true) {
    const { done, value } = await reader.read()
    if (done) return assembler.failure
    onChunk()
    size += value.length
    if (size > limit) return { kind: "cut", detail: `the answer is larger than ${limit} bytes` }
    assembler.push(value)
    if (assembler.failure !== null) return assembler.failure
    if (assembler.done) return null
  }
}
