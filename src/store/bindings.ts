import { and, desc, eq, inArray, lt, sql } from "drizzle-orm"
import type { Connection } from "./connection.ts"
import { excluded } from "./expressions.ts"
import { onDemand } from "./on-demand.ts"
import { bindings } from "./schema.ts"
import type { Binding } from "./types.ts"

/** Idle bindings are kept for so long, and so many of them for each provider. */
export const BINDINGS_KEPT_MS = 14 * 24 * 3_600_000
export const BINDINGS_KEPT = 100_000

/** Which credential served a session, for one provider. Methods that write must run inside a transaction. */
export class Bindings {
  readonly #queries: ReturnType<typeof prepare>

  constructor(connection: Connection, provider: string) {
    this.#queries = prepare(connection, provider)
  }

  /** The most recently used, newest first. */
  newest(limit: number): Binding[] {
    return this.#queries.newest.all({ limit })
  }

  bind(session: string, credential: number, usedAt: number): void {
    this.#queries.bind.run({ session, credential, usedAt })
  }

  unbind(session: string): void {
    this.#queries.unbind.run({ session })
  }

  remove(credential: number): void {
    this.#queries.remove.run({ credential })
  }

  prune(now: number): void {
    this.#queries.pruneOld.run({ before: now - BINDINGS_KEPT_MS })
    this.#queries.pruneMany.run()
  }
}

const { placeholder } = sql

function prepare({ db }: Connection, provider: string) {
  const mine = eq(bindings.provider, provider)
  const surplus = db
    .select({ session: bindings.session })
    .from(bindings)
    .where(mine)
    .orderBy(desc(bindings.usedAt))
    .limit(Number.MAX_SAFE_INTEGER)
    .offset(BINDINGS_KEPT)
  return onDemand({
    newest: () =>
      db
        .select({ session: bindings.session, credential: bindings.credential, usedAt: bindings.usedAt })
        .from(bindings)
        .where(mine)
        .orderBy(desc(bindings.usedAt), bindings.session)
        .limit(placeholder("limit"))
        .prepare(),
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
    pruneOld: () =>
      db
        .delete(bindings)
        .where(and(mine, lt(bindings.usedAt, placeholder("before"))))
        .prepare(),
    pruneMany: () =>
      db
        .delete(bindings)
        .where(and(mine, inArray(bindings.session, surplus)))
        .prepare(),
  })
}
