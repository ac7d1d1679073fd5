import type { Database } from "bun:sqlite"
import { sql } from "drizzle-orm"
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite"
import type { Clock } from "../observe/clock.ts"
import { storeError } from "./error.ts"
import { excluded } from "./expressions.ts"
import { fault } from "./fault.ts"
import { probe } from "./schema.ts"

/**
 * What a write must outlive. `synced`: a power cut, since the log is flushed to the disk before the call returns (measured: 0.2 ms
 * on a local disk, more on a slow one). `relaxed`: the death of the process, as by kill -9, but a power cut can take the last moments
 * (measured: 5 microseconds). Either way a transaction is there in full or not at all, and a synced one brings the relaxed ones
 * before it to the disk with it.
 *
 * Writes that carry tokens, or end with a promise to an operator, are synced; the rest, which come in storms and can be learned anew
 * from the upstream, would at FULL stop the event loop for their sum.
 */
export type Durability = "synced" | "relaxed"

/** The writes, each of which has the fault points `NAME.begin`, `NAME.before_commit` and `NAME.after_commit`. */
export const WRITES = [
  "migrate",
  "reconcile",
  "encrypt",
  "seeds",
  "seed_intent",
  "seed_held",
  "seed_failed",
  "adopt",
  "intend",
  "rotate",
  "note",
  "flush",
  "remove",
  "usage",
  "prune",
  "probe",
] as const

export type WriteName = (typeof WRITES)[number]

/**
 * How long a write waits for another program's lock while serving, in milliseconds: the event loop stands still for as long.
 * While the database is in trouble writes do not wait at all, so that a long lock costs one such pause and not one for each write.
 */
const PATIENCE_MS = 250

/** How often a database that failed is asked whether it can be written again. */
const PROBE_EVERY_MS = 1000

/** The one connection: typed queries, transactions, and what is known about the database's health. */
export class Connection {
  readonly path: string
  readonly clock: Clock
  readonly #client: Database
  /** Made when it is asked for: a start asks by written-out SQL. */
  #db: BunSQLiteDatabase | null = null
  readonly #logged: boolean
  #serving = false
  #patience: number | null = null
  #durability: Durability | null = null
  #trouble: string | null = null
  #probedAt = 0
  #probe: ReturnType<typeof prepareProbe> | null = null

  /** @param logged whether there is a write-ahead log: without one, an unsynced write could damage the file in a power cut */
  constructor(client: Database, path: string, clock: Clock, logged: boolean) {
    this.#client = client
    this.path = path
    this.clock = clock
    this.#logged = logged
  }

  get db(): BunSQLiteDatabase {
    this.#db ??= drizzle(this.#client)
    return this.#db
  }

  /** The schema is in place. From now on waits for foreign locks are short; while opening they may be long. */
  serve(): void {
    this.#serving = true
  }

  /**
   * Runs `work` in one transaction.
   * @throws StoreError when it could not be committed; then nothing was written.
   */
  write<T>(name: WriteName, durability: Durability, work: () => T): T {
    try {
      const result = this.#transaction(name, durability, work)
      this.#trouble = null
      return result
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** Runs queries. @throws StoreError, never what a library made of it: that can carry tokens. */
  read<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw storeError(error, this.path)
    }
  }

  /** All rows that written-out SQL gives, within `read` or `write`. */
  rows<Row>(text: string, ...values: readonly (string | number)[]): Row[] {
    return this.#client.query<Row, (string | number)[]>(text).all(...values)
  }

  /** Runs written-out SQL that gives no rows, within `write`. */
  run(text: string, ...values: readonly (string | number)[]): void {
    this.#client.query<unknown, (string | number)[]>(text).run(...values)
  }

  /**
   * Why the last write failed, or null while writes work. After a failure it tries a small write now and then, since without
   * traffic there may be no other that would show that the database has recovered.
   */
  trouble(): string | null {
    if (this.#trouble === null || this.clock.mono() - this.#probedAt < PROBE_EVERY_MS) return this.#trouble
    this.#probedAt = this.clock.mono()
    try {
      this.#probe ??= prepareProbe(this.db)
      const query = this.#probe
      this.#transaction("probe", "synced", () => query.run({ at: this.clock.wall() }))
      this.#trouble = null
    } catch (error) {
      this.#trouble = storeError(error, this.path).message
    }
    return this.#trouble
  }

  close(): void {
    try {
      this.#client.run("PRAGMA wal_checkpoint(TRUNCATE)")
    } catch {
      // A log that stays is read again at the next start.
    }
    this.#client.close(true)
  }

  /** Empties the write-ahead log and rewrites the file without its free pages, so that replaced secrets are nowhere in it. */
  scrub(): void {
    this.read(() => {
      this.#client.run("VACUUM")
      this.#client.run("PRAGMA wal_checkpoint(TRUNCATE)")
    })
  }

  #transaction<T>(name: WriteName, durability: Durability, work: () => T): T {
    // Only a failed rollback can have left one open; what it wrote must not be committed with this one.
    if (this.#client.inTransaction) this.#client.run("ROLLBACK")
    this.#setDurability(this.#logged ? durability : "synced")
    if (this.#serving) this.#setPatience(this.#trouble === null ? PATIENCE_MS : 0)
    fault(`${name}.begin`)
    this.#client.run("BEGIN IMMEDIATE")
    try {
      const result = work()
      fault(`${name}.before_commit`)
      this.#client.run("COMMIT")
      fault(`${name}.after_commit`)
      return result
    } catch (error) {
      // Some failures (a full disk) have rolled it back already.
      if (this.#client.inTransaction) this.#client.run("ROLLBACK")
      throw error
    }
  }

  /** SQLite takes this setting only outside of a transaction; it costs under a microsecond. */
  #setDurability(durability: Durability): void {
    if (this.#durability === durability) return
    this.#client.run(`PRAGMA synchronous = ${durability === "synced" ? "FULL" : "NORMAL"}`)
    this.#durability = durability
  }

  #setPatience(ms: number): void {
    if (this.#patience === ms) return
    this.#client.run(`PRAGMA busy_timeout = ${ms}`)
    this.#patience = ms
  }

  #failed(error: unknown): Error {
    const failure = storeError(error, this.path)
    if (failure.code !== null) {
      this.#trouble = failure.message
      this.#probedAt = this.clock.mono()
    }
    return failure
  }
}

const prepareProbe = (db: BunSQLiteDatabase) =>
  db
    .insert(probe)
    .values({ id: 1, at: sql.placeholder("at") })
    .onConflictDoUpdate({ target: probe.id, set: { at: excluded(probe.at) } })
    .prepare()
