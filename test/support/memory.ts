import { readdirSync, readFileSync, readlinkSync } from "node:fs"

export interface Memory {
  /** Resident set, and its peak since the process began, in bytes. */
  readonly rss: number
  readonly peak: number
}

/** What a process occupies now (Linux: `/proc`). */
export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? Number.NaN)
  return { rss: kilobytes("VmRSS") * 1024, peak: kilobytes("VmHWM") * 1024 }
}

/** How many sockets a process has open (Linux: `/proc`). */
export function socketsOf(pid: number): number {
  let sockets = 0
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:")) sockets++
    } catch {
      // Closed while the list was read.
    }
  }
  return sockets
}
