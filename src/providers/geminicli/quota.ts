/** What is left of an account's quota, as Cloud Code tells when it is asked (spec 2.1). */
import type { Clock, Live } from "../../observe/clock.ts"
import { readErrorBody } from "../../relay/bodies.ts"
import { networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import { believableReset } from "../../relay/reset-time.ts"
import type { QuotaReader, QuotaReading } from "../../scheduler/ports.ts"
import type { QuotaWindow } from "../../store/types.ts"
import { HOUR, LADDERS } from "./case.ts"
import { isObject, parseJson, textOr } from "./json.ts"
import { headersFor, methodUrl } from "./upstream.ts"

/** Most models told of one account, and most buckets looked at. */
const MAX_MODELS = 16
const MAX_BUCKETS = 1_000
/** An exhausted bucket that names no time. */
const UNSTATED_RESET = HOUR
/** The measure that a request meets first; others are shown where there is no such. */
const REQUESTS = "REQUESTS"
/** RFC 3339 in UTC, as protobuf's JSON mapping writes a timestamp. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/

interface QuotaDeps {
  readonly settings: Live<{
    readonly apiUrl: string
    readonly clientVersion: string
    readonly modelList: readonly string[]
  }>
  readonly fetcher: Fetcher
  readonly clock: Clock
}

export function quotaReader({ settings, fetcher, clock }: QuotaDeps): QuotaReader {
  return {
    probe: LADDERS.probe,
    async quotas(token, { account }, signal) {
      const { apiUrl, clientVersion, modelList } = settings.current
      try {
        const response = await fetcher(methodUrl(apiUrl, "retrieveUserQuota"), {
          method: "POST",
          headers: headersFor(token, clientVersion),
          // Without the project the numbers are another one's.
          body: JSON.stringify({ project: account }),
          signal,
        })
        const text = await readErrorBody(response)
        if (!response.ok) return failed(`Cloud Code answered ${response.status}`)
        return readBuckets(parseJson(text), modelList, clock.wall())
      } catch (error) {
        return failed(networkFailure(error).detail)
      }
    },
  }
}

interface Bucket {
  readonly model: string
  /** What is counted: REQUESTS, or another measure. */
  readonly measure: string
  /** 0 to 1. */
  readonly left: number
  readonly resetsAt: number | null
}

/** Pure; never throws. One window for each model of the list that the answer names; `now` is wall time in milliseconds. */
export function readBuckets(answer: unknown, modelList: readonly string[], now: number): QuotaReading {
  if (!isObject(answer) || !Array.isArray(answer.buckets)) return failed("the answer holds no buckets")
  const wanted = new Set(modelList.slice(0, MAX_MODELS))
  const chosen = new Map<string, Bucket>()
  for (const value of answer.buckets.slice(0, MAX_BUCKETS)) {
    const bucket = bucketOf(value, now)
    if (bucket === null || !wanted.has(bucket.model)) continue
    const other = chosen.get(bucket.model)
    if (other === undefined || precedes(bucket, other)) chosen.set(bucket.model, bucket)
  }
  const windows: QuotaWindow[] = []
  const models = new Map<string, number | null>()
  for (const { model, measure, left, resetsAt } of chosen.values()) {
    const usedPercent = 100 * (1 - left)
    windows.push({
      family: model,
      name: measure.toLowerCase(),
      usedPercent,
      windowMinutes: null,
      resetsAt,
      seenAt: now,
    })
    models.set(model, left > 0 ? null : exhaustedUntil(resetsAt, now))
  }
  // Each model has a quota of its own: none of them says anything about the whole account.
  return { kind: "ok", windows, plan: null, limitedUntil: null, models }
}

/** Null for a bucket that does not say of which model how much is left. */
function bucketOf(value: unknown, now: number): Bucket | null {
  if (!isObject(value)) return null
  const model = textOr(value.modelId)
  const { remainingFraction: left } = value
  if (model === null || typeof left !== "number" || !(left >= 0 && left <= 1)) return null
  const measure = textOr(value.tokenType)?.slice(0, 32) ?? REQUESTS
  return { model, measure, left, resetsAt: timeOf(value.resetTime, now) }
}

/** Requests before other measures, the emptier bucket among the same kind. */
function precedes(a: Bucket, b: Bucket): boolean {
  const rank = ({ measure }: Bucket): number => (measure === REQUESTS ? 0 : 1)
  return rank(a) < rank(b) || (rank(a) === rank(b) && a.left < b.left)
}

/** A bucket whose reset is over counts as full. */
function exhaustedUntil(resetsAt: number | null, now: number): number | null {
  if (resetsAt === null) return now + UNSTATED_RESET
  return resetsAt > now ? resetsAt : null
}

/** Wall milliseconds; null when there is no such time, it cannot be meant, or it is the epoch, which stands for none. */
function timeOf(value: unknown, now: number): number | null {
  if (typeof value !== "string" || !TIMESTAMP.test(value)) return null
  const at = Date.parse(value)
  return at > 0 ? believableReset(at, now) : null
}

const failed = (reason: string): QuotaReading => ({ kind: "failed", reason })
