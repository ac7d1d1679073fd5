/** What a failed attempt means: the first rule of the table that fits. Pure. */
import { redact } from "../../observe/redact.ts"
import type { Failure, JudgeContext, Verdict } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { GeminiCall } from "./call.ts"
import type { Case, Rule } from "./case.ts"
import { statedDelay } from "./delays.ts"
import { readProblem } from "./errors.ts"
import { detailOf, RULES, SERVER_ERROR } from "./rules.ts"
import { inArray } from "./tell.ts"

export function judge(failure: Failure, call: GeminiCall, lease: Lease, context: JudgeContext): Verdict<GeminiCall> {
  const c = caseOf(failure, call, lease, context)
  const rule = ruleFor(c)
  const told = rule.tell(c)
  const amend = rule.amend?.(c) ?? null
  return {
    cause: rule.cause,
    act: rule.act(c),
    retry: retryOf(rule, c),
    budget: rule.budget,
    ...(amend === null ? {} : { amend }),
    ...(rule.delayMs === undefined ? {} : { delayMs: rule.delayMs }),
    tell: call.form === "array" ? inArray(told) : told,
    rank: rule.rank,
    message: sentence(c),
  }
}

/** The body that tells a client of a failure inside an answer that has already begun. */
export function explain(failure: Failure, call: GeminiCall, lease: Lease, now: number): string {
  const c = caseOf(failure, call, lease, { now, attempts: 1, before: () => 0, seen: () => 1 })
  return ruleFor(c).tell(c).body
}

const ruleFor = (c: Case): Rule => RULES.find(({ when }) => when(c)) ?? SERVER_ERROR

function retryOf(rule: Rule, c: Case): Verdict<GeminiCall>["retry"] {
  if (typeof rule.retry === "function") return rule.retry(c)
  if (rule.retry !== "again") return rule.retry
  return c.context.before(rule.cause) === 0 ? "same" : "other"
}

function caseOf(failure: Failure, call: GeminiCall, lease: Lease, context: JudgeContext): Case {
  const answered = failure.kind === "status" || failure.kind === "event"
  const status = failure.kind === "status" ? failure.status : null
  const problem = readProblem(answered ? failure.body : "", status)
  return {
    failure,
    problem,
    // The status line is what proxies in between agree on; an event has none.
    code: answered ? (status ?? (problem.code === 0 ? 500 : problem.code)) : 0,
    call,
    lease,
    context,
    wait: answered ? statedDelay(problem, failure.headers, context.now) : null,
  }
}

/** For the log and the credential's last error: no secret, one line. */
function sentence(c: Case): string {
  const { failure, problem, code } = c
  if (failure.kind !== "status" && failure.kind !== "event") return `${failure.kind}: ${detailOf(failure)}`
  const words = [String(code), problem.status, problem.reasons[0] ?? "", problem.message].filter((word) => word !== "")
  return redact(words.join(" ")).replace(/\s+/g, " ").slice(0, 300)
}
