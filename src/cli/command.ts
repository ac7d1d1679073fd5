/** What a command is: one table (`commands.ts`) of these drives parsing, `--help`, completion and the docs. */

export interface Example {
  readonly line: string
  readonly says: string
}

/** What a shell may offer in a place where the choices are not fixed; where the placeholder is PATH or DIR, it offers files. */
export type Completes = "credentials" | "keys" | "models"

export interface Option {
  /** Long name without dashes. */
  readonly name: string
  readonly short?: string
  /** Placeholder of its value; absent for a switch. */
  readonly value?: string
  /** The values it may take, where they are few. */
  readonly choices?: readonly string[]
  readonly completes?: Completes
  readonly summary: string
}

export interface Argument {
  readonly name: string
  readonly summary: string
  readonly required: boolean
  /** Takes all that follows. */
  readonly many?: boolean
  readonly choices?: readonly string[]
  readonly completes?: Completes
}

export interface Command {
  /** Words as typed, e.g. ["credential", "list"]; the first one alone names a group. */
  readonly words: readonly string[]
  readonly summary: string
  readonly detail?: string
  /** Shown before everything else. */
  readonly examples: readonly Example[]
  readonly arguments?: readonly Argument[]
  readonly options?: readonly Option[]
  /** Exit codes beside 0 and 64 that it can end with; meanings come from `observe/exit.ts`. */
  readonly exits?: readonly number[]
  run(input: Input, io: Io): Promise<number>
}

/** A command line that fits its command. */
export interface Input {
  readonly args: readonly string[]
  /** Value of an option, or null. */
  option(name: string): string | null
  /** Whether a switch was given. */
  has(name: string): boolean
}

/** Everything a command may touch of the world around it. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly version: string
  /** Whether standard output is a terminal, and whether colour may be used on it (NO_COLOR, FORCE_COLOR). */
  readonly terminal: boolean
  readonly color: boolean
  /** Size of the terminal as it is now; 100 by 24 where there is none. */
  readonly columns: number
  readonly rows?: number
  /** Whether a person can be asked: standard input and standard error are a terminal. */
  readonly interactive: boolean
  out(text: string): void
  err(text: string): void
  /** Aborted once standard output takes no more, as when its reader has left: for what would write without end. */
  readonly unheard?: AbortSignal
  /** All of standard input, as text. */
  readInput(): Promise<string>
  /** One line typed by a person, or null at the end of input or when `signal` says that it is not wanted any more. */
  readLine(prompt: string, signal?: AbortSignal): Promise<string | null>
  /** Calls `handler` for each of the signals until the returned function is called. */
  onSignal(signals: readonly NodeJS.Signals[], handler: (signal: NodeJS.Signals) => void): () => void
  /** Errors that no code caught: without a handler the runtime ends the process (spec platform T4). */
  onFault(handler: (kind: string, error: unknown) => void): void
  /** Ends the process at once: only for a second signal. */
  exitNow(code: number): never
}

/** Options that every command takes. */
export const COMMON_OPTIONS: readonly Option[] = [{ name: "help", short: "h", summary: "show this help and end" }]

/** For commands that speak to the running server. */
export const SERVER_OPTIONS: readonly Option[] = [
  {
    name: "config",
    short: "c",
    value: "PATH",
    summary: "configuration file (default: $POLLUX_CONFIG, then ./config.toml)",
  },
  { name: "server", value: "URL", summary: "address of the running server (default: from the configuration)" },
]

export const CONFIG_OPTION: Option = {
  name: "config",
  short: "c",
  value: "PATH",
  summary: "configuration file (default: $POLLUX_CONFIG, then ./config.toml)",
}

export const JSON_OPTION: Option = { name: "json", summary: "print JSON instead of text" }
