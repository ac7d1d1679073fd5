import { and, desc, eq, notInArray, sql } from "drizzle-orm"
import type { Connection } from "./connection.ts"
import { once, onDemand } from "./on-demand.ts"
import { spentTokens } from "./schema.ts"

/** How many replaced refresh tokens are remembered for each credential (DESIGN section 5). */
export const SPENT_KEPT = 32

const { placeholder } = sql

/** Hashes of refresh tokens that one provider's credentials have had. Methods that write must run inside a transaction. */
export class SpentTokens {
  readonly #queries: () => ReturnType<typeof prepare>

  constructor(connection: Connection, provider: string) {
    this.#queries = once(() => prepare(connection, provider))
  }

  /** The credential that had the token, or null. */
  owner(hash: string): number | null {
    return this.#queries().owner.get({ hash })?.credential ?? null
  }

  add(credential: number, hash: string, now: number): void {
    this.#queries().forget.run({ hash })
    this.#queries().add.run({ credential, hash, now })
    this.#queries().trim.run({ credential })
  }

  /** The token is in use (again). */
  forget(hash: string): void {
    this.#queries().forget.run({ hash })
  }

  remove(credential: number): void {
    this.#queries().remove.run({ credential })
  }
}

function prepare({ db }: Connection, provider: string) {
  const mine = eq(spentTokens.provider, provider)
  const ofCredential = and(mine, eq(spentTokens.credential, placeholder("credential")))
  const ofHash = and(mine, eq(spentTokens.hash, placeholder("hash")))
  const newest = db
    .select({ seq: spentTokens.seq })
    .from(spentTokens)
    .where(ofCredential)
    .orderBy(desc(spentTokens.seq))
    .limit(SPENT_KEPT)
  return onDemand({
    owner: () => db.select({ credential: spentTokens.credential }).from(spentTokens).where(ofHash).prepare(),
    add: () =>
      db
        .insert(spentTokens)
        .values({
          provider,
          credential: placeholder("credential"),
          hash: placeholder("hash"),
          spentAt: placeholder("now"),
        })
        .prepare(),
    trim: () =>
      db
        .delete(spentTokens)
        .where(and(ofCredential, notInArray(spentTokens.seq, newest)))
        .prepare(),
    forget: () => db.delete(spentTokens).where(ofHash).prepare(),
    remove: () => db.delete(spentTokens).where(ofCredential).prepare(),
  })
}
