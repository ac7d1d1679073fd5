import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { migrate, migrations } from "../../src/store/migrate.ts"
import { open, Scratch } from "./support.ts"

const FOLDER = join(import.meta.dir, "../../src/store/migrations")

describe("migrations", () => {
  test("all that drizzle-kit wrote are embedded, in its order", async () => {
    const journal: { entries: { tag: string }[] } = await Bun.file(join(FOLDER, "meta/_journal.json")).json()
    expect(migrations.map(({ tag }) => tag)).toEqual(journal.entries.map(({ tag }) => tag))
    const files = readdirSync(FOLDER).filter((name) => name.endsWith(".sql"))
    expect(files.sort()).toEqual(migrations.map(({ tag }) => `${tag}.sql`).sort())
    for (const { tag, sql } of migrations) expect(sql).toBe(await Bun.file(join(FOLDER, `${tag}.sql`)).text())
  })

  test("the schema says what the migrations made, column for column", async () => {
    const { is } = await import("drizzle-orm")
    const { getTableConfig, SQLiteTable } = await import("drizzle-orm/sqlite-core")
    const schema = await import("../../src/store/schema.ts")
    const db = new Database(":memory:")
    migrate(db, ":memory:")
    const tables = [
      ...Object.values(schema).filter((value) => is(value, SQLiteTable)),
      ...schema.descriptors.flatMap(({ table, plan }) => (plan === null ? [table] : [table, plan])),
    ]
    expect(tables).toHaveLength(11 + 3)
    for (const table of tables) {
      const { name, columns, primaryKeys } = getTableConfig(table)
      const found = db
        .query<{ name: string; type: string; required: number; pk: number }, []>(
          `SELECT name, lower(type) AS type, "notnull" AS required, pk FROM pragma_table_info('${name}')`,
        )
        .all()
      for (const column of columns) {
        const there = found.find((row) => row.name === column.name)
        expect({ name, column: column.name, type: there?.type }).toEqual({
          name,
          column: column.name,
          type: column.getSQLType(),
        })
      }
      const keys = primaryKeys.flatMap((key) => key.columns.map((column) => column.name))
      const keyColumns =
        keys.length > 0 ? keys : columns.filter((column) => column.primary).map((column) => column.name)
      expect(
        found
          .filter(({ pk }) => pk > 0)
          .map((row) => row.name)
          .sort(),
      ).toEqual(keyColumns.sort())
    }
    db.close(true)
  })

  test("are applied once", () => {
    using scratch = new Scratch()
    const first = open(scratch.path())
    first.store.close()
    expect(first.lines).toEqual([
      {
        level: "info",
        event: "database schema brought up to date",
        fields: { database: scratch.path(), migrations: migrations.length },
      },
    ])
    const second = open(scratch.path())
    second.store.close()
    expect(second.lines).toEqual([])
  })
})

test("a compiled executable carries its migrations, wherever it is started", async () => {
  using scratch = new Scratch()
  const built = Bun.spawnSync(
    [
      ...[process.execPath, "build", "--compile", "--minify", "--bytecode", "--format=esm"],
      ...[
        "--define",
        "POLLUX_FAULTS=false",
        join(import.meta.dir, "child/open.ts"),
        "--outfile",
        scratch.path("program"),
      ],
    ],
    { cwd: join(import.meta.dir, "../.."), stderr: "pipe" },
  )
  expect(built.stderr.toString()).not.toContain("error")
  expect(built.exitCode).toBe(0)
  for (const expected of [0, 0]) {
    const ran = Bun.spawnSync([scratch.path("program"), scratch.path()], { cwd: "/", stdout: "pipe", stderr: "pipe" })
    expect({ out: ran.stdout.toString(), err: ran.stderr.toString(), code: ran.exitCode }).toEqual({
      out: "opened\n",
      err: "",
      code: expected,
    })
  }
  const db = new Database(scratch.path(), { readonly: true })
  expect(db.query("PRAGMA user_version").get()).toEqual({ user_version: migrations.length })
  db.close(true)
  // A release does not even contain the points at which a test build can be told to die.
  expect(await Bun.file(scratch.path("program")).text()).not.toContain("POLLUX_FAULT")
}, 20_000)
