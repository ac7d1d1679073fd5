/** What stands in a database file, read while Pollux does not run. */
import { Database } from "bun:sqlite"
import { join } from "node:path"
import type { ProviderName } from "./side.ts"

const TABLES = { geminicli: "gemini_cli", codex: "codex" } as const

export interface StoredRow {
  readonly id: number
  readonly sub: string
  readonly refresh_token: string
  readonly access_token: string | null
}

/** The provider's rows, oldest first. @throws Error when the file is damaged */
export function storedRows(cwd: string, provider: ProviderName): readonly StoredRow[] {
  // Not read-only: the write-ahead log of a killed process has to be taken in.
  const db = new Database(join(cwd, "data.db"), { readwrite: true })
  try {
    const verdict = db.query<{ integrity_check: string }, []>("PRAGMA integrity_check").all()
    if (verdict.length !== 1 || verdict[0]?.integrity_check !== "ok")
      throw new Error(`damaged: ${JSON.stringify(verdict)}`)
    return db
      .query<StoredRow, []>(`SELECT id, sub, refresh_token, access_token FROM ${TABLES[provider]} ORDER BY id`)
      .all()
  } finally {
    db.close(true)
  }
}
