import { EXIT } from "../observe/exit.ts"

export interface StartFailure {
  readonly message: string
  readonly exitCode: number
}

/** What to tell a person whose server did not start, and the code to end with. Errors of ours carry both. */
export function startFailure(error: unknown): StartFailure {
  if (!(error instanceof Error)) return { message: String(error), exitCode: EXIT.software }
  if ("exitCode" in error && typeof error.exitCode === "number") {
    return { message: error.message, exitCode: error.exitCode }
  }
  return { message: `unexpected failure at start: ${error.stack ?? error.message}`, exitCode: EXIT.software }
}
