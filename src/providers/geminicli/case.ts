/** What the verdict table is made of: the case it looks at, and the actions and answers its rules name. */
import { redact } from "../../observe/redact.ts"
import type { ClientError, Failure, JudgeContext, Verdict } from "../../relay/ports.ts"
import type { Action, Lease, ParkAction } from "../../scheduler/ports.ts"
import type { ParkReason } from "../../store/types.ts"
import type { GeminiCall } from "./call.ts"
import { actionUrl, type Problem } from "./errors.ts"
import { shownDetails, statusName, tell } from "./tell.ts"

export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE

/** Milliseconds per strike in a row. */
export const LADDERS = {
  /** A 429 that names neither reason nor time. */
  bare: [1, 2, 4, 8, 16, 32, 60].map((minutes) => minutes * MINUTE),
  /** A stated reset is trusted this long, then tried. */
  probe: [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
  login: [HOUR, 6 * HOUR, 24 * HOUR],
  verification: [24 * HOUR],
  ineligible: [6 * HOUR, 24 * HOUR],
  forbidden: [30 * MINUTE, 2 * HOUR, 12 * HOUR],
  server: [10 * SECOND, 30 * SECOND, MINUTE],
  blocked: [30 * SECOND, 2 * MINUTE, 10 * MINUTE],
} as const

/** Everything a rule may look at. */
export interface Case {
  readonly failure: Failure
  readonly problem: Problem
  readonly code: number
  readonly call: GeminiCall
  readonly lease: Lease
  readonly context: JudgeContext
  /** What the upstream asks to wait, in milliseconds, or null. */
  readonly wait: number | null
}

export interface Rule {
  readonly cause: string
  readonly when: (c: Case) => boolean
  readonly act: (c: Case) => Action
  /** `again`: the same credential once, then another. */
  readonly retry: "again" | "other" | "no" | ((c: Case) => "same" | "other" | "no")
  readonly budget: Verdict<GeminiCall>["budget"]
  /** Pause before the next try, in milliseconds; absent: none. */
  readonly delayMs?: number
  readonly amend?: (c: Case) => GeminiCall | null
  readonly tell: (c: Case) => ClientError
  readonly rank: number
}

/** The credential is not to blame. */
export const nothing = (): Action => ({ do: "none" })
export const backoff =
  (ladder: readonly number[], cause: string, after?: number) =>
  (c: Case): Action => ({
    do: "backoff",
    scope: [c.call.model],
    ladder,
    cause,
    ...(after === undefined ? {} : { after }),
  })
export const cool = (c: Case, ms: number, cause: string, quota: boolean): Action => ({
  do: "cool",
  scope: [c.call.model],
  // Spread over a second, so that a pool does not wake in step.
  until: c.context.now + ms + ((c.lease.credential * 137) % 1_000),
  cause,
  quota,
  ...(quota ? { probe: LADDERS.probe } : {}),
})
export const park =
  (reason: ParkReason, recheck: readonly number[], fallback: string) =>
  (c: Case): ParkAction => ({
    do: "park",
    reason,
    detail: redact(c.problem.message === "" ? fallback : c.problem.message).slice(0, 300),
    url: actionUrl(c.problem),
    recheck,
  })

export const identify = (then: ParkAction): Action => ({ do: "identify", then })

/** Shorter names would blank out ordinary words. */
const SHORTEST_NAME = 6

/** What must not tell a client whose account it was. */
function accountNames({ lease }: Case): readonly string[] {
  const { account, email, sub } = lease.identity
  return [lease.token, account, email, sub]
    .filter((name) => name !== null)
    .filter((name) => name.length >= SHORTEST_NAME)
}

/** Only these two mean "later"; elsewhere a time in a message is about something else. */
const waitFor = (code: number, c: Case): number | null => (code === 429 || code === 503 ? c.wait : null)

/** The upstream's own words for a fault of the request. */
export const verbatim = (c: Case): ClientError => {
  const { problem, code } = c
  return tell({
    code,
    message: problem.message === "" ? `The upstream answered ${code}.` : problem.message,
    status: problem.status === "" ? statusName(code) : problem.status,
    details: shownDetails(problem),
    hide: accountNames(c),
    retryAfterMs: waitFor(code, c),
  })
}

/** The upstream's words under a status of ours, without what looks like a secret. */
export const mapped =
  (code: number, fallback: string, status?: string) =>
  (c: Case): ClientError =>
    tell({
      code,
      message: c.problem.message === "" ? fallback : redact(c.problem.message),
      status: status ?? statusName(code),
      details: shownDetails(c.problem),
      hide: accountNames(c),
      retryAfterMs: waitFor(code, c),
    })

export const fixed = (code: number, message: string, status?: string) => (): ClientError =>
  tell({ code, message, ...(status === undefined ? {} : { status }) })
