import { flow } from "./flow.ts"
import type { Answer, Assembler, ChunkReader, Failure, Receiver } from "./ports.ts"
import { spanOf } from "./span.ts"
import type { Ticker, Ticking } from "./ticker.ts"

/** How much of a failed answer's body is read. */
export const ERROR_BODY_BYTES = 256 * 1024
/** Largest answer that is assembled in memory. */
export const UNARY_BYTES = 64 * 1024 * 1024

/**
 * The start of a failed answer's body, as text. What the upstream sends beyond `limit`, or after the reading was aborted, is
 * left out: an error's first bytes say what it is. Never rejects.
 */
export async function readErrorBody(response: Answer, limit: number = ERROR_BODY_BYTES): Promise<string> {
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

/**
 * Reads an answer into its assembler. "ended": the body is at its end; "done": the assembler has what it needs before that.
 * Each chunk is told to `watch`, for the idle limit. Rejects with what reading rejects with.
 */
export function readUnary(
  reader: ChunkReader,
  assembler: Assembler,
  watch: { onChunk(): void },
  limit: number = UNARY_BYTES,
): Promise<Failure | "ended" | "done"> {
  const { promise, resolve, reject } = Promise.withResolvers<Failure | "ended" | "done">()
  let size = 0
  const receiver: Receiver = {
    take(value) {
      try {
        watch.onChunk()
        size += value.length
        if (size > limit) resolve({ kind: "cut", detail: `the answer is larger than ${limit} bytes` })
        else {
          assembler.push(spanOf(value))
          if (assembler.failure !== null) resolve(assembler.failure)
          else if (assembler.done) resolve("done")
          else return true
        }
      } catch (error) {
        reject(error)
      }
      return false
    },
    ended: () => resolve(assembler.failure ?? "ended"),
    broke: reject,
  }
  void flow(reader, receiver, null)
  return promise
}

/**
 * Gives an upstream whose answer is complete a little time to end by itself, so that its connection can be used again; then
 * cancels it. What it still sends is dropped.
 */
export function letEnd(reader: ChunkReader, ticker: Ticker, ms: number): void {
  const due = ticker.due(ms)
  const limit: Ticking = {
    tick(now) {
      if (now < due) return
      ticker.remove(limit)
      void reader.cancel().catch(() => undefined)
    },
  }
  const drop = async (): Promise<void> => {
    while (!(await reader.read()).done);
  }
  ticker.add(limit)
  void drop()
    .catch(() => undefined)
    .finally(() => ticker.remove(limit))
}
