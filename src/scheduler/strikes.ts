import { ALL_MODELS } from "../store/types.ts"

interface Strike {
  readonly cause: string
  readonly scope: string
  count: number
  /** Youngest lease that existed when the strike was counted. */
  mark: number
}

/**
 * Failures in a row of one credential, per cause and scope; a success ends the row.
 *
 * Requests run side by side: when one credential hits its limit, every request that it carries fails at about the same time.
 * Such a volley is one strike, not many, so a failure counts only if its lease is younger than the strike before, and for the
 * same reason the success of an older lease ends nothing.
 */
export class Strikes {
  readonly #rows: Strike[] = []

  get any(): boolean {
    return this.#rows.length > 0
  }

  /**
   * Counts a failure of `lease`, where `youngest` is the youngest lease given out so far.
   * `fresh` is false for one of the same volley as the strike before.
   */
  hit(
    cause: string,
    scope: string,
    lease: number,
    youngest: number,
  ): { readonly count: number; readonly fresh: boolean } {
    const row = this.#find(cause, scope)
    if (row === undefined) {
      this.#rows.push({ cause, scope, count: 1, mark: youngest })
      return { count: 1, fresh: true }
    }
    if (lease <= row.mark) return { count: row.count, fresh: false }
    row.count++
    row.mark = youngest
    return { count: row.count, fresh: true }
  }

  /** What failed before would still fail, as is known without a lease: one more in the row. Returns the count. */
  again(cause: string, scope: string, youngest: number): number {
    const row = this.#find(cause, scope)
    if (row === undefined) return this.hit(cause, scope, youngest, youngest).count
    row.mark = youngest
    return ++row.count
  }

  /** Restores a row from the store. */
  recall(cause: string, scope: string, count: number): void {
    if (count > 0 && this.#find(cause, scope) === undefined) this.#rows.push({ cause, scope, count, mark: 0 })
  }

  /** `lease` succeeded for `model`: ends the rows of that model and of all models. Returns the scopes of the rows that ended. */
  succeed(model: string, lease: number): readonly string[] {
    const ended: string[] = []
    for (let i = this.#rows.length - 1; i >= 0; i--) {
      const row = this.#rows[i]
      if (row === undefined || lease <= row.mark) continue
      if (row.scope !== ALL_MODELS && row.scope !== model) continue
      this.#rows.splice(i, 1)
      if (!ended.includes(row.scope)) ended.push(row.scope)
    }
    return ended
  }

  clear(): void {
    this.#rows.length = 0
  }

  #find(cause: string, scope: string): Strike | undefined {
    for (const row of this.#rows) if (row.cause === cause && row.scope === scope) return row
    return undefined
  }
}

/** The step of `ladder` for the `count`-th failure in a row (from 1); the last one repeats; 0 for an empty ladder. */
export function rung(ladder: readonly number[], count: number): number {
  return ladder[Math.min(Math.max(count, 1), ladder.length) - 1] ?? 0
}
