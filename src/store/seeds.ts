import { and, desc, eq, getTableName, sql } from "drizzle-orm"
import type { Vault } from "./cipher.ts"
import type { Connection } from "./connection.ts"
import { given } from "./expressions.ts"
import { once, onDemand } from "./on-demand.ts"
import { plain, scan } from "./plain.ts"
import { type Descriptor, seeds } from "./schema.ts"
import { parseTokens } from "./tokens.ts"
import type { Seed, SeedOutcome, SeedRecord, TokenSet } from "./types.ts"

/** Seeds with a final outcome are kept for so long, and so many of them. */
export const SEEDS_KEPT_MS = 30 * 24 * 3_600_000
export const SEEDS_KEPT = 10_000

/** A seed row with its secrets opened. */
export interface SeedRow {
  readonly id: number
  readonly hash: string
  readonly account: string | null
  readonly refreshToken: string | null
  readonly attempts: number
  readonly intentAt: number | null
  readonly tokens: TokenSet | null
  readonly outcome: SeedOutcome["kind"]
  readonly credential: number | null
}

/** How a seed ended. */
interface Ending {
  readonly outcome: "adopted" | "known" | "failed"
  readonly credential?: number | null
  readonly reason?: string
  readonly detail?: string
  readonly url?: string | null
}

/** Seed ids as people see them: `s17`. */
export const seedId = (id: number): string => `s${id}`

export function parseSeedId(id: string): number | null {
  return /^s\d{1,15}$/.test(id) ? Number(id.slice(1)) : null
}

/** One provider's seeds. Methods that write must run inside a transaction. */
export class Seeds {
  readonly #connection: Connection
  readonly #provider: string
  readonly #vault: Vault
  readonly #queries: () => ReturnType<typeof prepare>

  constructor(connection: Connection, descriptor: Descriptor, vault: Vault) {
    this.#connection = connection
    this.#provider = descriptor.provider
    this.#vault = vault
    this.#queries = once(() => prepare(connection, descriptor))
  }

  pending(): Seed[] {
    const { provider, outcome, id } = seeds
    const from = plain`${seeds} WHERE ${provider} = ? AND ${outcome} = 'pending' ORDER BY ${id}`
    return scan(this.#connection, columns, from, this.#provider).flatMap((raw) => seedOf(this.#opened(raw)) ?? [])
  }

  pendingOne(id: number): Seed | null {
    const row = this.get(id)
    return row?.outcome === "pending" ? seedOf(row) : null
  }

  get(id: number): SeedRow | null {
    const raw = this.#queries().byId.get({ id })
    return raw === undefined ? null : this.#opened(raw)
  }

  byHash(hash: string): SeedRow | null {
    const raw = this.#queries().byHash.get({ hash })
    return raw === undefined ? null : this.#opened(raw)
  }

  /** Newest change first. */
  records(limit: number): SeedRecord[] {
    return this.#queries()
      .records.all({ limit })
      .map((row) => ({ outcome: outcomeOf(row), createdAt: row.createdAt, updatedAt: row.updatedAt }))
  }

  outcome(id: number): SeedOutcome | null {
    const row = this.#queries().outcome.get({ id })
    return row === undefined ? null : outcomeOf(row)
  }

  /** @returns the id of the new row */
  insert(hash: string, refreshToken: string, account: string | null, now: number): number {
    const sealed = this.#vault.seal(refreshToken, cell("refresh_token", hash))
    return Number(this.#queries().insert.get({ hash, refreshToken: sealed, account, now })?.id)
  }

  /** A seed for which nothing needs to be sent, or may be. @returns the id of the new row */
  insertEnded(hash: string, ending: Ending, now: number): number {
    const id = Number(this.#queries().insert.get({ hash, refreshToken: null, account: null, now })?.id)
    this.end(id, ending, now)
    return id
  }

  /** Handed in once more after it had ended. Tokens won for it before are still with it. */
  reopen(row: SeedRow, refreshToken: string, account: string | null, now: number): void {
    const sealed = this.#vault.seal(refreshToken, cell("refresh_token", row.hash))
    this.#queries().reopen.run({ id: row.id, refreshToken: sealed, account: account ?? row.account, now })
  }

  setAccount(id: number, account: string, now: number): void {
    this.#queries().setAccount.run({ id, account, now })
  }

  intend(id: number, now: number): void {
    this.#queries().intend.run({ id, now })
  }

  hold(row: SeedRow, tokens: TokenSet, now: number): void {
    const held = this.#vault.seal(JSON.stringify(tokens), cell("held", row.hash))
    this.#queries().hold.run({ id: row.id, held, now })
  }

  /**
   * The outcome is final: the text of the token goes, its hash stays. Only where the token was exchanged for another one
   * that no credential has, that one is kept, since it is the last that is alive: it comes back when the seed is handed in again.
   */
  end(id: number, ending: Ending, now: number): void {
    const row = this.get(id)
    if (row === null) return
    const rotated = row.tokens !== null && row.tokens.refreshToken !== row.refreshToken
    const keep = ending.outcome === "failed" && rotated
    const { credential = null, reason = null, detail = null, url = null } = ending
    const query = keep ? this.#queries().endHeld : this.#queries().end
    query.run({ id, outcome: ending.outcome, credential, reason, detail, url, now })
  }

  /** Only what is pending can fail: a seed adopted meanwhile (by a login) stays adopted. */
  fail(id: number, reason: string, detail: string, url: string | null, now: number): void {
    if (this.get(id)?.outcome === "pending") this.end(id, { outcome: "failed", reason, detail, url }, now)
  }

  /** Forgets old final outcomes. */
  prune(now: number): void {
    const { provider, outcome, updatedAt, id } = seeds
    this.#connection.run(
      plain`DELETE FROM ${seeds} WHERE ${provider} = ? AND ${outcome} <> 'pending' AND ${updatedAt} < ?`,
      this.#provider,
      now - SEEDS_KEPT_MS,
    )
    this.#connection.run(
      plain`DELETE FROM ${seeds} WHERE ${id} IN (SELECT ${id} FROM ${seeds} WHERE ${provider} = ? AND ${outcome} <> 'pending'
        ORDER BY ${updatedAt} DESC, ${id} DESC LIMIT -1 OFFSET ${SEEDS_KEPT})`,
      this.#provider,
    )
  }

  #opened(raw: RawSeed): SeedRow {
    const { refreshToken, held, ...rest } = raw
    return {
      ...rest,
      refreshToken: refreshToken === null ? null : this.#vault.open(refreshToken, cell("refresh_token", raw.hash)),
      tokens: held === null ? null : parseTokens(this.#vault.open(held, cell("held", raw.hash))),
    }
  }
}

function seedOf({ id, account, refreshToken, attempts, intentAt, tokens }: SeedRow): Seed | null {
  return refreshToken === null ? null : { id: seedId(id), account, refreshToken, attempts, intentAt, tokens }
}

interface RawSeed extends Omit<SeedRow, "tokens"> {
  readonly held: string | null
}

interface OutcomeRow {
  readonly id: number
  readonly outcome: SeedOutcome["kind"]
  readonly credential: number | null
  readonly email: string | null
  readonly reason: string | null
  readonly detail: string | null
  readonly url: string | null
}

/** Where a seed's secret stands, for the cipher: the hash names a seed for good. */
export const cell = (column: "refresh_token" | "held", hash: string) => ({
  table: getTableName(seeds),
  column,
  row: [hash],
})

function outcomeOf(row: OutcomeRow): SeedOutcome {
  const id = seedId(row.id)
  switch (row.outcome) {
    case "pending":
      return { kind: "pending", id }
    case "adopted":
      return { kind: "adopted", id, credential: row.credential ?? 0, email: row.email }
    case "known":
      return { kind: "known", id, credential: row.credential }
    case "failed":
      return { kind: "failed", id, reason: row.reason ?? "unknown", detail: row.detail ?? "", url: row.url }
  }
}

const { placeholder } = sql

const columns = {
  id: seeds.id,
  hash: seeds.hash,
  account: seeds.account,
  refreshToken: seeds.refreshToken,
  attempts: seeds.attempts,
  intentAt: seeds.intentAt,
  held: seeds.held,
  outcome: seeds.outcome,
  credential: seeds.credential,
}

function prepare({ db }: Connection, { provider, table }: Descriptor) {
  const mine = eq(seeds.provider, provider)
  const one = and(mine, eq(seeds.id, placeholder("id")))
  const outcomes = () =>
    db
      .select({
        id: seeds.id,
        outcome: seeds.outcome,
        credential: seeds.credential,
        email: table.email,
        reason: seeds.reason,
        detail: seeds.detail,
        url: seeds.url,
        createdAt: seeds.createdAt,
        updatedAt: seeds.updatedAt,
      })
      .from(seeds)
      .leftJoin(table, eq(table.id, seeds.credential))
  const updatedAt = given("now")
  const ended = {
    outcome: given("outcome"),
    credential: given("credential"),
    reason: given("reason"),
    detail: given("detail"),
    url: given("url"),
    refreshToken: null,
    intentAt: null,
    updatedAt,
  }
  return onDemand({
    byId: () => db.select(columns).from(seeds).where(one).prepare(),
    byHash: () =>
      db
        .select(columns)
        .from(seeds)
        .where(and(mine, eq(seeds.hash, placeholder("hash"))))
        .prepare(),
    outcome: () => outcomes().where(one).prepare(),
    records: () =>
      outcomes().where(mine).orderBy(desc(seeds.updatedAt), desc(seeds.id)).limit(placeholder("limit")).prepare(),
    insert: () =>
      db
        .insert(seeds)
        .values({
          provider,
          hash: placeholder("hash"),
          account: placeholder("account"),
          refreshToken: placeholder("refreshToken"),
          outcome: "pending",
          createdAt: placeholder("now"),
          updatedAt: placeholder("now"),
        })
        .returning({ id: seeds.id })
        .prepare(),
    reopen: () =>
      db
        .update(seeds)
        .set({
          outcome: "pending",
          refreshToken: given("refreshToken"),
          account: given("account"),
          attempts: 0,
          credential: null,
          reason: null,
          detail: null,
          url: null,
          updatedAt,
        })
        .where(one)
        .prepare(),
    setAccount: () =>
      db
        .update(seeds)
        .set({ account: given("account"), updatedAt })
        .where(one)
        .prepare(),
    intend: () =>
      db
        .update(seeds)
        .set({ intentAt: given("now"), attempts: sql`${seeds.attempts} + 1`, updatedAt })
        .where(and(one, eq(seeds.outcome, "pending")))
        .prepare(),
    hold: () =>
      db
        .update(seeds)
        .set({ held: given("held"), intentAt: null, updatedAt })
        .where(and(one, eq(seeds.outcome, "pending")))
        .prepare(),
    end: () =>
      db
        .update(seeds)
        .set({ ...ended, held: null })
        .where(one)
        .prepare(),
    endHeld: () => db.update(seeds).set(ended).where(one).prepare(),
  })
}
