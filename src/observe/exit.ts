/** One exit code with what it means to whoever started the program. */
export interface ExitCode {
  readonly name: string
  readonly code: number
  readonly meaning: string
}

/**
 * Exit codes of every command, after sysexits.h (BSD) where it has a name for the case; 130 and 143 follow the shell's
 * 128 + signal. The help texts, the README and the commands themselves read this table.
 */
export const EXIT = {
  ok: { name: "OK", code: 0, meaning: "Done; for the server: stopped after a signal, with every stream finished." },
  failed: { name: "FAILED", code: 1, meaning: "Something failed that has no code of its own; the message says what." },
  usage: { name: "EX_USAGE", code: 64, meaning: "The command line is wrong; the message names the argument." },
  data: { name: "EX_DATAERR", code: 65, meaning: "Input that was handed in (a file to import) cannot be used." },
  noInput: { name: "EX_NOINPUT", code: 66, meaning: "A file that was named does not exist or cannot be read." },
  unavailable: {
    name: "EX_UNAVAILABLE",
    code: 69,
    meaning: "The server does not answer, or the address to listen on is taken.",
  },
  software: { name: "EX_SOFTWARE", code: 70, meaning: "A defect in Pollux; the log has the details." },
  cannotCreate: { name: "EX_CANTCREAT", code: 73, meaning: "A file could not be written." },
  ioError: { name: "EX_IOERR", code: 74, meaning: "The database cannot be read or written, or is damaged." },
  tempFail: {
    name: "EX_TEMPFAIL",
    code: 75,
    meaning: "Another Pollux process uses the database; stop it, or try again later.",
  },
  noPermission: {
    name: "EX_NOPERM",
    code: 77,
    meaning: "The key was refused, or a file may not be used by this user.",
  },
  config: { name: "EX_CONFIG", code: 78, meaning: "The configuration is missing or wrong; every problem is listed." },
  interrupted: { name: "SIGINT", code: 130, meaning: "Interrupted before it was done (Ctrl-C, or a second signal)." },
  terminated: { name: "SIGTERM", code: 143, meaning: "Terminated before it was done (a second signal)." },
} as const satisfies Readonly<Record<string, ExitCode>>

/** The table in order of code, for help and documentation. */
export const EXIT_CODES: readonly ExitCode[] = Object.values(EXIT).toSorted((a, b) => a.code - b.code)
