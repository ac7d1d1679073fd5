import { type SQL, sql } from "drizzle-orm"
import type { SQLiteColumn } from "drizzle-orm/sqlite-core"

/** A value given when a prepared statement is run. */
export const given = (name: string): SQL => sql`${sql.placeholder(name)}`

/** The value that an upsert was given, for `ON CONFLICT DO UPDATE SET`. */
export const excluded = (column: SQLiteColumn): SQL => sql.raw(`excluded."${column.name}"`)
