import type { Random } from "../observe/clock.ts"
import type { Action, Lease } from "../scheduler/ports.ts"
import type { LastError } from "../store/types.ts"
import type { JudgeContext, Verdict } from "./ports.ts"

/** Bounds of one request's retries. Times are monotonic milliseconds. */
export interface Bounds {
  /** Retries that draw on the `fault` budget. */
  readonly faults: number
  /** No new attempt starts at or after this. */
  readonly windowEnd: number
}

export interface Retry<C> {
  readonly delayMs: number
  /** The call to send instead, or null for the same one. */
  readonly amend: C | null
}

export interface HeldMark {
  readonly lease: Lease
  readonly action: Action
  readonly error: LastError
}

/** Longest wait for the credential that failed, while its token is renewed, before the others are asked, in milliseconds. */
export const SAME_WAIT_MS = 5_000

export const NOBODY: ReadonlySet<number> = new Set()

/**
 * What one request has tried, what that taught, and what it may try next (DESIGN section 4). Pure: time and chance are passed in.
 *
 * - A credential that failed by its own fault is not asked again, except once by a verdict that says `same` (its token was renewed).
 * - One that failed by a 5xx or a network fault is avoided: it comes last.
 * - Each cause amends the call at most once.
 */
export class Tries<C> {
  /** The best failure to tell the client of: the highest rank, the later one on a tie; none that a further attempt mends. */
  best: Verdict<C> | null = null
  /** Only this credential, for the next acquire. */
  only: number | null = null

  private readonly failures: { readonly credential: number; readonly cause: string }[] = []
  private readonly excluded = new Set<number>()
  private readonly avoided = new Set<number>()
  private readonly repeated = new Set<number>()
  private readonly amended = new Set<string>()
  private readonly held: HeldMark[] = []
  private faults = 0

  constructor(private readonly bounds: Bounds) {}

  get exclude(): ReadonlySet<number> {
    return this.excluded.size === 0 ? NOBODY : this.excluded
  }

  get avoid(): ReadonlySet<number> {
    return this.avoided.size === 0 ? NOBODY : this.avoided
  }

  /** What `judge` may ask of this request's history, for a failure of `credential`. */
  context(credential: number, now: number): JudgeContext {
    const { failures } = this
    return {
      now,
      attempts: failures.length + 1,
      before: (cause) => failures.filter((f) => f.cause === cause && f.credential === credential).length,
      seen: (cause) =>
        new Set([credential, ...failures.filter((f) => f.cause === cause).map((f) => f.credential)]).size,
    }
  }

  /** Takes in a verdict on an attempt with `credential`. Null: no further attempt. */
  next(verdict: Verdict<C>, credential: number, now: number, random: Random): Retry<C> | null {
    this.failures.push({ credential, cause: verdict.cause })
    const retry = this.granted(verdict, credential, now, random)
    // A fault that the amended call no longer has is none that the client could mend.
    const isMended = retry !== null && retry.amend !== null
    if (!isMended && (this.best === null || verdict.rank >= this.best.rank)) this.best = verdict
    return retry
  }

  private granted(verdict: Verdict<C>, credential: number, now: number, random: Random): Retry<C> | null {
    this.only = null
    if (verdict.retry === "no" || !this.draw(verdict)) return null
    const delayMs = verdict.delayMs === undefined ? 0 : Math.max(0, verdict.delayMs) * (0.5 + random() / 2)
    if (now + delayMs >= this.bounds.windowEnd) return null
    if (verdict.retry === "same" && this.mayRepeat(verdict, credential)) {
      this.only = credential
    } else this.putLast(credential, verdict.budget)
    return { delayMs, amend: verdict.amend ?? null }
  }

  /** Until when to wait for a lease, at most `ms`: for the one credential that is asked for not as long as for any. */
  patience(now: number, ms: number): number {
    const most = this.only === null ? ms : Math.min(ms, SAME_WAIT_MS)
    return Math.min(now + most, this.bounds.windowEnd)
  }

  /** The one credential asked for cannot be had, or not soon: the others are tried, and this one if there is no other. */
  widen(): void {
    if (this.only !== null) this.avoided.add(this.only)
    this.only = null
  }

  /** Keeps back what is to be believed only once another credential serves this request. */
  hold(mark: HeldMark): void {
    this.held.push(mark)
  }

  /**
   * `credential` serves: no further attempt will be made. Gives what was held back, but for marks of that credential itself, and
   * lets go of the calls that verdicts hold.
   */
  settle(credential: number): readonly HeldMark[] {
    this.best = null
    return this.held.filter((mark) => mark.lease.credential !== credential)
  }

  private putLast(credential: number, budget: Verdict<C>["budget"]): void {
    if (budget === "credential") this.excluded.add(credential)
    else this.avoided.add(credential)
  }

  /** Whether the verdict's budget allows one more attempt; draws on it if so. */
  private draw(verdict: Verdict<C>): boolean {
    switch (verdict.budget) {
      case "credential":
        return true
      case "fault":
        return this.faults++ < this.bounds.faults
      case "amend":
        if (verdict.amend === undefined || this.amended.has(verdict.cause)) return false
        this.amended.add(verdict.cause)
        return true
    }
  }

  /** `same` on the credential's own account is granted once; the other budgets bound themselves. */
  private mayRepeat(verdict: Verdict<C>, credential: number): boolean {
    if (verdict.budget !== "credential") return true
    if (this.repeated.has(credential)) return false
    this.repeated.add(credential)
    return true
  }
}
