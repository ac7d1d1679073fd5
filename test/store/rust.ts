import { Database } from "bun:sqlite"

/** The statements by which the Rust project makes its tables, run one by one at its start. */
export const RUST_SCHEMA = [
  `CREATE TABLE IF NOT EXISTS gemini_cli (
    id INTEGER PRIMARY KEY NOT NULL, email TEXT NULL, sub TEXT NOT NULL, project_id TEXT NOT NULL,
    refresh_token TEXT NOT NULL, access_token TEXT NULL, expiry TEXT NOT NULL,
    status INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE(sub, project_id))`,
  "CREATE INDEX IF NOT EXISTS idx_gemini_cli_status ON gemini_cli(status)",
  `CREATE TABLE IF NOT EXISTS codex (
    id INTEGER PRIMARY KEY NOT NULL, email TEXT NULL, sub TEXT NOT NULL, account_id TEXT NOT NULL,
    refresh_token TEXT NOT NULL, access_token TEXT NOT NULL, expiry TEXT NOT NULL, chatgpt_plan_type TEXT NULL,
    status INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE(sub, account_id))`,
  "CREATE INDEX IF NOT EXISTS idx_codex_status ON codex(status)",
]

/** A database as the Rust project leaves it behind: WAL, times with nanoseconds. */
export function makeRustDatabase(path: string): void {
  rust(path, (db) => {
    const now = "2026-02-05T03:04:05.123456789+00:00"
    db.run(
      `INSERT INTO gemini_cli (email, sub, project_id, refresh_token, access_token, expiry, status, created_at, updated_at) VALUES
       ('one@example.test', 'g1', 'project-1', 'rust-g1', 'access-g1', '2026-02-05T04:04:05.999999999+00:00', 1, '${now}', '${now}'),
       (NULL, 'g2', 'project-2', 'rust-g2', NULL, '2026-02-05T04:04:05Z', 0, '${now}', '${now}')`,
    )
    db.run(
      `INSERT INTO codex (email, sub, account_id, refresh_token, access_token, expiry, chatgpt_plan_type, status, created_at, updated_at) VALUES
       ('two@example.test', 'c1', 'account-1', 'rust-c1', 'access-c1', '2026-02-05T04:04:05+00:00', 'plus', 1, '${now}', '${now}')`,
    )
  })
}

/** What the Rust program does at start and after: its own statements on the same file, while we are not running. */
export function rust<T>(path: string, work: (db: Database) => T): T {
  const db = new Database(path, { create: true })
  try {
    db.run("PRAGMA journal_mode = WAL")
    for (const statement of RUST_SCHEMA) db.run(statement)
    return work(db)
  } finally {
    db.close(true)
  }
}

/** Its update of one credential: what is given replaces what is there. */
export function rustPatch(
  db: Database,
  table: "gemini_cli" | "codex",
  id: number,
  patch: { refreshToken?: string; accessToken?: string; expiry?: string; status?: number },
  updatedAt: string,
): number {
  return db.run(
    `UPDATE ${table} SET refresh_token = COALESCE(?, refresh_token), access_token = COALESCE(?, access_token),
     expiry = COALESCE(?, expiry), status = COALESCE(?, status), updated_at = ? WHERE id = ?`,
    [patch.refreshToken ?? null, patch.accessToken ?? null, patch.expiry ?? null, patch.status ?? null, updatedAt, id],
  ).changes
}
