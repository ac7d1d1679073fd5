import { and, asc, desc, gte, lt, type SQL, sql } from "drizzle-orm"
import type { Connection } from "./connection.ts"
import { usage } from "./schema.ts"

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

/** Hours are kept for so long, then folded into days (UTC). */
export const HOURS_KEPT_MS = 35 * DAY_MS
export const DAYS_KEPT_MS = 400 * DAY_MS

/** What is counted. Tokens are those that the upstream reported; `cached` is part of `input`. */
export interface UsageCounts {
  readonly requests: number
  /** Requests whose client did not get a complete answer. */
  readonly errors: number
  /** Sends to the upstream, retries included. */
  readonly attempts: number
  readonly input: number
  readonly output: number
  readonly cached: number
  readonly reasoning: number
}

/** Usage to be added: of one request, or summed up by the caller. */
export interface UsageEntry extends UsageCounts {
  /** Wall time. */
  readonly at: number
  readonly provider: string
  readonly model: string
  /** The credential that served, or null. */
  readonly credential: number | null
  /** Name of the client key, or null. */
  readonly principal: string | null
}

export type UsageGrouping = "model" | "credential" | "day" | "hour" | "provider" | "principal"

/** Sums of one group; what the grouping does not tell apart is null. */
export interface UsageRow extends UsageCounts {
  /** Start of the hour or day. */
  readonly start: number | null
  readonly provider: string | null
  readonly model: string | null
  readonly credential: number | null
  readonly principal: string | null
}

export interface UsageQuestion {
  readonly by: UsageGrouping
  /** Hours (or, older than 35 days, UTC days) that begin in [since, until), in wall time. */
  readonly since: number
  readonly until: number
}

/** Usage over time, kept over restarts in roll-ups, so that its size is bounded. */
export interface UsageLedger {
  /** One transaction for all of them. @throws StoreError when it could not be written; then nothing was added */
  add(entries: readonly UsageEntry[]): void
  /** In the order of time, or else of most requests. */
  query(question: UsageQuestion): readonly UsageRow[]
  /** Folds old hours into days and forgets old days; `add` sees to it once an hour. */
  prune(now: number): void
}

type Dimension = "start" | "provider" | "model" | "credential" | "principal"

const START_OF_DAY = sql`${usage.start} - ${usage.start} % ${sql.raw(String(DAY_MS))}`

/** What each grouping tells apart; the rest is summed up. */
const GROUPINGS: Readonly<Record<UsageGrouping, Partial<Readonly<Record<Dimension, SQL>>>>> = {
  hour: { start: sql`${usage.start}` },
  day: { start: START_OF_DAY },
  provider: { provider: sql`${usage.provider}` },
  model: { provider: sql`${usage.provider}`, model: sql`${usage.model}` },
  credential: { provider: sql`${usage.provider}`, credential: sql`nullif(${usage.credential}, 0)` },
  principal: { principal: sql`nullif(${usage.principal}, '')` },
}

const COUNTS = {
  requests: usage.requests,
  errors: usage.errors,
  attempts: usage.attempts,
  input: usage.inputTokens,
  output: usage.outputTokens,
  cached: usage.cachedTokens,
  reasoning: usage.reasoningTokens,
} as const

/** A count that a confused upstream cannot turn into something that the database refuses. */
const count = (value: number): number => (Number.isFinite(value) ? Math.max(0, Math.trunc(value)) : 0)

export class SqlUsageLedger implements UsageLedger {
  readonly #connection: Connection
  #upsert: ReturnType<typeof prepareUpsert> | null = null
  #pruneAt = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  add(entries: readonly UsageEntry[]): void {
    // First, so that a failure of either means that nothing was added, and the caller may give it again.
    const now = this.#connection.clock.wall()
    if (now >= this.#pruneAt) this.prune(now)
    if (entries.length === 0) return
    this.#connection.write("usage", "relaxed", () => {
      this.#upsert ??= prepareUpsert(this.#connection)
      for (const entry of entries) this.#upsert.run(valuesOf(entry))
    })
  }

  query({ by, since, until }: UsageQuestion): UsageRow[] {
    const group = GROUPINGS[by]
    const text = (dimension: Dimension) => sql<string | null>`${group[dimension] ?? sql`NULL`}`
    const number = (dimension: Dimension) => sql<number | null>`${group[dimension] ?? sql`NULL`}`
    const total = (name: keyof typeof COUNTS) => sql<number>`sum(${COUNTS[name]})`
    return this.#connection.read(() =>
      this.#connection.db
        .select({
          start: number("start"),
          provider: text("provider"),
          model: text("model"),
          credential: number("credential"),
          principal: text("principal"),
          requests: total("requests"),
          errors: total("errors"),
          attempts: total("attempts"),
          input: total("input"),
          output: total("output"),
          cached: total("cached"),
          reasoning: total("reasoning"),
        })
        .from(usage)
        .where(and(gte(usage.start, since), lt(usage.start, until)))
        .groupBy(...Object.values(group))
        .orderBy(
          ...(group.start === undefined ? [desc(total("requests")), ...Object.values(group)] : [asc(group.start)]),
        )
        .all(),
    )
  }

  prune(now: number): void {
    this.#pruneAt = now + HOUR_MS
    const hoursBefore = now - HOURS_KEPT_MS - ((now - HOURS_KEPT_MS) % DAY_MS)
    this.#connection.write("prune", "relaxed", () => {
      const { db } = this.#connection
      db.run(sql`
        INSERT INTO ${usage} (grain, start, provider, model, credential, principal,
          requests, errors, attempts, input_tokens, output_tokens, cached_tokens, reasoning_tokens)
        SELECT 'day', ${START_OF_DAY} AS day, provider, model, credential, principal,
          sum(requests), sum(errors), sum(attempts),
          sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens)
        FROM ${usage} WHERE grain = 'hour' AND start < ${hoursBefore}
        GROUP BY day, provider, model, credential, principal
        ON CONFLICT DO UPDATE SET ${ADD_UP}`)
      db.run(sql`DELETE FROM ${usage} WHERE grain = 'hour' AND start < ${hoursBefore}`)
      db.run(sql`DELETE FROM ${usage} WHERE grain = 'day' AND start < ${now - DAYS_KEPT_MS}`)
    })
  }
}

/** What an upsert does with the counts that are there. */
const ADD_UP = sql.raw(
  Object.values(COUNTS)
    .map(({ name }) => `"${name}" = "${name}" + excluded."${name}"`)
    .join(", "),
)

const valuesOf = (entry: UsageEntry) => ({
  start: entry.at - (entry.at % HOUR_MS),
  provider: entry.provider,
  model: entry.model,
  credential: entry.credential ?? 0,
  principal: entry.principal ?? "",
  requests: count(entry.requests),
  errors: count(entry.errors),
  attempts: count(entry.attempts),
  input: count(entry.input),
  output: count(entry.output),
  cached: count(entry.cached),
  reasoning: count(entry.reasoning),
})

function prepareUpsert({ db }: Connection) {
  const { placeholder } = sql
  const plus = (name: keyof typeof COUNTS) => sql`${COUNTS[name]} + ${sql.raw(`excluded."${COUNTS[name].name}"`)}`
  return db
    .insert(usage)
    .values({
      grain: "hour",
      start: placeholder("start"),
      provider: placeholder("provider"),
      model: placeholder("model"),
      credential: placeholder("credential"),
      principal: placeholder("principal"),
      requests: placeholder("requests"),
      errors: placeholder("errors"),
      attempts: placeholder("attempts"),
      inputTokens: placeholder("input"),
      outputTokens: placeholder("output"),
      cachedTokens: placeholder("cached"),
      reasoningTokens: placeholder("reasoning"),
    })
    .onConflictDoUpdate({
      target: [usage.grain, usage.start, usage.provider, usage.model, usage.credential, usage.principal],
      set: {
        requests: plus("requests"),
        errors: plus("errors"),
        attempts: plus("attempts"),
        inputTokens: plus("input"),
        outputTokens: plus("output"),
        cachedTokens: plus("cached"),
        reasoningTokens: plus("reasoning"),
      },
    })
    .prepare()
}
