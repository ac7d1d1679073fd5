/** One exit code with what it means to whoever started the program. */
export interface ExitCode {
  readonly code: number
  /** Name in sysexits.h (BSD), or our own where it has none. */
  readonly name: string
  readonly meaning: string
}

/** Exit codes by what happened, for use in code; `EXIT_CODES` explains them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 64,
  badInput: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  io: 74,
  inUse: 75,
  denied: 77,
  config: 78,
  interrupted: 130,
  terminated: 143,
} as const

/** Every exit code, in order, as help and documentation show it; 130 and 143 follow the shell's 128 + signal. */
export const EXIT_CODES: readonly ExitCode[] = [
  { code: EXIT.ok, name: "EX_OK", meaning: "done; for the server: stopped by a signal, with every stream finished" },
  {
    code: EXIT.failure,
    name: "FAILURE",
    meaning: "something failed that has no code of its own; the message says what",
  },
  { code: EXIT.usage, name: "EX_USAGE", meaning: "the command line is wrong; the message names the argument" },
  {
    code: EXIT.badInput,
    name: "EX_DATAERR",
    meaning: "a file to import cannot be used, or the database is damaged, no database, or of a newer version",
  },
  { code: EXIT.noInput, name: "EX_NOINPUT", meaning: "a file that was named does not exist or cannot be read" },
  { code: EXIT.unavailable, name: "EX_UNAVAILABLE", meaning: "the server does not answer, or its address is taken" },
  { code: EXIT.software, name: "EX_SOFTWARE", meaning: "a defect in Pollux; the log has the details" },
  { code: EXIT.cannotCreate, name: "EX_CANTCREAT", meaning: "a file could not be created or written" },
  { code: EXIT.io, name: "EX_IOERR", meaning: "the disk is full, or failed to read or write" },
  {
    code: EXIT.inUse,
    name: "EX_TEMPFAIL",
    meaning: "another Pollux process uses the database; stop it, or try again later",
  },
  { code: EXIT.denied, name: "EX_NOPERM", meaning: "the key was refused, or this user may not use a file" },
  { code: EXIT.config, name: "EX_CONFIG", meaning: "the configuration is missing or wrong; every problem is listed" },
  { code: EXIT.interrupted, name: "SIGINT", meaning: "interrupted before it was done (Ctrl-C, or a second signal)" },
  { code: EXIT.terminated, name: "SIGTERM", meaning: "terminated before it was done (a second signal)" },
]

/** What an exit code means, in words; of an unknown one: the signal that it stands for, if any. */
export function exitMeaning(code: number): string {
  const known = EXIT_CODES.find((entry) => entry.code === code)
  if (known !== undefined) return known.meaning
  return code > 128 && code < 192 ? `ended by signal ${code - 128}` : "unknown"
}
