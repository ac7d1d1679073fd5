/** The unit file of the service, for systemd 250 and later (systemd.service(5), systemd.exec(5)). Pure. */

export interface UnitOptions {
  /** The executable, an absolute path. */
  readonly program: string
  /** The configuration, an absolute path; the files with keys stand beside it. */
  readonly config: string
  readonly configFolder: string
  /** Whom it runs as; null lets the manager invent a user that exists only while it runs. */
  readonly user: string | null
  /** `basic.drain_timeout`, in milliseconds. */
  readonly drainTimeoutMs: number
  /** `basic.listen_port`: one below 1024 takes a capability. */
  readonly port: number
  /** Folder of the database where it is not the state directory; an absolute path. */
  readonly databaseFolder: string | null
}

/** Keys that may stand in files of their own beside the configuration, by the names that the configuration's loader knows. */
export const KEY_FILES = ["pollux_key", "admin_key", "encryption_key"] as const

/** Name of the unit, of its state directory, and of the user where none is named. */
export const SERVICE = "pollux"

/** Ports below need CAP_NET_BIND_SERVICE (ip(7)). */
const FIRST_FREE_PORT = 1024

/** Longest silence before the manager takes the process for dead. */
const WATCHDOG_SECONDS = 60

/** Over the drain: last words of streams, refreshes in flight, the database. The server asks for more if it needs it. */
const STOP_SLACK_SECONDS = 30

/** A group of lines with the reason that they do not tell themselves. */
interface Group {
  readonly why?: string
  readonly lines: readonly string[]
}

/** Begins every unit that is ours. */
export const UNIT_MARK = "# Written by `pollux service install`"

export function renderUnit(options: UnitOptions): string {
  const title = [
    "Written by `pollux service install`, and by its next run again: change it with `systemctl edit pollux`, which keeps its changes elsewhere.",
  ]
  const sections: readonly (readonly [name: string, groups: readonly Group[]])[] = [
    ["Unit", unit],
    ["Service", [...running(options), ...secrets(options), ...sandbox(options)]],
    ["Install", [{ lines: ["WantedBy=multi-user.target"] }]],
  ]
  const text = sections.map(([name, groups]) => `[${name}]\n${groups.map(groupText).join("\n")}`)
  return `${title.map(comment).join("")}\n${text.join("\n")}`
}

function groupText({ why, lines }: Group): string {
  return `${why === undefined ? "" : comment(why)}${lines.join("\n")}\n`
}

function comment(text: string): string {
  const lines: string[] = []
  let line = "#"
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > 110) {
      lines.push(line)
      line = "#"
    }
    line += ` ${word}`
  }
  return `${[...lines, line].join("\n")}\n`
}

const unit: readonly Group[] = [
  {
    lines: [
      "Description=Pollux, a pool of OAuth credentials served as the Gemini and OpenAI Responses APIs",
      "Wants=network-online.target",
      "After=network-online.target nss-lookup.target",
    ],
  },
  {
    why: "Never gives up: what can get better by itself (a taken port, a full disk) is tried again as long as it takes.",
    lines: ["StartLimitIntervalSec=0"],
  },
]

function running({ program, config, drainTimeoutMs, databaseFolder }: UnitOptions): readonly Group[] {
  return [
    {
      why: "Ready once the port is open; silent for longer than the watchdog's time means hung: it is then killed and started again. Not by SIGABRT, which the runtime would report as a defect of its own.",
      lines: [
        "Type=notify",
        "NotifyAccess=main",
        `WatchdogSec=${WATCHDOG_SECONDS}`,
        "WatchdogSignal=SIGKILL",
        "TimeoutStartSec=120",
      ],
    },
    {
      lines: [
        `ExecStart=${word(program)} serve --config ${argument(config)}`,
        "ExecReload=/bin/kill -HUP $MAINPID",
        `StateDirectory=${SERVICE}`,
        "StateDirectoryMode=0700",
        `WorkingDirectory=%S/${SERVICE}`,
        "UMask=0077",
        ...(databaseFolder === null ? [] : [`ReadWritePaths=${word(databaseFolder)}`]),
      ],
    },
    {
      why: "64, 65, 66, 77 and 78 name what only a person can undo: command line, damaged database, file, rights, configuration.",
      lines: ["Restart=on-failure", "RestartSec=5", "RestartPreventExitStatus=64 65 66 77 78"],
    },
    {
      why: "Stopping lets open streams finish (basic.drain_timeout, and some time to close); 143 is a second SIGTERM.",
      lines: [
        "KillMode=mixed",
        `TimeoutStopSec=${Math.ceil(drainTimeoutMs / 1000) + STOP_SLACK_SECONDS}`,
        "SuccessExitStatus=143",
      ],
    },
    {
      why: "Two descriptors for each open stream.",
      lines: ["LimitNOFILE=65536"],
    },
  ]
}

function secrets({ configFolder, user }: UnitOptions): readonly Group[] {
  return [
    {
      why: "Keys stay readable by root alone and are handed over at each start. A file that is not there counts as empty.",
      lines: KEY_FILES.flatMap((name) => [
        `LoadCredential=${name}:${specifierFree(`${configFolder.replace(/\/$/, "")}/${name}`)}`,
        `SetCredential=${name}:\\n`,
      ]),
    },
    user === null ? { lines: ["DynamicUser=yes"] } : { lines: [`User=${user}`, `Group=${user}`] },
  ]
}

function sandbox({ port }: UnitOptions): readonly Group[] {
  const bindsLow = port > 0 && port < FIRST_FREE_PORT
  return [
    bindsLow
      ? {
          why: `The one capability that port ${port} takes. It counts in the machine's own user namespace only, hence no PrivateUsers.`,
          lines: ["CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE"],
        }
      : { lines: ["CapabilityBoundingSet=", "AmbientCapabilities=", "PrivateUsers=yes"] },
    {
      lines: [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateMounts=yes",
        "PrivateDevices=yes",
        "DevicePolicy=closed",
        "PrivateIPC=yes",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "ProtectProc=invisible",
        "ProcSubset=pid",
        "RemoveIPC=yes",
        "LockPersonality=yes",
        "KeyringMode=private",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
      ],
    },
    {
      why: "Netlink: how the C library finds out which kinds of address this machine has, before it resolves a name.",
      lines: ["RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK"],
    },
    {
      why: "Off, since the runtime compiles JavaScript to machine code while it runs: it must write memory and then execute it.",
      lines: ["MemoryDenyWriteExecute=no"],
    },
    {
      lines: [
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources",
        // The thread that speaks to the upstream steps back behind the one that decides (http-thread.ts).
        "SystemCallFilter=sched_setscheduler",
        "SystemCallErrorNumber=EPERM",
      ],
    },
  ]
}

/** `%` begins a specifier (systemd.unit(5)). */
function specifierFree(text: string): string {
  return text.replaceAll("%", "%%")
}

/** One word of a list (systemd.syntax(7), QUOTING): `%`, quotes and backslashes stand for themselves. */
export function word(text: string): string {
  const plain = specifierFree(text)
  if (/^[\w@:./%$+,=-]+$/.test(plain)) return plain
  return `"${plain.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
}

/** An argument of a command line, where `$` begins a variable, other than in its first word (systemd.service(5), COMMAND LINES). */
export function argument(text: string): string {
  return word(text.replaceAll("$", "$$$$"))
}

/**
 * Folders that the service does not see as the machine has them (ProtectHome, PrivateTmp): whatever stands there, it cannot use.
 */
const HIDDEN = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"]

export function isHidden(path: string): boolean {
  return HIDDEN.some((folder) => path === folder || path.startsWith(`${folder}/`))
}

/** Whether a path can stand in a unit at all: absolute, on one line, and valid UTF-8. */
export function fitsUnit(path: string): boolean {
  return path.startsWith("/") && !/\p{Cc}|\ufffd/u.test(path)
}

/** Whether systemd takes a path as the executable's: quotes and backslashes are refused there, however they are written. */
export function fitsProgram(path: string): boolean {
  return fitsUnit(path) && !/["'\\]/.test(path)
}

/** Names that useradd(8) and systemd take for a user. */
export function isUserName(name: string): boolean {
  return /^[a-z_][a-z0-9_-]{0,30}$/.test(name)
}
