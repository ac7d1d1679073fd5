/** What a failed attempt means: the tables of rules.ts, applied. Pure. */
import type { AnswerHeaders, Failure, JudgeContext, Notes, Verdict } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { CodexCall } from "./call.ts"
import { type Case, caseOf } from "./case.ts"
import { readError } from "./errors.ts"
import { refusedParameter } from "./learned.ts"
import { limitsOfHeaders } from "./limits.ts"
import { CONNECTION_RULES, RULES, type Rule } from "./rules.ts"
import { scrubForLog } from "./scrub.ts"

/** Longest message kept with the credential, in characters (store `LastError`). */
const MESSAGE_LENGTH = 300

/** @param newestVersion the newest client version known, for requests refused because of theirs */
export function judgeFailure(
  failure: Failure,
  call: CodexCall,
  lease: Lease,
  context: JudgeContext,
  newestVersion: string,
): Verdict<CodexCall> {
  const facts = caseOf(failure, call, lease, context, newestVersion)
  const rules = failure.kind === "status" || failure.kind === "event" ? RULES : CONNECTION_RULES
  const rule = rules.find(({ when }) => when(facts))
  if (rule === undefined) throw new Error("the last rule of each table takes everything")
  return verdictOf(rule, facts)
}

/** The parameter that a failure refuses by name, for later requests to leave out; or null. */
export function lessonOf(failure: Failure): string | null {
  if (failure.kind !== "status" || (failure.status !== 400 && failure.status !== 422)) return null
  const error = readError(failure.body, failure.headers)
  return refusedParameter(error.message, error.param)
}

function verdictOf(rule: Rule, facts: Case): Verdict<CodexCall> {
  const amended = rule.amend?.(facts) ?? null
  const wanted = typeof rule.retry === "function" ? rule.retry(facts) : rule.retry
  return {
    cause: typeof rule.cause === "function" ? rule.cause(facts) : rule.cause,
    act: rule.act(facts),
    retry: rule.amend !== undefined && amended === null ? "no" : wanted,
    budget: rule.budget,
    ...(amended === null ? {} : { amend: amended }),
    ...(rule.delayMs === undefined ? {} : { delayMs: rule.delayMs }),
    tell: rule.tell(facts),
    rank: rule.rank,
    message: messageOf(facts),
    ...(facts.failure.kind === "status" ? { notes: notesOf(facts.failure.headers, facts.context.now) } : {}),
  }
}

/** Refusals carry limits too (spec codex 6.4); the headers of a 200 were read when it was opened. */
function notesOf(headers: AnswerHeaders, now: number): Notes {
  const { quotas, plan } = limitsOfHeaders(headers.toJSON(), now)
  return { usage: null, quotas, plan, responseId: null, lateError: null }
}

function messageOf(facts: Case): string {
  const { failure, error, lease } = facts
  return scrubForLog(sentenceOf(failure, error.message ?? error.code, facts.status), lease).slice(0, MESSAGE_LENGTH)
}

function sentenceOf(failure: Failure, said: string | null, status: number): string {
  switch (failure.kind) {
    case "status":
      return said === null ? `status ${status}` : `status ${status}: ${said}`
    case "event":
      return `error in the stream: ${said ?? "unnamed"}`
    case "network":
      return failure.detail
    case "timeout":
      return failure.stage === "idle" ? "the upstream fell silent" : "no answer in time"
    case "empty":
      return "the answer was empty"
    case "cut":
      return failure.detail
  }
}
