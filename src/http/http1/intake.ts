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
   * @returns those that are not the body's any more
   * @throws MalformedMessage
   */
  push(bytes: Buffer): Buffer {
    const { coding, inflow } = this
    this.size += bytes.length
    let used: number
    if (coding === null) {
      used = Math.min(bytes.length, this.left)
      this.left -= used
      inflow.push(used === bytes.length ? bytes : bytes.subarray(0, used))
      this.done = this.left === 0
    } else {
      const data = coding.push(bytes)
      if (data !== null) inflow.push(data)
      used = coding.rest
      this.done = coding.done
    }
    if (!this.done) return NOTHING
    inflow.end()
    return used === bytes.length ? NOTHING : bytes.subarray(used)
  }
}
