/** A failed attempt with all that a verdict may look at. */
import type { AnswerHeaders, Failure, JudgeContext } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { CodexCall } from "./call.ts"
import { eventStatus, readError, type UpstreamError } from "./errors.ts"

export interface Case {
  readonly failure: Failure
  /** What the upstream said; form "empty" where it said nothing. */
  readonly error: UpstreamError
  /** HTTP status, or the one an event stands for; 0 where there was no answer. */
  readonly status: number
  readonly headers: AnswerHeaders | null
  /** The upstream's own text. */
  readonly body: string
  readonly call: CodexCall
  readonly lease: Lease
  readonly context: JudgeContext
  /** The newest client version known: the configured one, or one that a caller announced. */
  readonly newestVersion: string
}

const SILENCE = readError("")

export function caseOf(
  failure: Failure,
  call: CodexCall,
  lease: Lease,
  context: JudgeContext,
  newestVersion: string,
): Case {
  const common = { failure, call, lease, context, newestVersion }
  if (failure.kind === "status") {
    const { status, headers, body } = failure
    return { ...common, error: readError(body, headers), status, headers, body }
  }
  if (failure.kind === "event") {
    const error = readError(failure.body)
    return { ...common, error, status: eventStatus(error), headers: failure.headers, body: failure.body }
  }
  return { ...common, error: SILENCE, status: 0, headers: null, body: "" }
}
