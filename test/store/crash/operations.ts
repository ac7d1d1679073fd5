import { Database } from "bun:sqlite"
import type { WriteName } from "../../../src/store/connection.ts"
import type { Store } from "../../../src/store/open.ts"
import { rust, rustPatch } from "../rust.ts"
import { tokens, who } from "../support.ts"

export const NOW = Date.UTC(2026, 5, 1, 12)
export const KEY = "5c".repeat(32)

/** One write, from a database in a known state to what it is there for. */
export interface Operation {
  /** What the database is before: without it, one with two credentials and two seeds. */
  readonly before?: (path: string) => void
  /** The key with which the process that dies opens it. */
  readonly key?: string
  /** Which passing of the point is meant: opening the database makes some of these writes, too. */
  readonly passing?: number
  /** The write; without it, it happens when the database is opened. */
  readonly run?: (store: Store, path: string) => void
}

export const OPERATIONS: Readonly<Record<WriteName, Operation>> = {
  migrate: { before: (path) => rust(path, insertRustRow) },
  reconcile: {
    before: (path) =>
      rust(path, (db) => rustPatch(db, "codex", 1, { refreshToken: "r2" }, "2026-07-01T00:00:00+00:00")),
  },
  encrypt: { key: KEY },
  seeds: {
    run: (store) =>
      store.source("codex").addSeeds(
        ["refresh-a", "spent", "s1", "new"].map((refreshToken) => ({ refreshToken, account: null })),
        NOW,
      ),
  },
  seed_intent: { run: (store) => store.source("codex").intendSeed("s1", NOW) },
  seed_held: { run: (store) => store.source("codex").holdSeed("s1", tokens("won"), NOW) },
  seed_failed: { run: (store) => store.source("codex").failSeed("s1", "reason", "detail", null, NOW) },
  adopt: { run: (store) => store.source("codex").adopt("s2", tokens("won"), who("a", { plan: "pro" }), NOW + 1) },
  intend: { run: (store) => store.source("codex").intend(2, NOW) },
  rotate: { run: (store) => store.source("codex").rotate(1, "refresh-a", tokens("next"), { plan: "team" }, NOW + 1) },
  note: {
    run: (store) =>
      store
        .source("codex")
        .note(
          1,
          { set: "standing", standing: { kind: "banned", reason: "tos", detail: "Broken terms.", since: NOW } },
          NOW + 1,
        ),
  },
  flush: {
    run: (store) =>
      store.source("codex").flush(
        [
          { late: "bind", session: "one", id: 1, at: NOW },
          { late: "plan", id: 1, plan: "team" },
          { late: "leased", id: 2, at: NOW },
        ],
        NOW,
      ),
  },
  remove: { run: (store) => store.source("codex").remove(2) },
  usage: {
    run: (store) =>
      store.usage.add(
        ["m1", "m2"].map((model) => ({
          ...{ at: NOW, provider: "codex", model, credential: 1, principal: null, requests: 1, errors: 0, attempts: 1 },
          ...{ input: 10, output: 20, cached: 5, reasoning: 0 },
        })),
      ),
  },
  prune: { passing: 3, run: (store) => store.source("codex").prune(NOW + 1e11) },
  probe: {
    run(store, path) {
      const other = new Database(path)
      other.run("BEGIN IMMEDIATE")
      try {
        store.source("codex").intend(1, NOW)
      } catch {
        // What makes the store ask whether it can write again.
      }
      other.run("ROLLBACK")
      other.close(true)
      store.trouble()
    },
  },
}

/** Two credentials of one provider, one of which has a past, and two seeds. */
export function furnish(store: Store): void {
  const source = store.source("codex")
  source.adopt(null, tokens("a"), who("a", { plan: "plus" }), NOW)
  source.adopt(null, { ...tokens("b"), refreshToken: "spent" }, who("b"), NOW)
  source.rotate(2, "spent", tokens("b"), null, NOW)
  source.addSeeds(
    [
      { refreshToken: "s1", account: null },
      { refreshToken: "s2", account: "x" },
    ],
    NOW,
  )
  source.holdSeed("s2", tokens("held"), NOW)
  source.addSeeds([{ refreshToken: "pxe1:", account: null }], NOW)
  source.note(
    1,
    { set: "cooldown", cooldown: { scope: "*", until: 9e12, stated: 9e12, cause: "c", strikes: 1, quota: true } },
    NOW,
  )
  source.intend(1, NOW)
}

function insertRustRow(db: Database): void {
  db.run(`INSERT INTO codex (sub, account_id, refresh_token, access_token, expiry, created_at, updated_at)
          VALUES ('c', 'a', 'r', 'x', '2026-02-05T04:04:05Z', '2026-02-05T03:04:05Z', '2026-02-05T03:04:05Z')`)
}
