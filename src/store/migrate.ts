import type { Database } from "bun:sqlite"
import { Exit, StoreError } from "./error.ts"
import credentials from "./migrations/0000_credentials.sql" with { type: "text" }
import state from "./migrations/0001_state.sql" with { type: "text" }

/**
 * All migrations in order, embedded in the executable; `PRAGMA user_version` counts those that a database has had.
 * The first can be run on a database that the Rust program made, and is run at every start.
 */
export const migrations: readonly { readonly tag: string; readonly sql: string }[] = [
  { tag: "0000_credentials", sql: credentials },
  { tag: "0001_state", sql: state },
]

/**
 * Brings the schema up to date; runs inside the caller's transaction.
 * @returns how many migrations were applied
 * @throws StoreError with exit code 65 when a newer Pollux has had this database
 */
export function migrate(client: Database, path: string): number {
  const version = schemaVersion(client)
  if (version > migrations.length) {
    throw new StoreError(
      `database ${path} has schema version ${version}, made by a newer Pollux; this one knows ${migrations.length}: update Pollux, or restore a backup`,
      Exit.dataError,
    )
  }
  for (const [at, migration] of migrations.entries()) {
    if (at === 0 || at >= version) client.run(migration.sql)
  }
  if (version < migrations.length) client.run(`PRAGMA user_version = ${migrations.length}`)
  return migrations.length - version
}

function schemaVersion(client: Database): number {
  const row: unknown = client.query("PRAGMA user_version").get()
  return typeof row === "object" && row !== null && "user_version" in row ? Number(row.user_version) : 0
}
