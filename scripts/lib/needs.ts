import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { capture } from "./capture.ts"
import type { Need } from "./suites.ts"

/** Where the tests find the executables that were built for them. */
export const KEPT = ".tmp/test/bin"

/** What the tests need beyond the packages; each is made ready once, and says what is wrong in words for a person. */
export const PREPARE: Readonly<Record<Need, (root: string) => Promise<void>>> = {
  async executable(root) {
    const kept = join(root, KEPT)
    mkdirSync(kept, { recursive: true })
    for (const [program, flags] of [
      ["pollux", []],
      ["pollux-faults", ["--faults"]],
    ] as const) {
      await must(root, [process.execPath, "scripts/build.ts", ...flags], "the executable could not be built")
      // A link of the tests' own: whoever builds again while they run does not change what they test.
      rmSync(join(kept, program), { force: true })
      linkSync(join(root, "dist", program), join(kept, program))
    }
  },

  async clients(root) {
    const folder = join(root, "test/clients")
    const stamp = join(folder, "node_modules/.installed")
    const wanted = Bun.hash(readFileSync(join(folder, "package-lock.json"))).toString(16)
    if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return
    const install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    await must(folder, install, "the packages of the real clients could not be installed")
    writeFileSync(stamp, wanted)
  },

  async chromium(root) {
    if (findChromium() === null) await installFromDebian(root, "chromium", "for the login tests")
  },

  async curl(root) {
    if (Bun.which("curl") === null) await installFromDebian(root, "curl", "to run the snippet of that name")
  },

  async python3(root) {
    if (Bun.which("python3") === null) await installFromDebian(root, "python3", "to play the service manager")
  },

  async systemd(root) {
    if (Bun.which("systemd-analyze") === null) await installFromDebian(root, "systemd", "to check the service's unit")
  },

  async promtool(root) {
    if (findPromtool(root) !== null) return
    // The package would also start a server: only its tool is taken out.
    const folder = join(root, PROMTOOL)
    mkdirSync(folder, { recursive: true })
    const why = "promtool is needed to check the alert rules: install Debian's package prometheus"
    await updateDebian(root, why)
    await must(folder, ["apt-get", "download", "-qq", "prometheus"], why)
    for (const archive of new Bun.Glob("prometheus_*.deb").scanSync({ cwd: folder })) {
      await must(folder, ["dpkg-deb", "--extract", archive, "."], why)
      rmSync(join(folder, archive))
    }
  },

  async zsh(root) {
    if (Bun.which("zsh") === null) await installFromDebian(root, "zsh", "to run its completion")
  },

  async fish(root) {
    if (Bun.which("fish") === null) await installFromDebian(root, "fish", "to run its completion")
  },
}

/** Made ready one after the other, since apt runs only once at a time. */
export const FROM_DEBIAN: ReadonlySet<Need> = new Set([
  "chromium",
  "curl",
  "python3",
  "systemd",
  "promtool",
  "zsh",
  "fish",
])

const PROMTOOL = ".tmp/promtool"

export function findPromtool(root: string): string | null {
  const taken = join(root, PROMTOOL, "usr/bin/promtool")
  return Bun.which("promtool") ?? (existsSync(taken) ? taken : null)
}

export function findChromium(): string | null {
  return Bun.which("chromium") ?? Bun.which("chromium-browser")
}

/** @param purpose completes "... is needed" for a person who must install it by hand */
async function installFromDebian(root: string, name: string, purpose: string): Promise<void> {
  const why = `${name} is needed ${purpose}: install Debian's package ${name}`
  const apt = await updateDebian(root, why)
  await must(root, [...apt, "install", "-y", "-qq", "--no-install-recommends", name], why)
}

/** Gets the lists of packages; what apt-get is called by. @param why for a person who must do it by hand */
async function updateDebian(root: string, why: string): Promise<readonly string[]> {
  if (Bun.which("apt-get") === null) throw new Error(`${why} (this machine has no apt-get)`)
  const rights = process.getuid?.() === 0 ? [] : ["sudo", "-n"]
  if (rights.length > 0 && Bun.which("sudo") === null)
    throw new Error(`${why} (this user is not root, and has no sudo)`)
  // Another program may be installing something.
  const apt = [...rights, "apt-get", "-oDPkg::Lock::Timeout=300"]
  await must(root, [...apt, "update", "-qq"], why)
  return apt
}

/** Runs a command quietly; its output is shown only if it fails. */
async function must(cwd: string, command: readonly string[], complaint: string): Promise<void> {
  const { code, output } = await capture(command, { cwd, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } })
  if (code !== 0) throw new Error(`${complaint}: ${command.join(" ")} ended with code ${code}\n${indent(output)}`)
}

export function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "  ")
}
