import { and, eq, sql } from "drizzle-orm"
import type { Connection } from "./connection.ts"
import { excluded } from "./expressions.ts"
import { once, onDemand } from "./on-demand.ts"
import { plain, scan } from "./plain.ts"
import { bindings } from "./schema.ts"
import type { Binding } from "./types.ts"

/** Idle bindings are kept for so long, and so many of them for each provider. */
export const BINDINGS_KEPT_MS = 14 * 24 * 3_600_000
export const BINDINGS_KEPT = 100_000

/** Which credential served a session, for one provider. Methods that write must run inside a transaction. */
export class Bindings {
  readonly #connection: Connection
  readonly #provider: string
  readonly #queries: () => ReturnType<typeof prepare>

  constructor(connection: Connection, provider: string) {
    this.#connection = connection
    this.#provider = provider
    this.#queries = once(() => prepare(connection, provider))
  }

  /** The most recently used, newest first. */
  newest(limit: number): Binding[] {
    const { session, credential, usedAt } = bindings
    return scan(
      this.#connection,
      { session, credential, usedAt },
      plain`${bindings} WHERE ${bindings.provider} = ? ORDER BY ${usedAt} DESC, ${session} LIMIT ?`,
      this.#provider,
      limit,
    )
  }

  bind(session: string, credential: number, usedAt: number): void {
    this.#queries().bind.run({ session, credential, usedAt })
  }

  unbind(session: string): void {
    this.#queries().unbind.run({ session })
  }

  remove(credential: number): void {
    this.#queries().remove.run({ credential })
  }

  prune(now: number): void {
    const { provider, session, usedAt } = bindings
    this.#connection.run(
      plain`DELETE FROM ${bindings} WHERE ${provider} = ? AND ${usedAt} < ?`,
      this.#provider,
      now - BINDINGS_KEPT_MS,
    )
    this.#connection.run(
      plain`DELETE FROM ${bindings} WHERE ${provider} = ?1 AND ${session} IN
        (SELECT ${session} FROM ${bindings} WHERE ${provider} = ?1 ORDER BY ${usedAt} DESC LIMIT -1 OFFSET ${BINDINGS_KEPT})`,
      this.#provider,
    )
  }
}

const { placeholder } = sql

function prepare({ db }: Connection, provider: string) {
  const mine = eq(bindings.provider, provider)
  return onDemand({
    bind: () =>
      db
        .insert(bindings)
        .values({
          provider,
          session: placeholder("session"),
          credential: placeholder("credential"),
          usedAt: placeholder("usedAt"),
        })
        .onConflictDoUpdate({
          target: [bindings.provider, bindings.session],
          set: { credential: excluded(bindings.credential), usedAt: excluded(bindings.usedAt) },
        })
        .prepare(),
    unbind: () =>
      db
        .delete(bindings)
        .where(and(mine, eq(bindings.session, placeholder("session"))))
        .prepare(),
    remove: () =>
      db
        .delete(bindings)
        .where(and(mine, eq(bindings.credential, placeholder("credential"))))
        .prepare(),
  })
}
