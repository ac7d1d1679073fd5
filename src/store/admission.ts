import { reactivate } from "./changes.ts"
import { isSealed, tokenHash } from "./cipher.ts"
import { seedId } from "./seeds.ts"
import type { Tables } from "./tables.ts"
import type { SeedHint, SeedOutcome } from "./types.ts"

/** One credential's worth of what was handed in. */
interface Candidate extends SeedHint {
  readonly hash: string
}

/**
 * Decides for each refresh token handed in whether it is one of ours, and records it. Runs inside the caller's transaction.
 */
export function admit(tables: Tables, hints: readonly SeedHint[], now: number): SeedOutcome[] {
  const candidates = new Map<string, Candidate>()
  for (const hint of hints) {
    const hash = tokenHash(hint.refreshToken)
    if (!candidates.has(hash)) candidates.set(hash, { ...hint, hash })
  }
  return [...candidates.values()].map((candidate) => admitOne(tables, candidate, now))
}

function admitOne(tables: Tables, { hash, refreshToken, account }: Candidate, now: number): SeedOutcome {
  const { states, spent, seeds, credentials } = tables
  const row = seeds.byHash(hash)
  const end = (ending: Parameters<typeof seeds.end>[1]): string => {
    if (row === null) return seedId(seeds.insertEnded(hash, ending, now))
    seeds.end(row.id, ending, now)
    return seedId(row.id)
  }

  if (isSealed(refreshToken)) {
    const reason = "not_a_token"
    const detail = "This is an encrypted value out of a Pollux database, not a refresh token."
    return { kind: "failed", id: end({ outcome: "failed", reason, detail }), reason, detail, url: null }
  }

  const holder = states.byTokenHash(hash)
  if (holder !== null) reactivate(tables, holder, now)
  // A seed that once became a credential is spent even when that was more tokens ago than are remembered.
  const became = row?.credential != null && credentials.exists(row.credential) ? row.credential : null
  const owner = holder ?? spent.owner(hash) ?? became
  if (owner !== null) return { kind: "known", id: end({ outcome: "known", credential: owner }), credential: owner }

  if (row === null) return { kind: "pending", id: seedId(seeds.insert(hash, refreshToken, account, now)) }
  if (row.outcome !== "pending") seeds.reopen(row, refreshToken, account, now)
  else if (account !== null && account !== row.account) seeds.setAccount(row.id, account, now)
  return { kind: "pending", id: seedId(row.id) }
}
