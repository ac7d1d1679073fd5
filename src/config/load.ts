import { readFileSync, statSync } from "node:fs"
import { isAbsolute, join, resolve } from "node:path"
import { type Outside, type OutsideSecrets, parseConfig } from "./parse.ts"
import type { Config } from "./types.ts"

export type Loaded =
  | {
      readonly ok: true
      readonly config: Config
      readonly path: string
      readonly warnings: readonly string[]
      /** Whether a key stands in the file itself, which nobody but its owner should read then. */
      readonly holdsSecret: boolean
    }
  | {
      readonly ok: false
      readonly path: string
      /** There is no such file: the one problem says how to make it. */
      readonly missing: boolean
      /** Each as `config.toml:LINE:COL key: expected ..., got ...`, in the order of the file. */
      readonly problems: readonly string[]
    }

export interface ConfigSource {
  /** From `--config`, or null. */
  readonly explicitPath: string | null
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/** Permission bits that let anyone but the owner in. */
const NOT_OWNER = 0o077

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
}

/** What went wrong with a file, in words. */
function reasonOf(error: unknown): string {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "it does not exist",
    EACCES: "this user may not read it",
    EISDIR: "it is a directory",
    ENOTDIR: "a part of its path is not a directory",
  }
  return reasons[codeOf(error)] ?? (error instanceof Error ? error.message : String(error))
}

/** One secret: environment variable first, then the service manager's file (systemd.exec, LoadCredential). Blank ones do not count. */
function outsideSecret(source: ConfigSource, variable: string, file: string, problems: string[]): Outside | null {
  const value = source.env[variable]
  if (value !== undefined && value.trim() !== "") return { value: value.trim(), from: variable }
  const directory = source.env.CREDENTIALS_DIRECTORY
  if (directory === undefined || directory === "") return null
  const path = join(directory, file)
  try {
    const content = readFileSync(path, "utf8").trim()
    return content === "" ? null : { value: content, from: path }
  } catch (error) {
    if (codeOf(error) !== "ENOENT") problems.push(`${path}: expected a readable file, got an error: ${reasonOf(error)}`)
    return null
  }
}

/** A warning when others may read a file that holds a secret; there are no such bits on Windows. */
function modeWarning(path: string, shown: string): string | null {
  const mode = (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o777
  if (process.platform === "win32" || (mode & NOT_OWNER) === 0) return null
  return `${shown}: holds a key, but its mode ${mode.toString(8).padStart(4, "0")} lets other users in; run: chmod 600 ${path}`
}

/**
 * Finds, reads and checks the configuration. Order: `explicitPath`, `POLLUX_CONFIG`, `config.toml` in the working directory.
 * Never throws; a file that cannot be used comes back with every problem in it.
 */
export function loadConfig(source: ConfigSource): Loaded {
  const named = source.explicitPath ?? (source.env.POLLUX_CONFIG || null)
  const shown = named ?? "config.toml"
  const path = isAbsolute(shown) ? shown : resolve(source.cwd, shown)
  const fail = (problems: readonly string[], missing = false): Loaded => ({ ok: false, path, missing, problems })

  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path))
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      const where = named === null ? `no config.toml in ${source.cwd}` : `${shown} does not exist`
      return fail([`${where}: write one with \`pollux init\`, or name another with --config or POLLUX_CONFIG`], true)
    }
    if (error instanceof TypeError) return fail([`${shown}:1:1 expected UTF-8 text, got other bytes`])
    return fail([`${shown}: cannot be read: ${reasonOf(error)}`])
  }

  return readText(source, text, shown, path)
}

/**
 * Reads `text` as if it were the configuration file of `source`, for looking at a change before it is made.
 * @param shown how problems name the file
 */
export function readText(source: ConfigSource, text: string, shown: string, path: string): Loaded {
  const fail = (problems: readonly string[]): Loaded => ({ ok: false, path, missing: false, problems })
  const problems: string[] = []
  const outside: OutsideSecrets = {
    polluxKey: outsideSecret(source, "POLLUX_KEY", "pollux_key", problems),
    adminKey: outsideSecret(source, "POLLUX_ADMIN_KEY", "admin_key", problems),
    encryptionKey: outsideSecret(source, "POLLUX_ENCRYPTION_KEY", "encryption_key", problems),
  }
  const parsed = parseConfig(text, shown, outside)
  if (!parsed.ok) return fail([...problems, ...parsed.problems])
  if (problems.length > 0) return fail(problems)
  const mode = parsed.holdsSecret ? modeWarning(path, shown) : null
  return {
    ok: true,
    path,
    config: parsed.config,
    holdsSecret: parsed.holdsSecret,
    warnings: mode === null ? parsed.warnings : [...parsed.warnings, mode],
  }
}
