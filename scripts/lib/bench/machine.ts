/** What the figures were measured on, and whether it was quiet. */

import { readFileSync } from "node:fs"
import { cpus, loadavg, release, totalmem } from "node:os"

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly bun: string
  readonly tools: readonly string[]
}

/** CPUs for the two sides, as taskset takes them. With one core both share it. */
export interface Pins {
  /** The subject alone. */
  readonly subject: string | null
  /** Load and upstream. */
  readonly rest: string | null
}

export function pinsFor(cores: number): Pins {
  if (cores < 2 || Bun.which("taskset") === null) return { subject: null, rest: null }
  return { subject: "0", rest: cores === 2 ? "1" : `1-${cores - 1}` }
}

export function describeMachine(tools: readonly string[]): Machine {
  const list = cpus()
  return {
    cpu: list[0]?.model.trim() ?? "unknown",
    cores: list.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    bun: Bun.version,
    tools,
  }
}

/** Most of the machine that others may use while something is measured. */
const BUSY_SHARE = 0.05
const BUSY_LOAD = 0.5

/** Why the machine is too busy to measure on, or null. Pure. */
export function busyReason(usedShare: number, load: number): string | null {
  const percent = (share: number): string => `${Math.round(share * 100)} %`
  if (usedShare > BUSY_SHARE) return `other processes use ${percent(usedShare)} of the CPUs`
  if (load > BUSY_LOAD + 1) return `the load average is ${load.toFixed(1)}`
  return null
}

/** Share of CPU time in use, over two seconds. */
export async function usedShare(ms = 2_000): Promise<number> {
  const before = cpuTimes()
  await Bun.sleep(ms)
  const after = cpuTimes()
  return 1 - (after.idle - before.idle) / (after.all - before.all)
}

export async function whyBusy(): Promise<string | null> {
  return busyReason(await usedShare(), loadavg()[0] ?? 0)
}

function cpuTimes(): { readonly idle: number; readonly all: number } {
  const [first = ""] = readFileSync("/proc/stat", "utf8").split("\n")
  const fields = first.split(/\s+/).slice(1, 9).map(Number)
  const [, , , idle = 0, waiting = 0] = fields
  return { idle: idle + waiting, all: fields.reduce((sum, value) => sum + value, 0) }
}
