import { test } from "bun:test"
import { IN_MEMORY } from "../../src/store/open.ts"
import type { Source } from "../../src/store/source.ts"
import type { Cooldown, SeedOutcome, Standing, StateChange } from "../../src/store/types.ts"
import { type Line, open } from "./support.ts"

export const NOW = Date.UTC(2026, 5, 1, 12)
export const hint = (refreshToken: string, account: string | null = null) => ({ refreshToken, account })
export const cooldown: Cooldown = {
  scope: "m1",
  until: NOW + 9,
  stated: NOW + 99,
  cause: "rate",
  strikes: 2,
  quota: false,
}
export const error = { at: NOW, status: 429, cause: "rate", message: "slow down" }
export const parked: Standing = {
  kind: "parked",
  reason: "needs_login",
  detail: "The refresh token was refused.",
  url: null,
  since: NOW,
  until: NOW + 60_000,
  strikes: 1,
}

/** Runs for both kinds of credential tables. */
export function everyProvider(name: string, work: (source: Source, log: Line[]) => void): void {
  for (const provider of ["geminicli", "codex"]) {
    test(`${name} (${provider})`, () => {
      const { store, lines } = open(IN_MEMORY)
      work(store.source(provider), lines)
      store.close()
    })
  }
}

export const only = (outcomes: readonly SeedOutcome[]): SeedOutcome => {
  const [first, ...rest] = outcomes
  if (first === undefined || rest.length > 0) throw new Error(`expected one outcome, got ${outcomes.length}`)
  return first
}

/** Everything that can be noted of a credential. */
export const troubles: readonly StateChange[] = [
  { set: "cooldown", cooldown },
  { set: "mark", mark: { model: "m2", until: NOW + 5 } },
  { set: "refresh_dead", reason: "invalid_grant" },
  { set: "error", error },
  { set: "standing", standing: parked },
]
