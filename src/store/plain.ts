/**
 * SQL that is written out, with the schema's names put in: for what each start asks. The typed builder takes some 0.3 milliseconds of
 * a process that has just begun for each query, as much again of the compiler's thread, and builds each row by columns; with this a
 * row is what the database gives.
 */
import { type GetColumnData, getTableName } from "drizzle-orm"
import { SQLiteColumn, type SQLiteTable } from "drizzle-orm/sqlite-core"
import type { Connection } from "./connection.ts"

/** Columns by what they are called in a row; null for one that the table does not have. */
type Columns = Readonly<Record<string, SQLiteColumn | null>>

/** A row as the database gives it: a boolean is 0 or 1. */
type Scanned<C extends Columns> = { readonly [Name in keyof C]: Value<C[Name]> }
type Value<C> = C extends SQLiteColumn ? (GetColumnData<C> extends boolean ? number : GetColumnData<C>) : null

/** SQL text with tables and columns by their quoted names. Values are never put in: they are bound to `?`. */
export function plain(
  strings: TemplateStringsArray,
  ...parts: readonly (SQLiteTable | SQLiteColumn | number)[]
): string {
  return String.raw({ raw: strings }, ...parts.map(shown))
}

function shown(part: SQLiteTable | SQLiteColumn | number): string {
  if (typeof part === "number") return String(part)
  return `"${part instanceof SQLiteColumn ? part.name : getTableName(part)}"`
}

/** The named columns of all rows that `rest` (what follows FROM) leaves. */
export function scan<C extends Columns>(
  connection: Connection,
  columns: C,
  rest: string,
  ...values: readonly (string | number)[]
): Scanned<C>[] {
  const list = Object.entries(columns).map(
    ([name, column]) => `${column === null ? "NULL" : `"${column.name}"`} AS "${name}"`,
  )
  return connection.rows<Scanned<C>>(`SELECT ${list.join(", ")} FROM ${rest}`, ...values)
}
