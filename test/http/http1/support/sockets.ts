import type { Writable } from "../../../../src/http/http1/outbox.ts"

/** A socket that takes as many bytes as it is told to. */
export class SlowSocket implements Writable {
  /** What it has taken, piece by piece; the pieces are copies. */
  readonly taken: Buffer[] = []
  /** What it was given, as it was given. */
  readonly given: Uint8Array[] = []

  /** @param room bytes that it still takes; below zero: it is closed */
  constructor(public room = Number.POSITIVE_INFINITY) {}

  write(bytes: Uint8Array): number {
    this.given.push(bytes)
    if (this.room < 0) return -1
    const size = Math.min(bytes.length, this.room)
    this.room -= size
    if (size > 0) this.taken.push(Buffer.from(bytes.subarray(0, size)))
    return size
  }

  get bytes(): Buffer {
    return Buffer.concat(this.taken)
  }

  get text(): string {
    return this.bytes.toString("latin1")
  }
}
