import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { capture } from "./capture.ts"
import type { Need } from "./suites.ts"

/** What the tests need beyond the packages; each is made ready once, and says what is wrong in words for a person. */
export const PREPARE: Readonly<Record<Need, (root: string) => Promise<void>>> = {
  async executable(root) {
    await must(root, [process.execPath, "scripts/build.ts"], "the executable could not be built")
    await must(root, [process.execPath, "scripts/build.ts", "--faults"], "the executable could not be built")
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
    if (findChromium() !== null) return
    const why = "headless Chromium is needed for the login tests: install Debian's package chromium"
    if (Bun.which("apt-get") === null) throw new Error(`${why} (this machine has no apt-get)`)
    const rights = process.getuid?.() === 0 ? [] : ["sudo", "-n"]
    if (rights.length > 0 && Bun.which("sudo") === null)
      throw new Error(`${why} (this user is not root, and has no sudo)`)
    await must(root, [...rights, "apt-get", "update", "-qq"], why)
    await must(root, [...rights, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], why)
    if (findChromium() === null) throw new Error(why)
  },
}

export function findChromium(): string | null {
  return Bun.which("chromium") ?? Bun.which("chromium-browser")
}

/** Runs a command quietly; its output is shown only if it fails. */
async function must(cwd: string, command: readonly string[], complaint: string): Promise<void> {
  const { code, output } = await capture(command, { cwd, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } })
  if (code !== 0) throw new Error(`${complaint}: ${command.join(" ")} ended with code ${code}\n${indent(output)}`)
}

export function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "  ")
}
