import { and, eq, max, sql } from "drizzle-orm"
import type { Vault } from "./cipher.ts"
import type { Connection } from "./connection.ts"
import { given } from "./expressions.ts"
import { once, onDemand } from "./on-demand.ts"
import { plain, scan } from "./plain.ts"
import { formatTime } from "./rfc3339.ts"
import {
  type CredentialTable,
  cooldowns,
  type Descriptor,
  idFloors,
  modelMarks,
  quotas,
  refreshIntents,
  states,
} from "./schema.ts"
import type { Identity, TokenSet } from "./types.ts"

/** A credential row with its tokens opened. */
export interface Row {
  readonly id: number
  readonly email: string | null
  readonly sub: string
  readonly account: string
  readonly refreshToken: string
  readonly accessToken: string | null
  readonly expiry: string
  readonly status: number
  /** Null as well when the credential table has no place for it. */
  readonly plan: string | null
  readonly updatedAt: string
}

const { placeholder } = sql

/** The rows of one provider's credential table. Methods that write must run inside a transaction. */
export class Credentials {
  readonly #connection: Connection
  readonly #descriptor: Descriptor
  readonly #vault: Vault
  readonly #queries: () => ReturnType<typeof prepare>

  constructor(connection: Connection, descriptor: Descriptor, vault: Vault) {
    this.#connection = connection
    this.#descriptor = descriptor
    this.#vault = vault
    this.#queries = once(() => prepare(connection, descriptor))
  }

  all(): Row[] {
    const { table, plan } = this.#descriptor
    const columns = { ...columnsOf(table), plan: plan?.plan ?? null }
    const rows: Row[] = scan(this.#connection, columns, plain`${table} ORDER BY ${table.id}`)
    return rows.map((row) => this.#opened(row))
  }

  /** Ids of rows without a state row, or with one that has not seen them as they are. */
  unwitnessed(): number[] {
    const { table, provider } = this.#descriptor
    const text = plain`SELECT ${table}.${table.id} AS "id" FROM ${table} LEFT JOIN ${states}
      ON ${states.provider} = ?1 AND ${states.credential} = ${table}.${table.id}
      WHERE ${states.witness} IS NOT ${table}.${table.updatedAt} ORDER BY ${table}.${table.id}`
    return this.#connection.rows<{ readonly id: number }>(text, provider).map(({ id }) => id)
  }

  /** Ids that something is stored about and that no row has. */
  missing(): number[] {
    const { table, provider } = this.#descriptor
    const subjects = [states, cooldowns, modelMarks, quotas, refreshIntents]
      .map((about) => plain`SELECT ${about.credential} AS "id" FROM ${about} WHERE ${about.provider} = ?1`)
      .join(" UNION ")
    const text = `SELECT "id" FROM (${subjects}) WHERE "id" NOT IN (${plain`SELECT ${table.id} FROM ${table}`})`
    return this.#connection.rows<{ readonly id: number }>(text, provider).map(({ id }) => id)
  }

  get(id: number): Row | null {
    const row = this.#queries().byId.get({ id })
    return row === undefined ? null : this.#opened(row)
  }

  find(sub: string, account: string): Row | null {
    const row = this.#queries().byIdentity.get({ sub, account })
    return row === undefined ? null : this.#opened(row)
  }

  exists(id: number): boolean {
    return this.#queries().exists.get({ id }) !== undefined
  }

  /** A new row in rotation, its plan not set yet. @returns its id, which no row had before */
  insert(who: Identity, tokens: TokenSet, now: number): number {
    const highest = this.#queries().highest.get()?.id ?? 0
    const floor = this.#queries().floor.get()?.floor ?? 0
    const id = Math.max(highest, floor) + 1
    const at = formatTime(now)
    const cells = this.#sealed(who, tokens)
    this.#queries().insert.run({ id, ...cells, email: who.email, at })
    return id
  }

  /** New tokens, and identity where it is given; a null e-mail leaves the one that is known. The plan is set apart. */
  update(row: Row, who: Partial<Identity>, tokens: TokenSet, status: number, now: number): void {
    const sub = who.sub ?? row.sub
    const account = who.account ?? row.account
    const cells = this.#sealed({ sub, account }, tokens)
    this.#queries().update.run({ id: row.id, ...cells, email: who.email ?? row.email, status, at: formatTime(now) })
  }

  setStatus(id: number, status: 0 | 1, now: number): void {
    this.#queries().setStatus.run({ id, status, at: formatTime(now) })
  }

  /** @returns false when this table has no place for plans */
  setPlan(id: number, plan: string): boolean {
    this.#queries().setPlan?.run({ id, plan })
    return this.#queries().setPlan !== null
  }

  /** Deletes the row and keeps its id from being given out again. */
  remove(id: number): void {
    this.#queries().remove.run({ id })
    this.#queries().raiseFloor.run({ floor: id })
  }

  #cell(column: string, who: { readonly sub: string; readonly account: string }) {
    return { table: this.#descriptor.name, column, row: [who.sub, who.account] }
  }

  #sealed(who: { readonly sub: string; readonly account: string }, tokens: TokenSet) {
    return {
      sub: who.sub,
      account: who.account,
      refreshToken: this.#vault.seal(tokens.refreshToken, this.#cell("refresh_token", who)),
      accessToken: this.#vault.seal(tokens.accessToken, this.#cell("access_token", who)),
      expiry: formatTime(tokens.expiresAt),
    }
  }

  #opened(row: Row): Row {
    const refreshToken = this.#vault.open(row.refreshToken, this.#cell("refresh_token", row))
    // The Rust program writes an empty text where one table may not hold NULL.
    const accessToken =
      row.accessToken === null || row.accessToken === ""
        ? null
        : this.#vault.open(row.accessToken, this.#cell("access_token", row))
    // Plain ones are what they were.
    if (refreshToken === row.refreshToken && accessToken === row.accessToken) return row
    return { ...row, refreshToken, accessToken }
  }
}

const columnsOf = (table: CredentialTable) => ({
  id: table.id,
  email: table.email,
  sub: table.sub,
  account: table.account,
  refreshToken: table.refreshToken,
  accessToken: table.accessToken,
  expiry: table.expiry,
  status: table.status,
  updatedAt: table.updatedAt,
})

function prepare({ db }: Connection, { provider, table, plan }: Descriptor) {
  const columns = { ...columnsOf(table), plan: plan === null ? sql<string | null>`NULL` : plan.plan }
  const byId = eq(table.id, placeholder("id"))
  return onDemand({
    byId: () => db.select(columns).from(table).where(byId).prepare(),
    byIdentity: () =>
      db
        .select(columns)
        .from(table)
        .where(and(eq(table.sub, placeholder("sub")), eq(table.account, placeholder("account"))))
        .prepare(),
    exists: () => db.select({ id: table.id }).from(table).where(byId).prepare(),
    highest: () =>
      db
        .select({ id: max(table.id) })
        .from(table)
        .prepare(),
    floor: () => db.select({ floor: idFloors.floor }).from(idFloors).where(eq(idFloors.provider, provider)).prepare(),
    insert: () =>
      db
        .insert(table)
        .values({
          id: placeholder("id"),
          email: placeholder("email"),
          sub: placeholder("sub"),
          account: placeholder("account"),
          refreshToken: placeholder("refreshToken"),
          accessToken: placeholder("accessToken"),
          expiry: placeholder("expiry"),
          status: 1,
          createdAt: placeholder("at"),
          updatedAt: placeholder("at"),
        })
        .prepare(),
    update: () =>
      db
        .update(table)
        .set({
          email: given("email"),
          sub: given("sub"),
          account: given("account"),
          refreshToken: given("refreshToken"),
          accessToken: given("accessToken"),
          expiry: given("expiry"),
          status: given("status"),
          updatedAt: given("at"),
        })
        .where(byId)
        .prepare(),
    setStatus: () =>
      db
        .update(table)
        .set({ status: given("status"), updatedAt: given("at") })
        .where(byId)
        .prepare(),
    setPlan: () =>
      plan === null
        ? null
        : db
            .update(plan)
            .set({ plan: given("plan") })
            .where(eq(plan.id, placeholder("id")))
            .prepare(),
    remove: () => db.delete(table).where(byId).prepare(),
    raiseFloor: () =>
      db
        .insert(idFloors)
        .values({ provider, floor: placeholder("floor") })
        .onConflictDoUpdate({ target: idFloors.provider, set: { floor: sql`max(${idFloors.floor}, excluded.floor)` } })
        .prepare(),
  })
}
