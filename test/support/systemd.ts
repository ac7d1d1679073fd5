/** systemd's own judgement of a unit; it needs no running systemd. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Captured, capture } from "../../scripts/lib/capture.ts"

/** Runs `systemd-analyze ARGS FILE` on a unit with this text. */
export async function analyze(args: readonly string[], unit: string): Promise<Captured> {
  const folder = mkdtempSync(join(tmpdir(), "pollux-unit-"))
  try {
    const path = join(folder, "pollux.service")
    writeFileSync(path, unit)
    return await capture(["systemd-analyze", ...args, path], { cwd: folder, timeout: 30_000 })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The values of a directive, in the order of the unit. */
export function valuesOf(unit: string, directive: string): readonly string[] {
  return unit
    .split("\n")
    .flatMap((line) => (line.startsWith(`${directive}=`) ? [line.slice(directive.length + 1)] : []))
}

/** The system calls that the SystemCallFilter lines of a unit leave, by name, as this systemd knows the sets. */
export async function allowedCalls(unit: string): Promise<readonly string[]> {
  const { stdout } = await capture(["systemd-analyze", "syscall-filter"], { cwd: tmpdir() })
  const sets = new Map<string, string[]>()
  let current: string[] = []
  for (const line of stdout.split("\n")) {
    if (line.startsWith("@")) {
      current = []
      sets.set(line.trim(), current)
    } else if (/^ {4}[@\w]/.test(line)) current.push(line.trim())
  }
  const expand = (name: string): readonly string[] =>
    name.startsWith("@") ? (sets.get(name) ?? []).flatMap(expand) : [name]

  const allowed = new Set<string>()
  for (const value of valuesOf(unit, "SystemCallFilter")) {
    const names = value.replace(/^~/, "").split(" ").flatMap(expand)
    if (names.length === 0) throw new Error(`systemd knows none of ${value}`)
    for (const name of names) {
      if (value.startsWith("~")) allowed.delete(name)
      else allowed.add(name)
    }
  }
  // Always there, so that a service can be started at all (systemd.exec(5), SystemCallFilter).
  return [...new Set([...allowed, ...expand("@default"), "execve", "exit", "exit_group", "sigreturn", "rt_sigreturn"])]
}
