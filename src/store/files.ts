import { closeSync, openSync, statSync } from "node:fs"
import { dirname } from "node:path"
import type { Log } from "../observe/ports.ts"
import { Exit, StoreError } from "./error.ts"

/** What a database file may be followed by: log, shared memory, and our lock. SQLite gives the first two the mode of the file. */
const COMPANIONS = ["", "-wal", "-shm", ".lock"] as const

/** Reading and writing for the owner alone. */
const PRIVATE = 0o600

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown"

const CANNOT_CREATE: Readonly<Record<string, string>> = {
  ENOENT: "its directory does not exist: create it, or change basic.database_url",
  ENOTDIR: "a part of its path is not a directory: change basic.database_url",
  EISDIR: "it is a directory: name a file in basic.database_url",
  EACCES: "its directory is not writable for the user that runs Pollux: change its owner or mode",
  EPERM: "the system forbids it: check the directory's owner, mode and attributes",
  EROFS: "its file system is read-only: choose another place in basic.database_url, or mount it writable",
  ENOSPC: "the disk is full: free some space",
}

/**
 * Makes the file if it is not there, for its owner alone, whatever the umask.
 * Must not touch a file that this process already has open as a database: closing any descriptor drops the process's locks.
 * @throws StoreError
 */
export function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, "wx", PRIVATE))
  } catch (error) {
    const code = codeOf(error)
    if (code === "EEXIST") return
    const why = CANNOT_CREATE[code] ?? `the system said ${code}`
    const exitCode = code === "ENOSPC" ? Exit.ioError : code === "EACCES" ? Exit.noPermission : Exit.cannotCreate
    throw new StoreError(`cannot create ${path} in ${dirname(path)}: ${why}`, exitCode)
  }
}

/** Warns about files that others on this machine can read or write. */
export function warnIfShared(path: string, log: Log): void {
  if (process.platform === "win32") return
  for (const suffix of COMPANIONS) {
    const mode = modeOf(path + suffix)
    if (mode === null || (mode & 0o077) === 0) continue
    log.warn("the database can be read by other users of this machine", {
      file: path + suffix,
      mode: `0${mode.toString(8)}`,
      cure: `chmod 600 ${path + suffix}`,
    })
  }
}

function modeOf(path: string): number | null {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? null : stat.mode & 0o777
}
