/** How one token set follows another. All run inside the caller's transaction. */
import { forgive, setPlan } from "./changes.ts"
import { tokenHash } from "./cipher.ts"
import type { Row } from "./credentials.ts"
import { formatTime } from "./rfc3339.ts"
import { parseSeedId } from "./seeds.ts"
import { ACTIVE } from "./standing.ts"
import type { Tables } from "./tables.ts"
import type { Identity, TokenSet } from "./types.ts"

/** Upsert on (sub, account), in rotation with a clean record; the seed, if any, is recorded as adopted. @returns the id */
export function adopt(tables: Tables, seed: string | null, tokens: TokenSet, who: Identity, now: number): number {
  const { credentials, seeds } = tables
  const existing = credentials.find(who.sub, who.account)
  const id = existing === null ? insert(tables, tokens, who, now) : replace(tables, existing, tokens, who, now)
  if (who.plan !== null) setPlan(tables, id, who.plan)
  const seedRow = seed === null ? null : seeds.get(parseSeedId(seed) ?? 0)
  if (seedRow !== null) {
    const held = seedRow.tokens === null ? [] : [tokenHash(seedRow.tokens.refreshToken)]
    spend(tables, id, [seedRow.hash, ...held], tokens, now)
    seeds.end(seedRow.id, { outcome: "adopted", credential: id }, now)
  }
  return id
}

export interface Rotation {
  readonly result: "stored" | "superseded"
  /** The credential whose identity the new tokens claimed, when that is another one: the row kept its own. */
  readonly clash: number | null
}

/** Compare-and-swap on the old refresh token. A refresh clears neither cooldowns nor parking. */
export function rotate(
  tables: Tables,
  id: number,
  witness: string,
  tokens: TokenSet,
  who: Partial<Identity>,
  now: number,
): Rotation {
  const { credentials, states, conditions } = tables
  const row = credentials.get(id)
  if (row === null || row.refreshToken !== witness) return { result: "superseded", clash: null }
  const holder = credentials.find(who.sub ?? row.sub, who.account ?? row.account)
  const clash = holder === null || holder.id === id ? null : holder.id
  const identity = clash === null ? who : { ...who, sub: row.sub, account: row.account }
  credentials.update(row, identity, tokens, row.status, now)
  if (who.plan !== undefined && who.plan !== null) setPlan(tables, id, who.plan)
  states.witness(id, tokenHash(tokens.refreshToken), formatTime(now), now)
  states.setRefreshDead(id, null, now)
  conditions.endIntent(id)
  spend(tables, id, [tokenHash(witness)], tokens, now)
  return { result: "stored", clash }
}

function insert(tables: Tables, tokens: TokenSet, who: Identity, now: number): number {
  const { credentials, states, spent } = tables
  const hash = tokenHash(tokens.refreshToken)
  const id = credentials.insert(who, tokens, now)
  states.create(id, ACTIVE, hash, formatTime(now), now)
  spent.forget(hash)
  return id
}

function replace(tables: Tables, row: Row, tokens: TokenSet, who: Identity, now: number): number {
  const { credentials, states, conditions } = tables
  credentials.update(row, who, tokens, 1, now)
  states.witness(row.id, tokenHash(tokens.refreshToken), formatTime(now), now)
  states.setStanding(row.id, ACTIVE, now)
  forgive(tables, row.id, now)
  conditions.endIntent(row.id)
  spend(tables, row.id, [tokenHash(row.refreshToken)], tokens, now)
  return row.id
}

/** Remembers tokens as spent, except the one that is in use now (a provider need not rotate). */
function spend(tables: Tables, id: number, hashes: readonly string[], current: TokenSet, now: number): void {
  const inUse = tokenHash(current.refreshToken)
  tables.spent.forget(inUse)
  for (const hash of hashes) if (hash !== inUse) tables.spent.add(id, hash, now)
}
