/** The verdict table (spec 6.7): what a failure is, what it does to the credential, and what the client hears. First match wins. */
import { redact } from "../../observe/redact.ts"
import type { ClientError, Failure } from "../../relay/ports.ts"
import {
  backoff,
  type Case,
  cool,
  fixed,
  HOUR,
  identify,
  LADDERS,
  MINUTE,
  mapped,
  nothing,
  park,
  type Rule,
  SECOND,
  verbatim,
} from "./case.ts"
import { statesZeroDelay } from "./delays.ts"
import { actionUrl, hasReason, quotaNames } from "./errors.ts"
import { namesResources, narrowCount, withDummySignatures } from "./request.ts"
import { tell } from "./tell.ts"

/** A model that is missing for a credential is asked for again after this. */
const LACKS_MS = 12 * HOUR
const CAPACITY_MS = 5 * SECOND
/** Different credentials that may meet missing capacity in one request: it is the model's, not theirs. */
const CAPACITY_TRIES = 3
/** Different credentials that are asked about a resource which the request names. */
const RESOURCE_TRIES = 2
const PER_MINUTE_MS = MINUTE
/** Pause before another try after a fault of the server or the network; jittered by the relay. */
const RETRY_PAUSE_MS = 300
/** Faults of the server in a row before a credential is held back for them. */
const SERVER_STRIKES = 5

const throttled = (code: number) => code === 429
const refusal = (c: Case) => c.code === 403 || c.code === 402

/**
 * Wording counts only where a client cannot have put it there: an error that repeats the request's own text must not move a
 * credential.
 */
const INELIGIBLE_TEXT =
  /missing a valid licen[sc]e|named user on your organi[sz]ation|no longer supported for gemini code assist|migrate to antigravity/i
const INELIGIBLE_REASONS = [
  "UNSUPPORTED_CLIENT",
  "SUBSCRIPTION_REQUIRED",
  "IAM_PERMISSION_DENIED",
  "INELIGIBLE_ACCOUNT",
  "RESTRICTED_AGE",
  "RESTRICTED_NETWORK",
  "UNSUPPORTED_LOCATION",
  "UNKNOWN_LOCATION",
  "DASHER_USER",
  "NON_USER_ACCOUNT",
  "SECURITY_POLICY_VIOLATED",
]
const CAPACITY_REASONS = ["MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED"]

const isCapacity = (c: Case) =>
  (throttled(c.code) || c.code === 503) &&
  (hasReason(c.problem, ...CAPACITY_REASONS) ||
    /^no capacity available/i.test(c.problem.message) ||
    (hasReason(c.problem, "RATE_LIMIT_EXCEEDED") && c.wait === null && statesZeroDelay(c.problem)))

/** Whatever no other rule knows. */
export const SERVER_ERROR: Rule = {
  cause: "server_error",
  when: () => true,
  act: backoff(LADDERS.server, "server_error", SERVER_STRIKES),
  // Another one first, the same one again if there is no other (DESIGN section 3).
  retry: "other",
  budget: "fault",
  delayMs: RETRY_PAUSE_MS,
  tell: serverError,
  rank: 40,
}

export const RULES: readonly Rule[] = [
  {
    cause: "network",
    when: (c) => c.failure.kind === "network",
    act: nothing,
    retry: "other",
    budget: "fault",
    delayMs: RETRY_PAUSE_MS,
    tell: (c) => tell({ code: 502, message: `The upstream could not be reached: ${detailOf(c.failure)}.` }),
    rank: 30,
  },
  {
    cause: "timeout",
    when: (c) => c.failure.kind === "timeout",
    act: nothing,
    retry: "other",
    budget: "fault",
    tell: fixed(504, "The upstream did not answer in time."),
    rank: 30,
  },
  {
    cause: "empty",
    when: (c) => c.failure.kind === "empty",
    act: nothing,
    retry: "other",
    budget: "fault",
    tell: fixed(502, "The upstream gave an empty answer."),
    rank: 35,
  },
  {
    cause: "cut",
    when: (c) => c.failure.kind === "cut",
    act: backoff(LADDERS.server, "cut", SERVER_STRIKES),
    retry: "other",
    budget: "fault",
    tell: fixed(502, "The answer was broken off."),
    rank: 35,
  },
  {
    cause: "signature",
    when: (c) =>
      c.code === 400 && /thought[\s_]?signature/i.test(c.problem.message) && withDummySignatures(c.call) !== null,
    act: nothing,
    retry: () => "same",
    budget: "amend",
    amend: (c) => withDummySignatures(c.call),
    tell: verbatim,
    rank: 100,
  },
  {
    cause: "count_form",
    when: (c) => c.code === 400 && narrowCount(c.call) !== null,
    act: nothing,
    retry: () => "same",
    budget: "amend",
    amend: (c) => narrowCount(c.call),
    tell: verbatim,
    rank: 100,
  },
  {
    cause: "unauthorized",
    when: (c) => c.code === 401 || c.problem.status === "UNAUTHENTICATED",
    act: (c) =>
      c.context.before("unauthorized") === 0
        ? { do: "refresh", generation: c.lease.generation }
        : park("needs_login", LADDERS.login, "The access token was refused twice, also after a refresh.")(c),
    retry: "again",
    budget: "credential",
    tell: fixed(503, "No available credentials to process the request."),
    rank: 10,
  },
  {
    cause: "terms",
    when: (c) => hasReason(c.problem, "TOS_VIOLATION"),
    act: (c) => {
      const url = actionUrl(c.problem)
      const detail = redact(c.problem.message).slice(0, 300)
      return { do: "ban", reason: "tos_violation", detail: url === null ? detail : `${detail} Appeal: ${url}` }
    },
    retry: "other",
    budget: "credential",
    tell: mapped(403, "The account was suspended."),
    rank: 60,
  },
  {
    cause: "needs_verification",
    when: (c) => refusal(c) && hasReason(c.problem, "VALIDATION_REQUIRED"),
    act: park("needs_verification", LADDERS.verification, "Google asks to verify the account."),
    retry: "other",
    budget: "credential",
    tell: mapped(403, "The account has to be verified."),
    rank: 60,
  },
  {
    cause: "service_disabled",
    when: (c) => refusal(c) && hasReason(c.problem, "SERVICE_DISABLED", "CONSUMER_INVALID", "USER_PROJECT_DENIED"),
    act: (c) => identify(park("service_disabled", LADDERS.forbidden, "The Cloud project cannot be used.")(c)),
    retry: "other",
    budget: "credential",
    tell: mapped(403, "The Cloud project cannot be used."),
    rank: 60,
  },
  {
    cause: "ineligible",
    when: (c) =>
      ((refusal(c) || c.code === 400) && hasReason(c.problem, ...INELIGIBLE_REASONS)) ||
      (refusal(c) && INELIGIBLE_TEXT.test(c.problem.message) && !namesResources(c.call)) ||
      (c.problem.status === "FAILED_PRECONDITION" && /^user location is not supported/i.test(c.problem.message)),
    act: park("ineligible", LADDERS.ineligible, "The account may not use this service."),
    retry: "other",
    budget: "credential",
    tell: mapped(403, "The account may not use this service.", "PERMISSION_DENIED"),
    rank: 60,
  },
  {
    // A file or cache of another account: parking for it would let one request take out the pool.
    cause: "resource",
    when: (c) => (c.code === 403 || c.code === 404) && c.problem.understood && namesResources(c.call),
    act: nothing,
    retry: (c) => (c.context.seen("resource") < RESOURCE_TRIES ? "other" : "no"),
    budget: "credential",
    tell: (c) => mapped(c.code, "The request names a resource that cannot be used.")(c),
    rank: 80,
  },
  {
    cause: "forbidden",
    when: (c) => refusal(c) && c.problem.understood,
    act: park("ineligible", LADDERS.forbidden, "The caller does not have permission."),
    retry: "other",
    budget: "credential",
    tell: mapped(403, "The caller does not have permission."),
    rank: 60,
  },
  {
    cause: "blocked",
    when: refusal,
    act: backoff(LADDERS.blocked, "blocked"),
    retry: "other",
    budget: "credential",
    tell: fixed(503, "The upstream refused to talk to this server."),
    rank: 35,
  },
  {
    cause: "not_found",
    when: (c) => c.code === 404,
    act: (c) =>
      c.problem.understood
        ? { do: "lacks", model: c.call.model, until: c.context.now + LACKS_MS, tentative: true }
        : { do: "none" },
    retry: "other",
    budget: "credential",
    tell: mapped(404, "Requested entity was not found."),
    rank: 50,
  },
  {
    cause: "capacity",
    when: isCapacity,
    act: (c) => cool(c, CAPACITY_MS, "capacity", false),
    retry: (c) => (c.context.seen("capacity") < CAPACITY_TRIES ? "other" : "no"),
    budget: "credential",
    tell: (c) => verbatim({ ...c, wait: c.wait ?? CAPACITY_MS }),
    rank: 70,
  },
  {
    // The account has no quota for this model at all.
    cause: "no_quota",
    when: (c) => throttled(c.code) && /limit: 0(?![.\dn])/.test(c.problem.message),
    act: (c) => ({ do: "lacks", model: c.call.model, until: c.context.now + LACKS_MS, tentative: false }),
    retry: "other",
    budget: "credential",
    tell: mapped(429, "The quota is exhausted."),
    rank: 65,
  },
  {
    cause: "quota",
    when: (c) => throttled(c.code) && c.wait !== null,
    act: (c) => cool(c, c.wait ?? 0, "quota", true),
    retry: "other",
    budget: "credential",
    tell: mapped(429, "The quota is exhausted."),
    rank: 75,
  },
  {
    cause: "per_minute",
    when: (c) => throttled(c.code) && quotaNames(c.problem).some((name) => /PerMinute/i.test(name)),
    act: (c) => cool(c, PER_MINUTE_MS, "per_minute", true),
    retry: "other",
    budget: "credential",
    tell: (c) => mapped(429, "The quota is exhausted.")({ ...c, wait: PER_MINUTE_MS }),
    rank: 75,
  },
  {
    cause: "throttled",
    when: (c) => throttled(c.code),
    act: backoff(LADDERS.bare, "throttled"),
    retry: "other",
    budget: "credential",
    tell: (c) => mapped(429, "Resource has been exhausted.")({ ...c, wait: MINUTE }),
    rank: 72,
  },
  {
    cause: "request",
    when: (c) => c.code === 501 || (c.code >= 400 && c.code < 500 && c.code !== 408 && c.code !== 499),
    act: nothing,
    retry: "no",
    budget: "fault",
    tell: verbatim,
    rank: 100,
  },
  SERVER_ERROR,
]

function serverError(c: Case): ClientError {
  const { code, problem } = c
  if (problem.understood && code >= 500 && problem.message !== "")
    return mapped(code, "", problem.status === "" ? undefined : problem.status)(c)
  return code === 503 || code === 504
    ? tell({ code, message: "Upstream service error.", retryAfterMs: code === 503 ? c.wait : null })
    : tell({ code: 502, message: "Upstream service error." })
}

export function detailOf(failure: Failure): string {
  if (failure.kind === "network") return `${failure.stage}, ${failure.detail}`
  return failure.kind === "cut" ? failure.detail : failure.kind
}
