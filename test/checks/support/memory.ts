/** Memory of a process as Linux counts it. */
import { readFileSync, writeFileSync } from "node:fs"

/** Forgets the peak so far (proc(5), clear_refs). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5")
}

/** Most memory in use since the start, or since the last reset, in bytes. */
export function peakMemory(pid: number): number {
  return field(pid, "VmHWM")
}

/** Memory in use, in bytes. */
export function memoryOf(pid: number): number {
  return field(pid, "VmRSS")
}

function field(pid: number, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  if (kib === undefined) throw new Error(`/proc/${pid}/status has no ${name}`)
  return Number(kib) * 1024
}
