/** The verdict tables (spec codex 6.2): the first rule that matches decides. */
import type { ClientError, Verdict } from "../../relay/ports.ts"
import type { Action } from "../../scheduler/ports.ts"
import * as act from "./actions.ts"
import { withoutEncrypted, withoutIds, withoutParameter, withVersion } from "./amend.ts"
import type { CodexCall } from "./call.ts"
import type { Case } from "./case.ts"
import { refusedParameter } from "./learned.ts"
import * as tell from "./tell.ts"

export interface Rule {
  /** Stable name, for metrics and for counting within a request. */
  readonly cause: string | ((facts: Case) => string)
  readonly when: (facts: Case) => boolean
  readonly act: (facts: Case) => Action
  readonly retry: Verdict<CodexCall>["retry"] | ((facts: Case) => Verdict<CodexCall>["retry"])
  readonly budget: Verdict<CodexCall>["budget"]
  /** The call to send instead; null: there is nothing to change, and no retry. */
  readonly amend?: (facts: Case) => CodexCall | null
  readonly delayMs?: number
  readonly tell: (facts: Case) => ClientError
  readonly rank: number
}

/** What the client is told of several failures: its own fault first, ours last. */
const RANK = { request: 100, usage: 60, model: 50, rate: 40, overload: 30, server: 20, network: 15, pool: 10 } as const

/** Pause before another try after a server or network fault, in milliseconds (the relay takes 50 to 100 % of it). */
const FAULT_PAUSE = 200

type Test = (facts: Case) => boolean

const status =
  (...codes: readonly number[]): Test =>
  (facts) =>
    codes.includes(facts.status)
const code =
  (...names: readonly string[]): Test =>
  ({ error }) =>
    (error.code !== null && names.includes(error.code)) || (error.type !== null && names.includes(error.type))
const says =
  (pattern: RegExp): Test =>
  ({ error }) =>
    error.message !== null && pattern.test(error.message)
const both =
  (...tests: readonly Test[]): Test =>
  (facts) =>
    tests.every((test) => test(facts))
const either =
  (...tests: readonly Test[]): Test =>
  (facts) =>
    tests.some((test) => test(facts))

/** A page of Cloudflare's instead of the backend's answer: about our address, not about the credential. */
const isChallenge: Test = ({ headers, status, error, body }) =>
  headers?.get("cf-mitigated") === "challenge" ||
  (error.form === "html" && (status === 403 || body.includes("challenge-platform")))

/** Texts of a model that is not there for this account, or not for the announced version: they are the same (spec codex 4). */
const isModelRefused: Test = either(
  code("model_not_found", "model_not_supported"),
  both(
    status(400, 403, 404),
    says(
      /model is not supported|model not found|does not exist or you do not have access|model .{1,100} does not exist/i,
    ),
  ),
)
const wantsNewerClient: Test = says(/requires a newer version of codex/i)
const knowsNewer: Test = ({ call, newestVersion }) => withVersion(call, newestVersion) !== null
const isConcurrency: Test = says(/too many concurrent|concurrency limit|concurrent requests/i)
const isRepeated =
  (cause: string): Test =>
  ({ context }) =>
    context.before(cause) > 0

export const RULES: readonly Rule[] = [
  {
    cause: "challenge",
    when: isChallenge,
    act: act.backoffAll("challenge", [10_000, 30_000, 90_000, 120_000]),
    // Several credentials in a row: it is the address, and each further try makes it worse.
    retry: ({ context }) => (context.seen("challenge") >= 3 ? "no" : "other"),
    budget: "credential",
    tell: tell.challenged,
    rank: RANK.overload,
  },

  // The request can be mended.
  {
    cause: ({ call }) => `unsupported_parameter${call.parametersDropped === 0 ? "" : `_${call.parametersDropped + 1}`}`,
    when: both(status(400, 422), ({ error }) => refusedParameter(error.message, error.param) !== null),
    act: act.none,
    retry: "same",
    budget: "amend",
    amend: ({ call, error }) => {
      const name = refusedParameter(error.message, error.param)
      return name === null ? null : withoutParameter(call, name)
    },
    tell: tell.upstreamsOwn,
    rank: RANK.request,
  },
  {
    cause: "encrypted_content",
    when: either(
      code("invalid_encrypted_content"),
      says(/encrypted content .{0,200}could not be (?:verified|decrypted)/i),
    ),
    act: act.none,
    retry: "same",
    budget: "amend",
    amend: ({ call }) => withoutEncrypted(call),
    tell: tell.upstreamsOwn,
    rank: RANK.request,
  },
  {
    cause: "item_ids",
    when: both(status(400, 404), says(/item with id .{1,200} not found/i)),
    act: act.none,
    retry: "same",
    budget: "amend",
    amend: ({ call }) => withoutIds(call),
    tell: tell.upstreamsOwn,
    rank: RANK.request,
  },
  {
    cause: "client_version",
    when: both(either(wantsNewerClient, isModelRefused), knowsNewer),
    act: act.none,
    retry: "same",
    budget: "amend",
    amend: ({ call, newestVersion }) => withVersion(call, newestVersion),
    tell: tell.upstreamsOwn,
    rank: RANK.request,
  },
  {
    // Our version is too old, which is no credential's fault: it must not poison the pool (spec codex 4).
    cause: "client_too_old",
    when: wantsNewerClient,
    act: act.none,
    retry: "no",
    budget: "amend",
    tell: tell.upstreamsOwn,
    rank: RANK.request,
  },

  // The account.
  {
    cause: "deactivated",
    when: code("account_deactivated", "account_suspended", "account_deleted", "no_organization"),
    act: act.ban,
    retry: "other",
    budget: "credential",
    tell: tell.poolFault,
    rank: RANK.pool,
  },
  {
    cause: "model_refused",
    when: isModelRefused,
    act: act.lacksModel,
    retry: "other",
    budget: "credential",
    tell: tell.upstreamsOwn,
    rank: RANK.model,
  },
  {
    cause: "usage_limit",
    when: code("usage_limit_reached"),
    act: act.coolUntilReset,
    retry: "other",
    budget: "credential",
    tell: tell.upstreamsOwn,
    rank: RANK.usage,
  },
  {
    cause: "not_included",
    when: code("usage_not_included"),
    act: act.parkIneligible,
    retry: "other",
    budget: "credential",
    tell: tell.poolFault,
    rank: RANK.pool,
  },
  {
    cause: "quota",
    when: code("insufficient_quota", "quota_exceeded"),
    act: act.backoffAll("quota", [3_600_000]),
    retry: "other",
    budget: "credential",
    tell: tell.upstreamsOwn,
    rank: RANK.usage,
  },
  {
    cause: "concurrency",
    when: both(status(409, 429), isConcurrency),
    act: act.backoffAll("concurrency", [5_000, 10_000, 15_000]),
    retry: "other",
    budget: "credential",
    tell: tell.upstreamsOwn,
    rank: RANK.rate,
  },
  {
    cause: "overloaded",
    when: either(
      code("server_is_overloaded", "slow_down", "service_unavailable_error"),
      says(/model is (?:currently )?at capacity|servers are currently overloaded/i),
    ),
    act: act.none,
    retry: "other",
    budget: "fault",
    delayMs: FAULT_PAUSE,
    tell: tell.overloaded,
    rank: RANK.overload,
  },
  {
    cause: "rate_limit",
    when: either(status(429), code("rate_limit_exceeded")),
    act: act.coolModel,
    retry: "other",
    budget: "credential",
    tell: tell.upstreamsOwn,
    rank: RANK.rate,
  },
  {
    // Right after a good refresh: the token is not what is wrong.
    cause: "unauthorized",
    when: both(status(401), isRepeated("unauthorized")),
    act: act.backoffAll("unauthorized", [30 * 60_000, 2 * 3_600_000, 6 * 3_600_000]),
    retry: "other",
    budget: "credential",
    tell: tell.poolFault,
    rank: RANK.pool,
  },
  {
    cause: "unauthorized",
    when: status(401),
    act: act.refresh,
    retry: "same",
    budget: "credential",
    tell: tell.poolFault,
    rank: RANK.pool,
  },
  {
    // Seen once and then normal again (spec codex 9): probation before the ban.
    cause: "payment",
    when: either(status(402), code("deactivated_workspace")),
    act: act.probation,
    retry: "other",
    budget: "credential",
    tell: tell.poolFault,
    rank: RANK.pool,
  },
  {
    cause: "region",
    when: code("unsupported_country_region_territory"),
    act: act.none,
    retry: "no",
    budget: "credential",
    tell: tell.upstreamsOwn,
    rank: RANK.request,
  },
  {
    cause: "forbidden",
    when: both(status(403), isRepeated("forbidden")),
    act: act.backoffForbidden,
    retry: "other",
    budget: "credential",
    tell: tell.poolFault,
    rank: RANK.pool,
  },
  {
    cause: "forbidden",
    when: status(403),
    act: act.refresh,
    retry: "same",
    budget: "credential",
    tell: tell.poolFault,
    rank: RANK.pool,
  },

  // The request, or the server.
  {
    cause: "not_found_empty",
    when: both(status(404), ({ error }) => error.form === "empty" || error.form === "html"),
    act: act.backoffAll("not_found_empty", [10_000, 30_000]),
    retry: ({ context }) => (context.seen("not_found_empty") >= 2 ? "no" : "other"),
    budget: "credential",
    tell: tell.serverError,
    rank: RANK.server,
  },
  {
    cause: "timeout",
    when: status(408),
    act: act.none,
    retry: "other",
    budget: "fault",
    tell: tell.upstreamTimeout,
    rank: RANK.server,
  },
  {
    cause: "request",
    when: (facts) => facts.status >= 400 && facts.status < 500,
    act: act.none,
    retry: "no",
    budget: "fault",
    tell: tell.upstreamsOwn,
    rank: RANK.request,
  },
  {
    cause: "server_error",
    when: () => true,
    act: act.backoffLater("server_error", 2, [10_000, 30_000, 60_000]),
    retry: "other",
    budget: "fault",
    delayMs: FAULT_PAUSE,
    tell: tell.serverError,
    rank: RANK.server,
  },
]

const kind =
  (name: Case["failure"]["kind"]): Test =>
  ({ failure }) =>
    failure.kind === name

/** No answer, or one that broke before anything of it reached the client. */
export const CONNECTION_RULES: readonly Rule[] = [
  {
    // Nothing was sent: our own network, or the upstream's door.
    cause: "connect",
    when: ({ failure }) => failure.kind === "network" && failure.stage !== "reset" && failure.stage !== "unknown",
    act: act.none,
    retry: "other",
    budget: "fault",
    delayMs: FAULT_PAUSE,
    tell: tell.serverError,
    rank: RANK.network,
  },
  {
    cause: "network",
    when: kind("network"),
    // Several credentials at once: the network's fault, not theirs.
    act: (facts) =>
      facts.context.seen("network") > 1 ? act.none() : act.backoffLater("network", 3, [5_000, 15_000, 60_000])(),
    retry: "other",
    budget: "fault",
    delayMs: FAULT_PAUSE,
    tell: tell.serverError,
    rank: RANK.network,
  },
  {
    cause: "timeout",
    when: kind("timeout"),
    act: act.none,
    retry: "other",
    budget: "fault",
    tell: tell.upstreamTimeout,
    rank: RANK.server,
  },
  {
    cause: "empty",
    when: kind("empty"),
    act: act.backoffLater("empty", 3, [10_000, 30_000, 60_000]),
    retry: "other",
    budget: "fault",
    delayMs: FAULT_PAUSE,
    tell: tell.streamIncomplete,
    rank: RANK.server,
  },
  {
    cause: "cut",
    when: () => true,
    act: act.none,
    retry: "other",
    budget: "fault",
    tell: tell.streamIncomplete,
    rank: RANK.server,
  },
]
