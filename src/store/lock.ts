import { Database } from "bun:sqlite"
import { Exit, StoreError, storeError } from "./error.ts"
import { createPrivate } from "./files.ts"

/**
 * Claims the database for this process by an exclusive transaction on `PATH.lock`, which the system ends with the process,
 * however it dies. Two processes on one database would spend the same refresh token and lose its family.
 * @returns what gives the claim up
 * @throws StoreError with exit code 75 when another process has it
 */
export function claim(path: string): () => void {
  const file = `${path}.lock`
  createPrivate(file)
  let lock: Database | null = null
  try {
    lock = new Database(file)
    lock.run("PRAGMA busy_timeout = 0")
    // Nothing is ever written, so no journal is needed beside it.
    lock.run("PRAGMA journal_mode = MEMORY")
    lock.run("BEGIN EXCLUSIVE")
  } catch (error) {
    lock?.close(true)
    const failure = storeError(error, file)
    if (failure.exitCode !== Exit.tempFail) throw failure
    throw new StoreError(
      `another Pollux uses the database ${path} (it holds ${file}): stop it first, or give this one its own basic.database_url`,
      Exit.tempFail,
      failure.code,
    )
  }
  const held = lock
  return () => {
    if (held.inTransaction) held.run("ROLLBACK")
    held.close(true)
  }
}
