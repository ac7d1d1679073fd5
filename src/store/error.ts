/** Exit codes of sysexits.h, as far as the store's failures need them. */
export const Exit = {
  /** The data is not what it should be: corrupt, not a database, from a newer version. */
  dataError: 65,
  internal: 70,
  cannotCreate: 73,
  ioError: 74,
  /** Try again later: another process holds the database. */
  tempFail: 75,
  noPermission: 77,
  config: 78,
} as const

/** What went wrong with the database, where, and what to do: one sentence or two for people, free of secrets. */
export class StoreError extends Error {
  override readonly name = "StoreError"
  /** What the process exits with when this happens at start. */
  readonly exitCode: number
  /** The database's own code, e.g. `SQLITE_FULL`, or null. */
  readonly code: string | null

  constructor(message: string, exitCode: number, code: string | null = null) {
    super(message)
    this.exitCode = exitCode
    this.code = code
  }
}

interface Cure {
  readonly exitCode: number
  readonly what: string
  readonly cure: string
}

const CORRUPT: Cure = {
  exitCode: Exit.dataError,
  what: "is damaged",
  cure: "restore a backup, or save what can be saved with `sqlite3 FILE .recover`",
}

/** By primary result code (sqlite.org/rescode.html). */
const CURES: Readonly<Record<string, Cure>> = {
  SQLITE_BUSY: {
    exitCode: Exit.tempFail,
    what: "is locked by another program",
    cure: "close what has it open (an sqlite3 shell, a backup); it is tried again by itself",
  },
  SQLITE_FULL: { exitCode: Exit.ioError, what: "cannot grow: the disk is full", cure: "free some space" },
  SQLITE_IOERR: {
    exitCode: Exit.ioError,
    what: "cannot be read or written",
    cure: "check the disk, the file system and the free space",
  },
  SQLITE_READONLY: {
    exitCode: Exit.cannotCreate,
    what: "is read-only",
    cure: "make the file and its directory writable for the user that runs Pollux",
  },
  SQLITE_CANTOPEN: {
    exitCode: Exit.cannotCreate,
    what: "cannot be opened or created",
    cure: "check that its directory exists and is writable for the user that runs Pollux",
  },
  SQLITE_CORRUPT: CORRUPT,
  SQLITE_NOTADB: {
    exitCode: Exit.dataError,
    what: "is not an SQLite database",
    cure: "point basic.database_url at the right file, or move this one away",
  },
  SQLITE_PERM: { exitCode: Exit.noPermission, what: "may not be accessed", cure: "check the file's owner and mode" },
}

/** The database's own error inside what a library wrapped round it. */
function innermost(error: unknown): { code: string; message: string } | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string" && at.code.startsWith("SQLITE_")) {
      return { code: at.code, message: at.message }
    }
  }
  return null
}

/**
 * Any failure of a database call as a StoreError. The original is dropped on purpose: query builders put the parameters,
 * and with them tokens, into their messages.
 */
export function storeError(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error
  const inner = innermost(error)
  if (inner === null) {
    const kind = error instanceof Error ? error.name : typeof error
    return new StoreError(`database ${path}: internal failure (${kind})`, Exit.internal)
  }
  const primary = Object.keys(CURES).find((code) => inner.code === code || inner.code.startsWith(`${code}_`))
  const cure = primary === undefined ? undefined : CURES[primary]
  if (cure === undefined)
    return new StoreError(`database ${path}: ${inner.message} (${inner.code})`, Exit.internal, inner.code)
  return new StoreError(`database ${path} ${cure.what} (${inner.code}): ${cure.cure}`, cure.exitCode, inner.code)
}

/** What a damaged database is called when its own check, and not a failing query, has found it. */
export const damaged = (path: string): StoreError => {
  const { what, cure, exitCode } = CORRUPT
  return new StoreError(`database ${path} ${what}: ${cure}`, exitCode, "SQLITE_CORRUPT")
}

/** Any failure to open a database: what the schema's own statements cannot be run on is another program's. */
export function openingError(error: unknown, path: string): StoreError {
  const failure = storeError(error, path)
  if (failure.code !== "SQLITE_ERROR") return failure
  const cure = "another program's database? point basic.database_url at the right file, or move this one away"
  return new StoreError(`${failure.message}: ${cure}`, Exit.dataError, failure.code)
}
