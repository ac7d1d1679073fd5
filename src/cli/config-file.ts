/** The configuration file, for the few commands that change it: every change is read before it replaces what is there. */
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { basename, dirname, join } from "node:path"
import { loadConfig, readText } from "../config/load.ts"
import { diffReload } from "../config/reload.ts"
import type { Config } from "../config/types.ts"
import { EXIT } from "../observe/exit.ts"
import type { Io } from "./command.ts"

/** What kept a change from being made: for people, and free of secrets. */
export class ConfigFileError extends Error {
  override readonly name = "ConfigFileError"
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
  }
}

const OWNER_ONLY = 0o600
/** Permission bits of everybody else. */
const OTHERS = 0o007

export interface ConfigFile {
  /** The file itself, where its name is a link. */
  readonly path: string
  /** As the operator named it. */
  readonly shown: string
  readonly text: string
  readonly config: Config
  readonly warnings: readonly string[]
  /** Others may read it, and no secret in it speaks against that. */
  readonly shared: boolean
}

/**
 * Reads the configuration that `--config`, POLLUX_CONFIG or the working directory names.
 * @throws ConfigFileError for one with problems: it is not changed before they are solved
 */
export function openConfigFile(option: string | null, io: Pick<Io, "env" | "cwd">): ConfigFile {
  const loaded = loadConfig({ explicitPath: option, env: io.env, cwd: io.cwd })
  if (!loaded.ok) throw new ConfigFileError(loaded.problems.join("\n"), EXIT.config)
  const shown = option ?? (io.env.POLLUX_CONFIG || "config.toml")
  try {
    const path = realpathSync(loaded.path)
    const { config, warnings, holdsSecret } = loaded
    const shared = !holdsSecret && process.platform !== "win32" && (statSync(path).mode & OTHERS) !== 0
    return { path, shown, text: readFileSync(path, "utf8"), config, warnings, shared }
  } catch (error) {
    throw new ConfigFileError(`pollux: ${shown}: cannot be read: ${reason(error)}`, EXIT.noInput)
  }
}

/**
 * Puts `text` in the file's place, at once and durably. A file that everybody could read becomes its owner's alone when a secret is in
 * it; else whoever could read it still can, such as the service, by its group or as a user that systemd invents.
 * @param changes names of the keys that may differ afterwards, as a reload names them
 * @param text null when the change has no place in the file as it is written
 * @throws ConfigFileError; the file is then as it was
 */
export function replaceConfigFile(
  file: ConfigFile,
  text: string | null,
  changes: readonly string[],
  io: Pick<Io, "env" | "cwd">,
): ConfigFile {
  const byHand = (why: string) =>
    new ConfigFileError(
      `pollux: ${file.shown} stays as it is: ${why}; change ${changes.join(" and ")} by hand`,
      EXIT.config,
    )
  if (text === null) throw byHand("its tables are written inline")
  const source = { explicitPath: file.path, env: io.env, cwd: io.cwd }
  const read = readText(source, text, file.shown, file.path)
  if (!read.ok) throw byHand(`the change would make it wrong (${read.problems.join("; ")})`)
  const { live, restart } = diffReload(file.config, read.config)
  const others = [...live, ...restart].filter((name) => !changes.includes(name))
  if (others.length > 0) throw byHand(`the change would touch ${others.join(", ")} too`)
  try {
    write(file, text, read.holdsSecret)
  } catch (error) {
    if (error instanceof ConfigFileError) throw error
    throw new ConfigFileError(`pollux: ${file.shown}: ${reason(error)}; nothing was changed`, EXIT.cannotCreate)
  }
  return { ...file, text, config: read.config, warnings: read.warnings }
}

/** Beside the file, so that the last step is one rename on one file system (POSIX rename(2) is atomic). */
function write({ path, shown, text: before }: ConfigFile, text: string, secret: boolean): void {
  const folder = dirname(path)
  const draft = join(folder, `.${basename(path)}.${randomBytes(6).toString("hex")}`)
  const handle = openSync(draft, "wx", OWNER_ONLY)
  try {
    try {
      // Not writeSync, which may write less than all of it when the disk is full.
      writeFileSync(handle, text)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    keepOwner(path, draft)
    const mode = statSync(path).mode & 0o777
    chmodSync(draft, secret && (mode & OTHERS) !== 0 ? OWNER_ONLY : mode)
    if (readFileSync(path, "utf8") !== before) {
      throw new ConfigFileError(`pollux: ${shown} was changed by somebody else meanwhile; try again`, EXIT.inUse)
    }
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
  syncFolder(folder)
}

/** An administrator's change must not take the file away from the user that the server runs as. */
function keepOwner(path: string, draft: string): void {
  const { uid, gid } = statSync(path)
  const own = statSync(draft)
  if (own.uid !== uid || own.gid !== gid) chownSync(draft, uid, gid)
}

/** Makes the rename survive a power cut, where folders can be synced. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return
  const handle = openSync(folder, "r")
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : ""
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return "this user may not replace it"
  if (code === "EBUSY" || code === "EXDEV")
    return "it cannot be replaced (a mounted file?): change it where it is mounted from"
  if (code === "ENOSPC" || code === "EDQUOT") return "the disk is full"
  return error instanceof Error ? error.message : String(error)
}
