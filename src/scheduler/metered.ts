import type { Refresher } from "./ports.ts"

/** A refresher that tells how each refresh ended. */
export function metered(refresher: Refresher, ended: (outcome: string) => void): Refresher {
  return {
    leadMs: refresher.leadMs,
    identify: (tokens, account, signal) => refresher.identify(tokens, account, signal),
    async refresh(refreshToken, signal) {
      const answer = await refresher.refresh(refreshToken, signal)
      ended(answer.kind)
      return answer
    },
  }
}
