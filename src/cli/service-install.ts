/** Puts the service onto a machine, or into a folder that stands for one, and takes it away again. */
import { randomBytes } from "node:crypto"
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { loadConfig } from "../config/load.ts"
import { renderInit } from "../config/render.ts"
import type { Config } from "../config/types.ts"
import { EXIT } from "../observe/exit.ts"
import { isHidden, renderUnit, SERVICE, UNIT_MARK } from "./service-unit.ts"

/** What kept it from being done: for people. */
export class ServiceError extends Error {
  override readonly name = "ServiceError"
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
  }
}

export interface Plan {
  /** Absolute paths, as the machine will know them. */
  readonly program: string
  readonly config: string
  /** Null: the manager invents one. */
  readonly user: string | null
}

/** The machine that is installed to. */
export interface Host {
  /** What stands before every path: empty for this machine. */
  readonly root: string
  /** Whether it only stands for a machine to come, as in a package: nothing is run for it, and no key is made that all of them would share. */
  readonly staged: boolean
  /** Runs a program to its end. */
  run(command: readonly string[]): { readonly code: number; readonly output: string }
}

const UNIT_PATH = `/etc/systemd/system/${SERVICE}.service`
const USERS_PATH = `/etc/sysusers.d/${SERVICE}.conf`
const STATE_PATH = `/var/lib/${SERVICE}`
/** sd_booted(3) */
const BOOTED_PATH = "/run/systemd/system"
const KEY_BYTES = 32

export interface Facts {
  readonly config: Config
  readonly warnings: readonly string[]
}

/** The configuration as the service will read it, or null where there is none yet. @throws ServiceError with every problem in it */
export function readForService(path: string, root = ""): Facts | null {
  const at = root + path
  const env = { CREDENTIALS_DIRECTORY: dirname(at) }
  const loaded = loadConfig({ explicitPath: at, env, cwd: STATE_PATH })
  if (loaded.ok) return loaded
  if (loaded.missing) return null
  throw new ServiceError(loaded.problems.join("\n"), EXIT.config)
}

/** @throws ServiceError for paths that the service could not use */
export function unitOf({ program, config, user }: Plan, facts: Facts | null): string {
  const databaseFolder = foreignFolder(facts?.config.basic.databasePath ?? "data.db")
  const paths = { "the executable": program, "the configuration": config, "the database": databaseFolder ?? STATE_PATH }
  for (const [what, path] of Object.entries(paths)) {
    if (!isHidden(path)) continue
    const cure =
      what === "the executable"
        ? `copy it first: install -m 755 ${path} /usr/local/bin/${SERVICE}`
        : "choose another place"
    throw new ServiceError(
      `pollux: a service does not see what is in ${dirname(path)}, but ${what} is: ${cure}`,
      EXIT.usage,
    )
  }
  return renderUnit({
    program,
    config,
    configFolder: dirname(config),
    user,
    drainTimeoutMs: facts?.config.basic.drainTimeoutMs ?? 300_000,
    port: facts?.config.basic.listenPort ?? 8188,
    databaseFolder,
  })
}

/** Where the database is, unless it is in the service's own folder. */
function foreignFolder(databasePath: string): string | null {
  if (!databasePath.startsWith("/") || databasePath.startsWith(`${STATE_PATH}/`)) return null
  return dirname(databasePath)
}

/**
 * Writes the unit, and what it needs and is not there yet. What is there stays as it is.
 * @returns what was done, and what to know, a line each
 * @throws ServiceError
 */
export function installService(plan: Plan, host: Host): readonly string[] {
  const done: string[] = []
  const unit = unitOf(plan, readForService(plan.config, host.root))
  const unitPath = host.root + UNIT_PATH
  const before = existsSync(unitPath) ? readFileSync(unitPath, "utf8") : null
  if (before !== null && !before.startsWith(UNIT_MARK)) {
    throw new ServiceError(
      `pollux: ${unitPath} was not written by this command and stays as it is: move it away first`,
      EXIT.cannotCreate,
    )
  }
  try {
    const owner = plan.user === null ? null : ensureUser(plan.user, host, done)
    if (!host.staged) ensureConfig(plan, host, owner, done)
    if (before === unit) done.push(`${unitPath} is up to date.`)
    else {
      replaceFile(unitPath, unit, 0o644)
      done.push(`Wrote ${unitPath}.`)
    }
  } catch (error) {
    if (error instanceof ServiceError) throw error
    throw new ServiceError(`pollux: ${error instanceof Error ? error.message : String(error)}`, EXIT.cannotCreate)
  }
  if (!host.staged && !reloadManager(host)) done.push("systemd does not run here: it reads the unit when it does.")
  return done
}

/** Removes what `installService` wrote, except what is the operator's: configuration, keys, database, user. @throws ServiceError */
export function uninstallService(host: Host): readonly string[] {
  const unitPath = host.root + UNIT_PATH
  if (!existsSync(unitPath)) return [`There is no ${unitPath}: nothing to remove.`]
  if (!readFileSync(unitPath, "utf8").startsWith(UNIT_MARK)) {
    throw new ServiceError(`pollux: ${unitPath} was not written by this command and stays as it is`, EXIT.cannotCreate)
  }
  const booted = !host.staged && existsSync(host.root + BOOTED_PATH)
  if (booted) {
    const { code, output } = host.run(["systemctl", "disable", "--now", `${SERVICE}.service`])
    if (code !== 0)
      throw new ServiceError(`pollux: systemctl could not stop the service: ${output.trim()}`, EXIT.failure)
  }
  rmSync(unitPath)
  rmSync(host.root + USERS_PATH, { force: true })
  if (booted) reloadManager(host)
  return [
    `Removed ${unitPath}.`,
    `Kept: the configuration and its keys, the database in ${host.root}${STATE_PATH}, and the user.`,
  ]
}

/** Whether a manager runs here and was told. @throws ServiceError */
function reloadManager(host: Host): boolean {
  if (!existsSync(host.root + BOOTED_PATH)) return false
  const { code, output } = host.run(["systemctl", "daemon-reload"])
  if (code !== 0) throw new ServiceError(`pollux: systemctl daemon-reload failed: ${output.trim()}`, EXIT.failure)
  return true
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

/** The user's ids, or null where the machine is a folder: there the user is made later, from the file written here. */
function ensureUser(user: string, host: Host, done: string[]): Owner | null {
  const known = host.staged ? null : idsOf(user, host)
  if (known !== null) return known
  const path = host.root + USERS_PATH
  mkdirSync(dirname(path), { recursive: true })
  replaceFile(path, `# Read by systemd-sysusers(8).\nu ${user} - "Pollux" ${STATE_PATH}\n`, 0o644)
  done.push(`Wrote ${path}.`)
  if (host.staged) return null
  const { output } = host.run(["systemd-sysusers", USERS_PATH])
  const made = idsOf(user, host)
  if (made === null) {
    const why = `systemd-sysusers did not make the user ${user}: ${output.trim() || "no reason given"}`
    throw new ServiceError(`pollux: ${why}; make it yourself, or use --dynamic`, EXIT.cannotCreate)
  }
  done.push(`Made the user ${user}.`)
  return made
}

function idsOf(user: string, host: Host): Owner | null {
  const [uid, gid] = ["-u", "-g"].map((flag) => {
    const { code, output } = host.run(["id", flag, user])
    return code === 0 && /^\d+$/.test(output.trim()) ? Number(output.trim()) : null
  })
  return uid == null || gid == null ? null : { uid, gid }
}

/** A configuration without a key in it, and the key beside it; or, where there is one, a look at whether the service may read it. */
function ensureConfig({ config, user }: Plan, host: Host, owner: Owner | null, done: string[]): void {
  const path = host.root + config
  if (!existsSync(path)) {
    const folder = dirname(path)
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    const key = join(folder, "pollux_key")
    if (!existsSync(key)) {
      createFile(key, `${randomBytes(KEY_BYTES).toString("base64url")}\n`, 0o600)
      done.push(`Wrote ${key}, a random key that root alone can read.`)
    }
    // No secret is in it. One's own file can be replaced by `pollux key add` and still be read by the service.
    createFile(path, renderInit({ key: null }), owner === null ? 0o644 : 0o600)
    if (owner !== null) chownSync(path, owner.uid, owner.gid)
    done.push(`Wrote ${path}.`)
    return
  }
  const { mode, uid, gid } = statSync(path)
  const readable =
    (mode & 0o004) !== 0 ||
    (owner !== null && owner.uid === uid && (mode & 0o400) !== 0) ||
    (owner !== null && owner.gid === gid && (mode & 0o040) !== 0)
  if (readable) return
  const cure =
    user === null
      ? `move pollux_key from it to the file ${join(dirname(path), "pollux_key")}, then: chmod 644 ${path}`
      : `chown ${user}: ${path}`
  done.push(`The service could not read ${path}: ${cure}`)
}

function createFile(path: string, text: string, mode: number): void {
  const file = openSync(path, "wx", mode)
  try {
    // Not writeSync, which may write less than all of it when the disk is full.
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** In one step: the manager never reads half a file. */
function replaceFile(path: string, text: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true })
  const draft = `${path}.new`
  rmSync(draft, { force: true })
  createFile(draft, text, mode)
  renameSync(draft, path)
}
