import type { Answer, Chunk, ChunkReader } from "./ports.ts"

/** Content codings (RFC 9110 section 8.4.1) by the name that the runtime has for them. */
const FORMATS: ReadonlyMap<string, string> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "brotli"],
  ["zstd", "zstd"],
])

/**
 * The same answer without its content coding. None is asked for, but some gateways code what they please; one that is not known
 * stays, and makes the answer one that cannot be read.
 */
export function decoded(answer: Answer): Answer {
  const coding = answer.headers.get("content-encoding")
  if (coding === null || answer.body === null) return answer
  const format = FORMATS.get(coding.trim().toLowerCase())
  return format === undefined ? answer : new Decoded(answer, readable(answer.body.getReader()), format)
}

class Decoded implements Answer {
  readonly body: ReadableStream<Uint8Array>

  constructor(
    private readonly coded: Answer,
    body: ReadableStream<Uint8Array>,
    format: string,
  ) {
    this.body = body.pipeThrough(Reflect.construct(DecompressionStream, [format]))
  }

  get status(): number {
    return this.coded.status
  }

  get ok(): boolean {
    return this.coded.ok
  }

  get headers(): Answer["headers"] {
    return this.coded.headers
  }

  bytes(): Promise<Uint8Array> {
    return new Response(this.body).bytes()
  }
}

function readable(reader: ChunkReader): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const chunk: Chunk = await reader.read()
      if (chunk.done) controller.close()
      else controller.enqueue(chunk.value)
    },
    cancel: () => reader.cancel(),
  })
}
