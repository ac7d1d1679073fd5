import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import type { Cooldown, Standing } from "../../src/store/types.ts"
import { makeRustDatabase, rust, rustPatch } from "./rust.ts"
import { open, Scratch, tokens, who } from "./support.ts"

const cooldown: Cooldown = { scope: "*", until: 9e12, stated: 9e12, cause: "quota", strikes: 1, quota: true }
const shape = (db: Database, table: string) => ({
  columns: db
    .query(`SELECT name, upper(type) AS type, "notnull", dflt_value, pk FROM pragma_table_info('${table}')`)
    .all(),
  indexes: db
    .query(`SELECT name, "unique", origin, (SELECT group_concat(name) FROM pragma_index_info(l.name)) AS columns
            FROM pragma_index_list('${table}') l ORDER BY name`)
    .all(),
})

test("a database of the Rust project opens as it is", () => {
  using scratch = new Scratch()
  makeRustDatabase(scratch.path())
  const { store } = open(scratch.path())
  expect(store.source("geminicli").load()).toMatchObject([
    {
      id: 1,
      identity: { sub: "g1", account: "project-1", email: "one@example.test", plan: null },
      refreshToken: "rust-g1",
      accessToken: "access-g1",
      expiresAt: Date.UTC(2026, 1, 5, 4, 4, 5, 999),
      standing: { kind: "active" },
    },
    {
      id: 2,
      identity: { sub: "g2", account: "project-2", email: null },
      accessToken: null,
      expiresAt: Date.UTC(2026, 1, 5, 4, 4, 5),
      standing: { kind: "disabled", since: Date.UTC(2026, 1, 5, 3, 4, 5, 123) },
    },
  ])
  expect(store.source("codex").load()).toMatchObject([
    { id: 1, identity: { sub: "c1", account: "account-1", plan: "plus" }, refreshToken: "rust-c1" },
  ])
  store.close()
})

test("the tables we make are those that the Rust project makes", () => {
  using scratch = new Scratch()
  rust(scratch.path("rust.db"), () => {})
  open(scratch.path("ours.db")).store.close()
  const theirs = new Database(scratch.path("rust.db"))
  const ours = new Database(scratch.path("ours.db"))
  for (const table of ["gemini_cli", "codex"]) expect(shape(ours, table)).toEqual(shape(theirs, table))
  theirs.close(true)
  ours.close(true)
})

test("opening and writing leaves the Rust project's tables as it made them", () => {
  using scratch = new Scratch()
  makeRustDatabase(scratch.path())
  const ddl = (db: Database) =>
    db.query("SELECT sql FROM sqlite_master WHERE tbl_name IN ('gemini_cli', 'codex')").all()
  const before = rust(scratch.path(), ddl)
  const { store, clock } = open(scratch.path())
  store.source("codex").adopt(null, tokens("new"), who("new", { plan: "team" }), clock.now)
  store.close()
  expect(rust(scratch.path(), ddl)).toEqual(before)
})

test("what we write, the Rust project reads: plain tokens and times in its own form", () => {
  using scratch = new Scratch()
  const { store, clock } = open(scratch.path())
  store.source("codex").adopt(null, tokens("a"), who("a", { plan: "plus" }), clock.now)
  store.source("geminicli").adopt(null, tokens("b"), who("b", { plan: "standard-tier" }), clock.now)
  store.close()
  const row = rust(scratch.path(), (db) => db.query("SELECT * FROM codex").get())
  expect(row).toEqual({
    id: 1,
    email: "a@example.test",
    sub: "sub-a",
    account_id: "account-a",
    refresh_token: "refresh-a",
    access_token: "access-a",
    expiry: "2026-06-01T13:00:00+00:00",
    chatgpt_plan_type: "plus",
    status: 1,
    created_at: "2026-06-01T12:00:00+00:00",
    updated_at: "2026-06-01T12:00:00+00:00",
  })
  const again = open(scratch.path())
  expect(again.store.source("geminicli").read(1)?.identity.plan).toBe("standard-tier")
  again.store.close()
})

test("what we knew of a credential is dropped when the Rust program has written it since", () => {
  using scratch = new Scratch()
  makeRustDatabase(scratch.path())
  const first = open(scratch.path())
  const source = first.store.source("codex")
  source.note(1, { set: "cooldown", cooldown }, first.clock.now)
  source.note(1, { set: "mark", mark: { model: "m", until: 9e12 } }, first.clock.now)
  source.note(1, { set: "refresh_dead", reason: "invalid_grant" }, first.clock.now)
  source.intend(1, first.clock.now)
  source.note(1, { set: "standing", standing: parked }, first.clock.now)
  first.store.close()

  rust(scratch.path(), (db) =>
    rustPatch(db, "codex", 1, { refreshToken: "rust-c1-next" }, "2026-07-01T00:00:00.000000001+00:00"),
  )
  const second = open(scratch.path())
  const reopened = second.store.source("codex")
  expect(reopened.load()).toMatchObject([
    {
      refreshToken: "rust-c1-next",
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: [],
      marks: [],
      intentAt: null,
    },
  ])
  // The token that the Rust program spent is known as spent, too.
  expect(reopened.addSeeds([{ refreshToken: "rust-c1", account: null }], second.clock.now)).toMatchObject([
    { kind: "known", credential: 1 },
  ])
  expect(second.lines).toContainEqual(expect.objectContaining({ event: expect.stringContaining("another program") }))
  second.store.close()
})

test("what we knew of a credential stays when only we have written it", () => {
  using scratch = new Scratch()
  makeRustDatabase(scratch.path())
  const first = open(scratch.path())
  const source = first.store.source("codex")
  source.note(1, { set: "cooldown", cooldown }, first.clock.now)
  source.rotate(1, "rust-c1", tokens("next"), null, first.clock.now + 1000)
  source.note(1, { set: "standing", standing: parked }, first.clock.now + 2000)
  first.store.close()
  rust(scratch.path(), () => {})
  const second = open(scratch.path())
  expect(second.store.source("codex").load()).toMatchObject([{ standing: parked, cooldowns: [cooldown] }])
  second.store.close()
})

const parked: Standing = {
  kind: "parked",
  reason: "needs_verification",
  detail: "Google asks for a verification.",
  url: "https://accounts.example.test/verify",
  since: 1,
  until: null,
  strikes: 2,
}

test("the Rust program's status has the last word", () => {
  using scratch = new Scratch()
  makeRustDatabase(scratch.path())
  const first = open(scratch.path())
  const source = first.store.source("geminicli")
  source.note(
    1,
    { set: "standing", standing: { kind: "banned", reason: "tos", detail: "d", since: 5 } },
    first.clock.now,
  )
  source.note(2, { set: "standing", standing: { kind: "active" } }, first.clock.now)
  first.store.close()
  rust(scratch.path(), (db) => {
    expect(db.query("SELECT id, status FROM gemini_cli ORDER BY id").all()).toEqual([
      { id: 1, status: 0 },
      { id: 2, status: 1 },
    ])
    // A person with a shell, who leaves updated_at alone.
    db.run("UPDATE gemini_cli SET status = 1 - status")
  })
  const second = open(scratch.path())
  expect(
    second.store
      .source("geminicli")
      .load()
      .map(({ standing }) => standing.kind),
  ).toEqual(["active", "disabled"])
  second.store.close()
})

test("a credential that the Rust program added or deleted is found or forgotten", () => {
  using scratch = new Scratch()
  makeRustDatabase(scratch.path())
  const first = open(scratch.path())
  first.store.source("codex").note(1, { set: "cooldown", cooldown }, first.clock.now)
  first.store.close()
  rust(scratch.path(), (db) => {
    db.run("DELETE FROM codex")
    db.run(`INSERT INTO codex (id, sub, account_id, refresh_token, access_token, expiry, created_at, updated_at)
            VALUES (1, 'c9', 'a9', 'rust-c9', '', 'soon', 'x', '2026-07-01T00:00:00.1+00:00')`)
  })
  const second = open(scratch.path())
  const [only] = second.store.source("codex").load()
  // An expiry that is no time counts as long past, an empty access token as none.
  expect(only).toMatchObject({ identity: { sub: "c9" }, cooldowns: [], accessToken: null, expiresAt: 0 })
  expect(second.lines).toContainEqual(expect.objectContaining({ level: "warn", fields: { credential: 1 } }))
  second.store.close()
  rust(scratch.path(), (db) => db.run("DELETE FROM codex"))
  const third = open(scratch.path())
  expect(third.store.source("codex").load()).toEqual([])
  third.store.close()
})
