import { Database } from "bun:sqlite"
import { realpathSync } from "node:fs"
import type { Clock } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { createCipher, Vault } from "./cipher.ts"
import { Connection } from "./connection.ts"
import { damaged, Exit, openingError, StoreError } from "./error.ts"
import { createPrivate, warnIfShared } from "./files.ts"
import { claim } from "./lock.ts"
import { migrate } from "./migrate.ts"
import { reconcile } from "./reconcile.ts"
import { reseal } from "./reseal.ts"
import { descriptors } from "./schema.ts"
import { Source } from "./source.ts"
import { createTables } from "./tables.ts"
import { SqlUsageLedger, type UsageLedger } from "./usage.ts"

/** A database that ends with the process, for tests. */
export const IN_MEMORY = ":memory:"

/** How long opening waits for another program that has the database locked, in milliseconds. */
const OPENING_PATIENCE_MS = 5000

/** Some 40 ms of checking. */
const LARGEST_INSPECTED_BYTES = 32 * 1024 * 1024

/** What remains of the write-ahead log's file after a checkpoint. */
const LONGEST_LOG_BYTES = 16 * 1024 * 1024

export interface StoreOptions {
  /** Path of the file, relative to the working directory; made if it is not there. */
  readonly path: string
  readonly clock: Clock
  readonly log: Log
  /** Key for tokens at rest (64 hex digits or base64 of 32 bytes), or null: plain. */
  readonly encryptionKey: string | null
  /** Keys that stored tokens may still be under; they are written anew under `encryptionKey` (plain when that is null). */
  readonly previousKeys?: readonly string[]
}

export interface Store {
  /** The credentials of one provider. @throws StoreError for a provider that the database does not know */
  source(provider: string): Source
  readonly usage: UsageLedger
  /** Why the last write failed, for readiness; null while writes work. */
  trouble(): string | null
  /**
   * Writes every stored token anew under another key, or plain when it is null; from then on it is the key in use.
   * @returns how many values were written
   * @throws StoreError with exit code 78 for a malformed key; the old one then stays in use
   */
  reencrypt(newKey: string | null): number
  /** Gives the database up for another process. */
  close(): void
}

/**
 * Opens the database, brings its schema up to date, and claims it for this process.
 * @throws StoreError: what is wrong, what to do, and the exit code for it
 */
export function openStore(options: StoreOptions): Store {
  const { path, log } = options
  const cipher = createCipher(options.encryptionKey)
  const previous = (options.previousKeys ?? []).map(createCipher)
  if (path === IN_MEMORY) return assemble(new Database(IN_MEMORY), () => {})

  createPrivate(path)
  const release = claim(resolved(path))
  let client: Database | null = null
  try {
    client = new Database(path, { readwrite: true })
    const store = assemble(client, release)
    warnIfShared(path, log)
    return store
  } catch (error) {
    client?.close(true)
    release()
    throw openingError(error, path)
  }

  function assemble(client: Database, release: () => void): Store {
    const vault = new Vault(cipher)
    const connection = new Connection(client, path, options.clock, configure(client, path, log))
    inspect(client, path)
    const applied = connection.write("migrate", "synced", () => migrate(client, path))
    if (applied > 0) log.info("database schema brought up to date", { database: path, migrations: applied })
    if (reseal(connection, cipher, previous) > 0) scrub(connection, log)

    const now = options.clock.wall()
    const sources = new Map<string, Source>()
    for (const descriptor of descriptors) {
      const tables = createTables(connection, descriptor, vault)
      const { found, changed, orphaned } = connection.write("reconcile", "synced", () => reconcile(tables, now))
      if (changed + orphaned > 0) {
        log.info("credentials were changed by another program; what was known about them is dropped", {
          provider: descriptor.provider,
          found,
          changed,
          removed: orphaned,
        })
      }
      const source = new Source(connection, tables, log)
      source.prune(now)
      sources.set(descriptor.provider, source)
    }
    connection.serve()

    return {
      source(provider) {
        const source = sources.get(provider)
        if (source === undefined)
          throw new StoreError(`the database has no table for provider ${provider}`, Exit.internal)
        return source
      },
      usage: new SqlUsageLedger(connection),
      trouble: () => connection.trouble(),
      reencrypt(newKey) {
        const next = createCipher(newKey)
        const count = reseal(connection, next, [vault.cipher])
        vault.cipher = next
        scrub(connection, log)
        return count
      },
      close() {
        connection.close()
        release()
      },
    }
  }
}

/** The file itself, so that two names for it make one claim. */
function resolved(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/**
 * WAL, so that a reader (a backup, a shell) never stops us. Freed pages are zeroed, so that a token that was replaced or
 * wiped is nowhere in the file, nor in a temporary one. @returns whether there is a write-ahead log
 */
function configure(client: Database, path: string, log: Log): boolean {
  client.run(`PRAGMA busy_timeout = ${OPENING_PATIENCE_MS}`)
  client.run("PRAGMA foreign_keys = ON")
  client.run("PRAGMA secure_delete = ON")
  client.run("PRAGMA temp_store = MEMORY")
  client.run(`PRAGMA journal_size_limit = ${LONGEST_LOG_BYTES}`)
  const row: unknown = client.query("PRAGMA journal_mode = WAL").get()
  const mode = typeof row === "object" && row !== null && "journal_mode" in row ? row.journal_mode : null
  const logged = mode === "wal" || path === IN_MEMORY
  if (!logged) {
    log.warn("the database cannot use a write-ahead log here (a network file system?); it works, but slower", {
      database: path,
      mode: String(mode),
    })
  }
  return logged
}

/**
 * Looks for damage while there is someone at the terminal to tell, unless the file is so large that this would delay the start.
 * @throws StoreError with exit code 65
 */
function inspect(client: Database, path: string): void {
  const size: unknown = client
    .query("SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size")
    .get()
  const bytes = typeof size === "object" && size !== null && "bytes" in size ? Number(size.bytes) : 0
  if (bytes > LARGEST_INSPECTED_BYTES) return
  const answer: unknown = client.query("PRAGMA quick_check(1)").get()
  const verdict = typeof answer === "object" && answer !== null && "quick_check" in answer ? answer.quick_check : null
  if (verdict !== "ok") throw damaged(path)
}

/** Takes replaced values out of the file's free pages and its log; the values in use are safe already, so a failure is only told. */
function scrub(connection: Connection, log: Log): void {
  try {
    connection.scrub()
  } catch (error) {
    log.warn("old values may still be in unused parts of the database file; run VACUUM on it", {
      reason: error instanceof Error ? error.message : "unknown",
    })
  }
}
