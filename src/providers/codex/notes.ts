/** What an answer tells about itself, gathered from its headers and events as they pass. */
import type { TokenUsage } from "../../observe/ports.ts"
import type { Notes } from "../../relay/ports.ts"
import type { QuotaWindow } from "../../store/types.ts"
import { isObject, type Json } from "./json.ts"
import { exhaustedUntil, type Limits, limitsOfEvent } from "./limits.ts"
import { responseName } from "./sessions.ts"
import { usageOf } from "./usage.ts"

export class AnswerNotes implements Notes {
  usage: TokenUsage | null = null
  plan: string | null
  /** The response's name among sessions, so that a later previous_response_id finds the credential. */
  responseId: string | null = null
  lateError: string | null = null
  /** The id as the upstream gave it. */
  rawId: string | null = null
  quotas: readonly QuotaWindow[]

  constructor(
    headers: Limits,
    private readonly now: () => number,
  ) {
    this.quotas = headers.quotas
    this.plan = headers.plan
  }

  response(id: string | null): void {
    if (id === null) return
    this.rawId = id
    this.responseId = responseName(id)
  }

  /** Takes in a last event's `response`. */
  ended(response: unknown): void {
    this.usage = usageOf(response) ?? this.usage
    if (this.rawId === null && isObject(response) && typeof response.id === "string") this.response(response.id)
  }

  /**
   * A `codex.rate_limits` event. One that says the limit is reached ends nothing: this answer goes on, and is reported after
   * its end as the refusal that the next request would have got (spec codex 5).
   */
  limits(event: Json): void {
    const now = this.now()
    const { quotas, plan, reached, family } = limitsOfEvent(event, now)
    this.plan = plan ?? this.plan
    const isNew = (old: QuotaWindow): boolean => !quotas.some((q) => q.family === old.family && q.name === old.name)
    this.quotas = [...this.quotas.filter(isNew), ...quotas]
    if (!reached || this.lateError !== null) return
    const until = exhaustedUntil(quotas, family, now)
    const resets = until === null ? {} : { resets_at: Math.ceil(until / 1000) }
    const error = { type: "usage_limit_reached", message: "The usage limit has been reached", limit_name: family }
    this.lateError = JSON.stringify({ error: { ...error, plan_type: this.plan, ...resets } })
  }
}
