import type { Chunk, ChunkReader, Receiver } from "./ports.ts"

/**
 * Gives what a reader reads to a receiver until that has enough, or there is no more.
 * @param pending a read that was begun and has not come back, or null
 */
export async function flow(reader: ChunkReader, receiver: Receiver, pending: Promise<Chunk> | null): Promise<void> {
  try {
    let first = pending
    while (true) {
      if (first === null && reader.flow !== undefined) return reader.flow(receiver)
      const { done, value } = await (first ?? reader.read())
      first = null
      if (done) return receiver.ended()
      if (!receiver.take(value)) return
    }
  } catch (error) {
    receiver.broke(error)
  }
}
