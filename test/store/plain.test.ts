import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { eq } from "drizzle-orm"
import { Connection } from "../../src/store/connection.ts"
import { migrate } from "../../src/store/migrate.ts"
import { plain, scan } from "../../src/store/plain.ts"
import { cooldowns, descriptors } from "../../src/store/schema.ts"
import { HandClock } from "./support.ts"

function open(): Connection {
  const client = new Database(":memory:")
  migrate(client, ":memory:")
  return new Connection(client, ":memory:", new HandClock(), false)
}

describe("written-out SQL", () => {
  test("names tables and columns as the schema does, quoted, and puts in no other text", () => {
    expect(plain`DELETE FROM ${cooldowns} WHERE ${cooldowns.quota} = ? LIMIT ${7}`).toBe(
      'DELETE FROM "cooldowns" WHERE "quota" = ? LIMIT 7',
    )
    for (const { table, name } of descriptors)
      expect(plain`${table}.${table.refreshToken}`).toBe(`"${name}"."refresh_token"`)
  })
})

describe("a scan", () => {
  test("gives the rows that the typed builder gives, but for booleans", () => {
    const connection = open()
    const row = {
      provider: "p",
      credential: 7,
      scope: "*",
      until: 5,
      stated: 6,
      cause: "quota",
      strikes: 2,
      quota: true,
    }
    connection.db.insert(cooldowns).values(row).run()
    connection.db
      .insert(cooldowns)
      .values({ ...row, provider: "q" })
      .run()
    const { credential, scope, until, quota } = cooldowns
    const columns = { credential, scope, until, quota }
    const built = connection.db.select(columns).from(cooldowns).where(eq(cooldowns.provider, "p")).all()
    const scanned = scan(connection, columns, plain`${cooldowns} WHERE ${cooldowns.provider} = ?`, "p")
    expect(built).toEqual([{ credential: 7, scope: "*", until: 5, quota: true }])
    expect(scanned).toEqual([{ credential: 7, scope: "*", until: 5, quota: 1 }])
  })

  test("gives null for a column that a table does not have", () => {
    const connection = open()
    connection.db
      .insert(cooldowns)
      .values({ provider: "p", credential: 1, scope: "s", until: 0, stated: 0, cause: "c", strikes: 0, quota: false })
      .run()
    expect(scan(connection, { scope: cooldowns.scope, plan: null }, plain`${cooldowns}`)).toEqual([
      { scope: "s", plan: null },
    ])
  })

  test("binds values and never takes them for SQL", () => {
    const connection = open()
    const hostile = `x" OR 1 = 1 --`
    expect(
      scan(connection, { scope: cooldowns.scope }, plain`${cooldowns} WHERE ${cooldowns.cause} = ?`, hostile),
    ).toEqual([])
    connection.run(plain`DELETE FROM ${cooldowns} WHERE ${cooldowns.cause} = ?`, hostile)
  })
})
