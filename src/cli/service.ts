import { resolve } from "node:path"
import { EXIT } from "../observe/exit.ts"
import type { Command, Input, Io, Option } from "./command.ts"
import {
  type Host,
  installService,
  type Plan,
  readForService,
  ServiceError,
  uninstallService,
  unitOf,
} from "./service-install.ts"
import { fitsProgram, fitsUnit, isUserName, SERVICE } from "./service-unit.ts"

const DEFAULT_CONFIG = `/etc/${SERVICE}/config.toml`

const UNIT_OPTIONS: readonly Option[] = [
  { name: "config", short: "c", value: "PATH", summary: `configuration of the service (default: ${DEFAULT_CONFIG})` },
  { name: "user", value: "NAME", summary: `user that it runs as (default: ${SERVICE}; made if it is not there)` },
  { name: "dynamic", summary: "let systemd invent a user that exists only while the service runs" },
  { name: "program", value: "PATH", summary: "executable that it starts (default: this one)" },
]

const ROOT_OPTION: Option = {
  name: "root",
  value: "DIR",
  summary: "put unit and user into a folder that stands for a machine to come: nothing is run, no key is made",
}

const servicePrint: Command = {
  words: ["service", "print"],
  summary: "print the systemd unit that install would write",
  detail:
    "The unit is sandboxed as far as a server with a just-in-time compiler can be; `systemd-analyze security pollux` rates it. Keys come from the files pollux_key, admin_key and encryption_key beside the configuration, which root alone needs to be able to read; all else, the database too, is in /var/lib/pollux.",
  examples: [
    { line: "pollux service print", says: "look before you install" },
    {
      line: "pollux service print > pollux.service; systemd-analyze security --offline=yes pollux.service",
      says: "rate it",
    },
  ],
  options: UNIT_OPTIONS,
  exits: [EXIT.config],
  run: (input, io) =>
    reporting(io, async () => {
      const plan = planOf(input, io)
      io.out(unitOf(plan, readForService(plan.config)))
    }),
}

const serviceInstall: Command = {
  words: ["service", "install"],
  summary: "install Pollux as a systemd service",
  detail:
    "Writes the unit; a configuration with a random key in a file beside it, if there is none; and the user, if it is not there. It starts nothing. Run it again after a new version, or after drain_timeout, listen_port or database_url have changed. `systemctl reload pollux` applies changes of the configuration without losing a request.",
  examples: [
    { line: "sudo pollux service install", says: "then: sudo systemctl enable --now pollux" },
    { line: "sudo pollux service install --dynamic", says: "without a user of its own" },
    {
      line: "pollux service install --root build --program /usr/bin/pollux",
      says: "for a package: files below ./build",
    },
  ],
  options: [...UNIT_OPTIONS, ROOT_OPTION],
  exits: [EXIT.failure, EXIT.unavailable, EXIT.cannotCreate, EXIT.denied, EXIT.config],
  run: (input, io) =>
    reporting(io, async () => {
      const plan = planOf(input, io)
      const host = hostOf(input, io, "installing")
      for (const line of installService(plan, host)) io.out(`${line}\n`)
      if (!host.staged) io.out(nextSteps(plan))
    }),
}

const serviceUninstall: Command = {
  words: ["service", "uninstall"],
  summary: "stop the service and remove its unit",
  detail: "Configuration, keys and database stay where they are.",
  examples: [{ line: "sudo pollux service uninstall", says: "open streams finish first" }],
  options: [ROOT_OPTION],
  exits: [EXIT.failure, EXIT.unavailable, EXIT.cannotCreate, EXIT.denied],
  run: (input, io) =>
    reporting(io, async () => {
      for (const line of uninstallService(hostOf(input, io, "removing"))) io.out(`${line}\n`)
    }),
}

export const serviceCommands: readonly Command[] = [serviceInstall, serviceUninstall, servicePrint]

async function reporting(io: Io, work: () => Promise<void>): Promise<number> {
  try {
    await work()
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    io.err(`${error.message}\n`)
    return error.exitCode
  }
}

/** @throws ServiceError */
function planOf(input: Input, io: Io): Plan {
  const wrong = (text: string) => new ServiceError(`pollux: ${text}`, EXIT.usage)
  const path = (text: string) => resolve(io.cwd, text)
  const user = input.option("user")
  if (user !== null && input.has("dynamic")) throw wrong("--user and --dynamic exclude each other")
  if (user !== null && !isUserName(user)) {
    throw wrong(`--user: expected a name of lower-case letters, digits, - and _, got "${user}"`)
  }
  const plan: Plan = {
    program: path(input.option("program") ?? process.execPath),
    config: path(input.option("config") ?? DEFAULT_CONFIG),
    user: input.has("dynamic") ? null : (user ?? SERVICE),
  }
  if (!fitsProgram(plan.program)) {
    throw wrong("--program: systemd starts no program with quotes, backslashes or control characters in its path")
  }
  if (!fitsUnit(plan.config)) throw wrong("--config: a path with control characters cannot stand in a unit")
  return plan
}

/** @throws ServiceError where this machine cannot have the service, or this user may not install it */
function hostOf(input: Input, io: Io, doing: string): Host {
  const root = input.option("root")
  if (root !== null) return { root: resolve(io.cwd, root), staged: true, run }
  if (process.platform !== "linux") {
    throw new ServiceError("pollux: the service is systemd's, and that is on Linux only", EXIT.unavailable)
  }
  if (process.getuid?.() !== 0) {
    const cure = "run it with sudo, or have the files put into a folder with --root DIR"
    throw new ServiceError(`pollux: ${doing} the service takes root: ${cure}`, EXIT.denied)
  }
  return { root: "", staged: false, run }
}

function run(command: readonly string[]): { readonly code: number; readonly output: string } {
  try {
    const ran = Bun.spawnSync([...command], { stdin: "ignore" })
    return { code: ran.exitCode, output: ran.stdout.toString() + ran.stderr.toString() }
  } catch (error) {
    return { code: 127, output: error instanceof Error ? error.message : String(error) }
  }
}

function nextSteps({ config }: Plan): string {
  const folder = config.slice(0, config.lastIndexOf("/")) || "/"
  return `Next:

  systemctl enable --now ${SERVICE}
      start it, now and at each boot (systemctl restart ${SERVICE} if it runs already)
  export POLLUX_CONFIG=${config} CREDENTIALS_DIRECTORY=${folder}
      so that the other commands find the server and its key
  pollux login codex
      add an account (or: login geminicli)
`
}
