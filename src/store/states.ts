import { and, eq, sql } from "drizzle-orm"
import type { Connection } from "./connection.ts"
import { given } from "./expressions.ts"
import { once, onDemand } from "./on-demand.ts"
import { plain, scan } from "./plain.ts"
import { states } from "./schema.ts"
import { columnsOf, type StandingColumns } from "./standing.ts"
import type { LastError, Standing } from "./types.ts"

/** What a state row says of a credential. */
export interface KnownState extends StandingColumns {
  readonly credential: number
  readonly refreshDead: string | null
  readonly errorAt: number | null
  readonly errorStatus: number | null
  readonly errorCause: string | null
  readonly errorMessage: string | null
  readonly leasedAt: number | null
  readonly plan: string | null
}

/** A state row as it is stored. */
export interface StateRow extends KnownState {
  readonly tokenHash: string
  readonly witness: string
}

/** One provider's state rows: one per credential. Methods that write must run inside a transaction. */
export class States {
  readonly #connection: Connection
  readonly #provider: string
  readonly #queries: () => ReturnType<typeof prepare>

  constructor(connection: Connection, provider: string) {
    this.#connection = connection
    this.#provider = provider
    this.#queries = once(() => prepare(connection, provider))
  }

  /** All of them, for the start. */
  all(): KnownState[] {
    return scan(this.#connection, known, plain`${states} WHERE ${states.provider} = ?`, this.#provider)
  }

  get(credential: number): StateRow | null {
    return this.#queries().one.get({ credential }) ?? null
  }

  /** The credential whose stored refresh token has this hash. */
  byTokenHash(tokenHash: string): number | null {
    return this.#queries().byTokenHash.get({ tokenHash })?.credential ?? null
  }

  create(credential: number, standing: Standing, tokenHash: string, witness: string, now: number): void {
    this.#queries().create.run({ ...columnsOf(standing), credential, tokenHash, witness, now })
  }

  /** The credential row was written, by us or seen to be by another program: this is what it holds now. */
  witness(credential: number, tokenHash: string, witness: string, now: number): void {
    this.#queries().witness.run({ credential, tokenHash, witness, now })
  }

  setStanding(credential: number, standing: Standing, now: number): void {
    this.#queries().setStanding.run({ ...columnsOf(standing), credential, now })
  }

  setRefreshDead(credential: number, refreshDead: string | null, now: number): void {
    this.#queries().setRefreshDead.run({ credential, refreshDead, now })
  }

  setError(credential: number, error: LastError | null, now: number): void {
    const { at = null, status = null, cause = null, message = null } = error ?? {}
    this.#queries().setError.run({ credential, at, status, cause, message, now })
  }

  setLeased(credential: number, at: number): void {
    this.#queries().setLeased.run({ credential, at })
  }

  setPlan(credential: number, plan: string): void {
    this.#queries().setPlan.run({ credential, plan })
  }

  remove(credential: number): void {
    this.#queries().remove.run({ credential })
  }
}

const { placeholder } = sql

const known = {
  credential: states.credential,
  standing: states.standing,
  reason: states.reason,
  detail: states.detail,
  url: states.url,
  since: states.since,
  until: states.until,
  strikes: states.strikes,
  refreshDead: states.refreshDead,
  errorAt: states.errorAt,
  errorStatus: states.errorStatus,
  errorCause: states.errorCause,
  errorMessage: states.errorMessage,
  leasedAt: states.leasedAt,
  plan: states.plan,
}

const columns = { ...known, tokenHash: states.tokenHash, witness: states.witness }

function prepare({ db }: Connection, provider: string) {
  const mine = eq(states.provider, provider)
  const one = and(mine, eq(states.credential, placeholder("credential")))
  const standing = {
    standing: given("standing"),
    reason: given("reason"),
    detail: given("detail"),
    url: given("url"),
    since: given("since"),
    until: given("until"),
    strikes: given("strikes"),
  }
  const updatedAt = given("now")
  return onDemand({
    one: () => db.select(columns).from(states).where(one).prepare(),
    byTokenHash: () =>
      db
        .select({ credential: states.credential })
        .from(states)
        .where(and(mine, eq(states.tokenHash, placeholder("tokenHash"))))
        .prepare(),
    create: () =>
      db
        .insert(states)
        .values({
          ...standing,
          provider,
          credential: given("credential"),
          tokenHash: given("tokenHash"),
          witness: given("witness"),
          updatedAt,
        })
        .prepare(),
    witness: () =>
      db
        .update(states)
        .set({ tokenHash: given("tokenHash"), witness: given("witness"), updatedAt })
        .where(one)
        .prepare(),
    setStanding: () =>
      db
        .update(states)
        .set({ ...standing, updatedAt })
        .where(one)
        .prepare(),
    setRefreshDead: () =>
      db
        .update(states)
        .set({ refreshDead: given("refreshDead"), updatedAt })
        .where(one)
        .prepare(),
    setError: () =>
      db
        .update(states)
        .set({
          errorAt: given("at"),
          errorStatus: given("status"),
          errorCause: given("cause"),
          errorMessage: given("message"),
          updatedAt,
        })
        .where(one)
        .prepare(),
    setLeased: () =>
      db
        .update(states)
        .set({ leasedAt: given("at") })
        .where(one)
        .prepare(),
    setPlan: () =>
      db
        .update(states)
        .set({ plan: given("plan") })
        .where(one)
        .prepare(),
    remove: () => db.delete(states).where(one).prepare(),
  })
}
