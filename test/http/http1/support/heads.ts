import { expect } from "bun:test"
import { Refusal, type RefusalStatus } from "../../../../src/http/http1/refusal.ts"
import { type RequestHead, RequestHeads } from "../../../../src/http/http1/request-head.ts"
import { KnownFields } from "../../../../src/relay/http1/known-fields.ts"

export const someHeads = (): RequestHeads => new RequestHeads(new KnownFields())

/** Read by somebody who has read none before. */
export const read = (...lines: readonly string[]): RequestHead => someHeads().read(lines.join("\r\n"))

/** One of HTTP/1.1 with a Host, and what else it is given. */
export const post = (...lines: readonly string[]): RequestHead => read("POST /a HTTP/1.1", "host: a", ...lines)

/** Why the call refuses a request; fails unless it does, with that status. @param name what the call reads */
export function refusalOf(name: string, call: () => void, status: RefusalStatus): Refusal {
  const label = JSON.stringify(name.slice(0, 200))
  try {
    call()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    expect(error.status, `${label}: ${error.message}`).toBe(status)
    return error
  }
  throw new Error(`not refused: ${label}`)
}

/** @param heads has read others before */
export function refused(text: string, status: RefusalStatus = 400, heads: RequestHeads = someHeads()): Refusal {
  return refusalOf(text, () => heads.read(text), status)
}

export const refusedPost = (...lines: readonly string[]): Refusal =>
  refused(["POST /a HTTP/1.1", "host: a", ...lines].join("\r\n"))
