import type { Body } from "../../relay/http1/body.ts"
import { Chunked } from "../../relay/http1/chunked.ts"
import type { RequestHead } from "./request-head.ts"

const NOTHING = Buffer.alloc(0)

/** Takes a request's body out of the bytes that follow its head. */
export class Intake {
  /** All of it came. */
  done = false
  /** Bytes that came, the coding's included. */
  size = 0

  private readonly coding: Chunked | null
  private left: number

  constructor(
    framing: RequestHead["framing"],
    private readonly inflow: Pick<Body, "push" | "end">,
  ) {
    this.coding = framing === "chunked" ? new Chunked() : null
    this.left = framing === "chunked" ? 0 : framing
  }

  /**
   * @param bytes may be written over
   * @param from where they go on: before that there may be a head
   * @returns those that are not the body's any more
   * @throws MalformedMessage
   */
  push(bytes: Buffer, from = 0): Buffer {
    const { coding, inflow } = this
    // Asked for first: a chunk that was taken whole may be given back by then, and is empty.
    const { length } = bytes
    this.size += length - from
    let end: number
    if (coding === null) {
      end = Math.min(length, from + this.left)
      this.left -= end - from
      if (end === length) inflow.push(bytes, from)
      else inflow.push(bytes.subarray(from, end))
      this.done = this.left === 0
    } else {
      const data = coding.push(from === 0 ? bytes : bytes.subarray(from))
      if (data !== null) inflow.push(data)
      end = from + coding.rest
      this.done = coding.done
    }
    if (!this.done) return NOTHING
    inflow.end()
    return end === length ? NOTHING : bytes.subarray(end)
  }
}
