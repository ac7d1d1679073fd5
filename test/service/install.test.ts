import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  type Host,
  installService,
  type Plan,
  readForService,
  ServiceError,
  uninstallService,
  unitOf,
} from "../../src/cli/service-install.ts"
import { valuesOf } from "../support/systemd.ts"

const UNIT = "/etc/systemd/system/pollux.service"
const CONFIG = "/etc/pollux/config.toml"
const plan: Plan = { program: "/usr/local/bin/pollux", config: CONFIG, user: "pollux" }

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pollux-service-"))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** A machine in a folder; its users are those in `users`, and systemd-sysusers makes what it is told to. */
function machine({ booted = true, staged = false, makes = true, users = new Set<string>(), fails = "" } = {}) {
  const ran: string[] = []
  if (booted) mkdirSync(join(root, "run/systemd/system"), { recursive: true })
  const host: Host = {
    root,
    staged,
    run(command) {
      const line = command.join(" ")
      ran.push(line)
      if (fails !== "" && line.includes(fails)) return { code: 1, output: "Access denied\n" }
      const [program, flag, name] = command
      if (program === "systemd-sysusers" && makes) users.add("pollux")
      if (program !== "id") return { code: 0, output: "" }
      const id = flag === "-u" ? process.getuid?.() : process.getgid?.()
      return users.has(name ?? "") ? { code: 0, output: `${id}\n` } : { code: 1, output: "no such user\n" }
    },
  }
  return { host, ran }
}

const modeOf = (path: string) => statSync(root + path).mode & 0o777
const textOf = (path: string) => readFileSync(root + path, "utf8")
const put = (path: string, text: string, mode = 0o644) => {
  mkdirSync(join(root, path, ".."), { recursive: true })
  writeFileSync(root + path, text, { mode })
}

function refusal(work: () => unknown): ServiceError {
  try {
    work()
  } catch (error) {
    if (error instanceof ServiceError) return error
    throw error
  }
  throw new Error("it was not refused")
}

describe("installing", () => {
  test("on a fresh machine writes unit, user, configuration and key, and tells systemd", () => {
    const { host, ran } = machine()
    const told = installService(plan, host).join("\n")
    for (const path of [UNIT, CONFIG, "/etc/pollux/pollux_key"]) expect(told).toContain(root + path)
    expect(textOf("/etc/sysusers.d/pollux.conf")).toContain('u pollux - "Pollux" /var/lib/pollux')
    expect(ran).toContain("systemd-sysusers /etc/sysusers.d/pollux.conf")
    expect(ran.at(-1)).toBe("systemctl daemon-reload")
    expect(modeOf("/etc/pollux/pollux_key")).toBe(0o600)
    expect(modeOf(CONFIG)).toBe(0o600)
    expect(modeOf(UNIT)).toBe(0o644)

    const key = textOf("/etc/pollux/pollux_key").trim()
    expect(key.length).toBeGreaterThanOrEqual(43)
    expect(textOf(CONFIG)).not.toContain(key)
    expect(told).not.toContain(key)
    expect(readForService(CONFIG, root)?.config.basic.polluxKey).toBe(key)
    expect(readForService(CONFIG, root)?.warnings).toEqual([])
  })

  test("for a dynamic user makes none, and lets everybody read what holds no secret", () => {
    const { host, ran } = machine()
    installService({ ...plan, user: null }, host)
    expect(ran).toEqual(["systemctl daemon-reload"])
    expect(modeOf(CONFIG)).toBe(0o644)
    expect(modeOf("/etc/pollux/pollux_key")).toBe(0o600)
    expect(valuesOf(textOf(UNIT), "DynamicUser")).toEqual(["yes"])
  })

  test("a second time changes nothing", () => {
    const { host } = machine()
    installService(plan, host)
    const before = [UNIT, CONFIG, "/etc/pollux/pollux_key"].map(textOf)
    expect(installService(plan, host)).toEqual([`${root}${UNIT} is up to date.`])
    expect([UNIT, CONFIG, "/etc/pollux/pollux_key"].map(textOf)).toEqual(before)
  })

  test("keeps a configuration that is there, and fits the unit to it", () => {
    put(
      CONFIG,
      '[basic]\npollux_key = "own"\nlisten_port = 80\ndrain_timeout = 5\ndatabase_url = "sqlite:///srv/db/data.db"\n',
      0o600,
    )
    const { host } = machine()
    installService(plan, host)
    expect(textOf(CONFIG)).toContain('pollux_key = "own"')
    expect(existsSync(`${root}/etc/pollux/pollux_key`)).toBe(false)
    expect(valuesOf(textOf(UNIT), "TimeoutStopSec")).toEqual(["35"])
    expect(valuesOf(textOf(UNIT), "AmbientCapabilities")).toEqual(["CAP_NET_BIND_SERVICE"])
    expect(valuesOf(textOf(UNIT), "ReadWritePaths")).toEqual(["/srv/db"])
  })

  test("says so when the service could not read the configuration", () => {
    put(CONFIG, '[basic]\npollux_key = "own"\n', 0o600)
    const { host } = machine()
    expect(installService({ ...plan, user: null }, host).join("\n")).toContain(`chmod 644 ${root}${CONFIG}`)
    expect(installService(plan, host).join("\n")).not.toContain("could not read")
  })

  test("refuses a configuration with problems, with all of them, before it writes anything", () => {
    put(CONFIG, "[basic]\nlisten_port = 'no'\nnothing = 1\n")
    const { host } = machine()
    const { message, exitCode } = refusal(() => installService(plan, host))
    expect(exitCode).toBe(78)
    expect(message.split("\n").length).toBeGreaterThanOrEqual(3)
    expect(existsSync(root + UNIT)).toBe(false)
  })

  test("leaves a unit alone that somebody else wrote", () => {
    put(UNIT, "[Service]\nExecStart=/opt/pollux\n")
    const { host } = machine()
    expect(refusal(() => installService(plan, host)).exitCode).toBe(73)
    expect(refusal(() => uninstallService(host)).exitCode).toBe(73)
    expect(textOf(UNIT)).toContain("/opt/pollux")
    expect(existsSync(root + CONFIG)).toBe(false)
  })

  test("refuses what the sandbox would hide from the service", () => {
    const named = (change: Partial<Plan>) => refusal(() => unitOf({ ...plan, ...change }, null)).message
    expect(named({ program: "/home/pollux" })).toContain("install -m 755 /home/pollux /usr/local/bin/pollux")
    expect(named({ config: "/var/tmp/config.toml" })).toContain("the configuration is")
    put(CONFIG, '[basic]\npollux_key = "own"\ndatabase_url = "sqlite:///run/user/7/data.db"\n', 0o600)
    expect(refusal(() => unitOf(plan, readForService(CONFIG, root))).message).toContain("the database is")
  })

  test("says what failed when the user cannot be made, or systemd does not answer", () => {
    expect(refusal(() => installService(plan, machine({ makes: false }).host)).message).toContain("use --dynamic")
    const told = refusal(() => installService(plan, machine({ fails: "daemon-reload" }).host)).message
    expect(told).toBe("pollux: systemctl daemon-reload failed: Access denied")
  })

  test("works where systemd does not run yet", () => {
    const { host, ran } = machine({ booted: false, users: new Set(["pollux"]) })
    expect(installService(plan, host).join("\n")).toContain("systemd does not run here")
    expect(ran.filter((line) => !line.startsWith("id "))).toEqual([])
    expect(existsSync(`${root}/etc/sysusers.d/pollux.conf`)).toBe(false)
  })

  test("into a folder for a package runs nothing and makes no key that all would share", () => {
    const { host, ran } = machine({ staged: true })
    installService(plan, host)
    expect(ran).toEqual([])
    expect(existsSync(`${root}/etc/pollux`)).toBe(false)
    expect(existsSync(root + UNIT)).toBe(true)
    expect(existsSync(`${root}/etc/sysusers.d/pollux.conf`)).toBe(true)
  })
})

describe("uninstalling", () => {
  test("stops the service first, and keeps what is the operator's", () => {
    const { host, ran } = machine()
    installService(plan, host)
    ran.length = 0
    const told = uninstallService(host)
    expect(ran).toEqual(["systemctl disable --now pollux.service", "systemctl daemon-reload"])
    expect(existsSync(root + UNIT)).toBe(false)
    expect(existsSync(`${root}/etc/sysusers.d/pollux.conf`)).toBe(false)
    expect(existsSync(root + CONFIG)).toBe(true)
    expect(existsSync(`${root}/etc/pollux/pollux_key`)).toBe(true)
    expect(told.join("\n")).toContain("Kept:")
  })

  test("removes nothing while the service cannot be stopped", () => {
    installService(plan, machine().host)
    expect(refusal(() => uninstallService(machine({ fails: "disable" }).host)).message).toContain("Access denied")
    expect(existsSync(root + UNIT)).toBe(true)
  })

  test("where nothing is installed says so", () => {
    expect(uninstallService(machine().host).join("\n")).toContain("nothing to remove")
  })
})
