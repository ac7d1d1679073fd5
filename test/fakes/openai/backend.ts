/** The fake's Codex backend: responses, compact, models and usage (spec codex 3, 4, 6, 8). */
import { createHash, randomBytes } from "node:crypto"
import type { Accounts, FakeAccount } from "./accounts.ts"
import { type Event, eventsOf, failureEvent, frame, type Json, type Reply } from "./events.ts"
import { type Exchange, sleep } from "./exchange.ts"
import { CLOUDFLARE_HEADERS, CLOUDFLARE_PAGE, type Fault, usageLimitBody } from "./faults.ts"
import { replyTo } from "./replies.ts"
import { encryptFor, type FakeModel, isObject, older, refuseCompact, refuseHeaders, refuseResponses } from "./rules.ts"

export interface BackendState {
  readonly accounts: Accounts
  models: readonly FakeModel[]
  /** Replaces the default answer; null falls back to it. */
  reply: ((request: Json, account: FakeAccount) => Reply | null) | null
  /** Pause between events, in milliseconds. */
  eventDelayMs: number
  /** Parameters refused beside the usual ones. */
  readonly unsupported: Set<string>
  /** Faults for whichever account comes next. */
  readonly faults: Fault[]
  usageMuted: boolean
  readonly now: () => number
}

export class Backend {
  constructor(private readonly state: BackendState) {}

  async responses(exchange: Exchange): Promise<void> {
    const account = this.#authenticate(exchange)
    if (account === null) return
    const fault = account.faults.shift() ?? this.state.faults.shift()
    if (fault?.kind === "delay") await sleep(fault.ms)
    if (fault !== undefined && (await this.#fail(exchange, account, fault))) return
    if (!exchange.record.headers["content-type"]?.startsWith("application/json")) {
      return exchange.json(415, { detail: "Unsupported Media Type" }, limitHeaders(account))
    }
    const body = exchange.record.json
    const refusal = refuseResponses(body, exchange.record.headers, account, this.state.models, this.state.unsupported)
    if (refusal !== null) return exchange.json(refusal.status, refusal.body, limitHeaders(account))
    await this.#stream(exchange, account, isObject(body) ? body : {}, fault)
  }

  compact(exchange: Exchange) {
    const account = this.#authenticate(exchange)
    if (account === null) return
    const fault = account.faults.shift() ?? this.state.faults.shift()
    if (fault?.kind === "status") return answer(exchange, account, fault)
    const { json, headers } = exchange.record
    const refusal = refuseCompact(json, headers, account, this.state.models)
    if (refusal !== null) return exchange.json(refusal.status, refusal.body, limitHeaders(account))
    const item = {
      id: `cmp_${randomBytes(12).toString("hex")}`,
      type: "compaction",
      encrypted_content: encryptFor(account),
    }
    const usage = { input_tokens: 40, output_tokens: 5, total_tokens: 45 }
    exchange.json(
      200,
      { id: "resp_compact", object: "response.compaction", output: [item], usage },
      limitHeaders(account),
    )
  }

  models(exchange: Exchange) {
    const account = this.#authenticate(exchange)
    if (account === null) return
    const version = exchange.record.query.get("client_version") ?? "0.0.0"
    const models = this.state.models
      .filter((model) => !older(version, model.minimalClientVersion))
      .filter((model) => account.models === null || account.models.includes(model.slug))
      .map((model, index) => catalogueEntry(model, index))
    const etag = `"${createHash("sha256").update(JSON.stringify(models)).digest("hex").slice(0, 16)}"`
    if (exchange.record.headers["if-none-match"] === etag) return exchange.send(304, "", { etag })
    exchange.json(200, { models }, { etag })
  }

  usage(exchange: Exchange) {
    if (this.state.usageMuted) return exchange.json(503, { detail: "Service Unavailable" })
    const account = this.#authenticate(exchange)
    if (account === null) return
    const window = (limit: FakeAccount["primary"]) => ({
      used_percent: limit.usedPercent,
      limit_window_seconds: limit.windowMinutes * 60,
      reset_after_seconds: Math.max(0, limit.resetAt - Math.floor(this.state.now() / 1000)),
      reset_at: limit.resetAt,
    })
    const { limitedUntil: until } = account
    const limited = until !== null && until * 1000 > this.state.now()
    const primary = limited ? { ...account.primary, usedPercent: 100, resetAt: until } : account.primary
    const reached = primary.usedPercent >= 100 || account.secondary.usedPercent >= 100
    const windows = { primary_window: window(primary), secondary_window: window(account.secondary) }
    const rateLimit = { allowed: !reached, limit_reached: reached, ...windows }
    exchange.json(200, {
      plan_type: account.plan,
      rate_limit: rateLimit,
      credits: { has_credits: false, unlimited: false },
    })
  }

  #authenticate(exchange: Exchange): FakeAccount | null {
    const { headers } = exchange.record
    const bearer = this.state.accounts.bearer(headers.authorization)
    const refuse = (code: string, message: string) => {
      exchange.json(401, { error: { message, type: "invalid_request_error", code, param: null } })
      return null
    }
    if (bearer.kind === "expired") return refuse("token_expired", "Provided authentication token is expired.")
    if (bearer.kind === "revoked") return refuse("token_invalidated", "Your authentication token has been invalidated.")
    if (bearer.kind !== "ok") return refuse("invalid_token", "Could not parse your authentication token.")
    exchange.record.account = bearer.account.email
    const refusal = refuseHeaders(headers, bearer.account)
    if (refusal === null) return bearer.account
    exchange.json(refusal.status, refusal.body)
    return null
  }

  /** Whether the fault was the whole answer. */
  async #fail(exchange: Exchange, account: FakeAccount, fault: Fault): Promise<boolean> {
    switch (fault.kind) {
      case "status":
        answer(exchange, account, fault)
        return true
      case "cloudflare":
        exchange.send(403, CLOUDFLARE_PAGE, CLOUDFLARE_HEADERS)
        return true
      case "usage_limit": {
        const nowSeconds = Math.floor(this.state.now() / 1000)
        account.limitedUntil = fault.resetsAt ?? nowSeconds + 600
        exchange.json(
          429,
          usageLimitBody(fault.resetsAt, fault.planType ?? account.plan, nowSeconds),
          limitHeaders(account),
        )
        return true
      }
      case "no_answer":
        if (fault.how === "reset") exchange.reset()
        else await exchange.record.closed
        return true
      case "raw":
        exchange.send(200, fault.body, {
          "content-type": fault.contentType ?? "text/event-stream",
          ...limitHeaders(account),
        })
        return true
      default:
        return false
    }
  }

  async #stream(exchange: Exchange, account: FakeAccount, request: Json, fault: Fault | undefined): Promise<void> {
    const wantsReasoning = Array.isArray(request.include) && request.include.includes("reasoning.encrypted_content")
    const scripted = this.state.reply?.(request, account) ?? null
    const reply: Reply = {
      ...(scripted ?? replyTo(request)),
      ...(wantsReasoning && isObject(request.reasoning) ? { encrypted: encryptFor(account) } : {}),
      ...(fault?.kind === "incomplete" ? { end: "incomplete" as const, incompleteReason: fault.reason } : {}),
    }
    const events = withFault(eventsOf(reply, request, Math.floor(this.state.now() / 1000)), fault)
    exchange.begin(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-request-id": `req_${randomBytes(8).toString("hex")}`,
      "openai-model": String(request.model),
      "x-models-etag": '"fake-models"',
      "x-codex-turn-state": `ts.${account.accountId}`,
      "set-cookie": "__cf_bm=fake; path=/",
      "cf-ray": "8f0fake1-FRA",
      ...limitHeaders(account),
    })
    let sent = 0
    for (const event of events) {
      if (exchange.record.aborted) return
      if (fault?.kind === "cut" && sent >= fault.afterEvents) break
      const bytes = Buffer.from(frame(event))
      if (fault?.kind === "chunks") {
        for (let at = 0; at < bytes.length; at += fault.size) await exchange.write(bytes.subarray(at, at + fault.size))
      } else {
        await exchange.write(bytes)
      }
      sent += 1
      if (this.state.eventDelayMs > 0) await sleep(this.state.eventDelayMs)
    }
    if (fault?.kind === "cut" && fault.how === "stall") return exchange.record.closed
    if (fault?.kind === "cut" && fault.how === "reset") {
      await sleep(5)
      return exchange.reset()
    }
    exchange.end()
  }
}

function answer(exchange: Exchange, account: FakeAccount, fault: Extract<Fault, { kind: "status" }>): void {
  const text = typeof fault.body === "string" ? fault.body : JSON.stringify(fault.body ?? {})
  exchange.send(fault.status, text, { "content-type": "application/json", ...limitHeaders(account), ...fault.headers })
}

function withFault(events: readonly Event[], fault: Fault | undefined): readonly Event[] {
  if (fault?.kind !== "event") return events
  const firstContent = events.findIndex((event) => event.type.endsWith(".delta"))
  const kept = fault.afterContent === true ? events.slice(0, firstContent + 1) : events.slice(0, 2)
  const message = fault.message ?? "Our servers are currently overloaded. Please try again later."
  return [...kept, failureEvent(fault.shape ?? "response.failed", fault.code, message, fault.extra ?? {}, kept.length)]
}

export function limitHeaders(account: FakeAccount): Record<string, string> {
  const headers: Record<string, string> = { "x-codex-plan-type": account.plan, "x-codex-active-limit": "codex" }
  for (const name of ["primary", "secondary"] as const) {
    headers[`x-codex-${name}-used-percent`] = String(account[name].usedPercent)
    headers[`x-codex-${name}-window-minutes`] = String(account[name].windowMinutes)
    headers[`x-codex-${name}-reset-at`] = String(account[name].resetAt)
  }
  return headers
}

function catalogueEntry(model: FakeModel, priority: number): Json {
  return {
    slug: model.slug,
    display_name: model.slug,
    description: "A model of the fake",
    visibility: "list",
    supported_in_api: true,
    priority,
    default_reasoning_level: "medium",
    supported_reasoning_levels: [
      { effort: "low", description: "Fast" },
      { effort: "medium", description: "Balanced" },
    ],
    shell_type: "shell_command",
    base_instructions: "You are a coding agent.",
    supports_reasoning_summaries: true,
    support_verbosity: true,
    default_verbosity: "low",
    apply_patch_tool_type: "freeform",
    truncation_policy: { mode: "tokens", limit: 10_000 },
    supports_parallel_tool_calls: true,
    context_window: 272_000,
    experimental_supported_tools: [],
    input_modalities: ["text", "image"],
    minimal_client_version: model.minimalClientVersion,
    available_in_plans: ["free", "plus", "pro", "team", "business", "enterprise"],
    upgrade: null,
  }
}
