import type { Peeked } from "./live-stream.ts"
import type { ChunkReader, Failure, Framer } from "./ports.ts"

/** How long, how much and how many events may be held back before the client's 200 is committed (DESIGN section 12). */
export const PEEK_EVENTS = 16
export const PEEK_BYTES = 1024 * 1024
export const PEEK_MS = 1_000

export interface PeekHooks {
  /** Called per upstream chunk, for the first-byte and idle limits. */
  readonly onChunk: () => void
  /** Resolves to null after `ms`; asked at most once. */
  readonly after: (ms: number) => Promise<null>
}

/**
 * Reads the start of a stream until something meaningful came, so that an error inside a 200 can still fail over. Ends early
 * after 16 events, 1 MiB, or 1 s after the first event: then the stream is committed as it is, since holding back the handshake
 * delays clients that show a status. Rejects with what reading rejects with.
 */
export async function peek(reader: ChunkReader, framer: Framer, hooks: PeekHooks): Promise<Peeked | Failure> {
  const held: Uint8Array[] = []
  let size = 0
  let chunk: Uint8Array | null = null
  let limit: Promise<null> | null = null
  while (true) {
    const pending = reader.read()
    if (framer.events > 0) limit ??= hooks.after(PEEK_MS)
    const read = limit === null ? await pending : await Promise.race([pending, limit])
    if (read === null) return { held, chunk, pending, ended: false }
    if (read.done) return atEnd(framer, held, chunk)
    hooks.onChunk()
    chunk = read.value
    size += chunk.length
    const out = framer.push(chunk)
    if (framer.failure !== null) return framer.failure
    if (out !== null) held.push(out)
    if (framer.phase !== "opening" || framer.events >= PEEK_EVENTS || size >= PEEK_BYTES) {
      return { held, chunk, pending: null, ended: false }
    }
  }
}

/** The body ended while nothing meaningful had come; the framer may find a last, unterminated event in what it holds. */
function atEnd(framer: Framer, held: Uint8Array[], chunk: Uint8Array | null): Peeked | Failure {
  const last = framer.end(null)
  if (framer.failure !== null) return framer.failure
  if (framer.events === 0) return { kind: "empty" }
  if (framer.incomplete || framer.phase === "opening") {
    return { kind: "cut", detail: `the stream ended after ${framer.events} events without an answer` }
  }
  if (last !== null) held.push(last)
  return { held, chunk, pending: null, ended: true }
}
