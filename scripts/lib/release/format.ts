/** What kind of executable a file is, read from its first bytes. Pure. */

export interface Format {
  readonly system: "linux" | "darwin" | "windows"
  readonly machine: "x64" | "arm64"
  /** The C library that a Linux executable is started by. */
  readonly libc: "glibc" | "musl" | null
}

const ELF_MACHINES: Readonly<Record<number, Format["machine"]>> = { 62: "x64", 183: "arm64" }
const MACH_MACHINES: Readonly<Record<number, Format["machine"]>> = { 16777223: "x64", 16777228: "arm64" }
const PE_MACHINES: Readonly<Record<number, Format["machine"]>> = { 34404: "x64", 43620: "arm64" }

/** @param head at least the first 4 KiB of the file; null for what is none of the three */
export function formatOf(head: Uint8Array): Format | null {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const magic = view.getUint32(0, false)
  if (magic === 0x7f454c46) {
    const machine = ELF_MACHINES[view.getUint16(18, true)]
    const loader = /\/lib(?:64)?\/ld-[\w.-]+/.exec(Buffer.from(head).toString("latin1"))?.[0] ?? ""
    const libc = loader.includes("ld-musl") ? "musl" : loader.includes("ld-linux") ? "glibc" : null
    return machine === undefined ? null : { system: "linux", machine, libc }
  }
  if (magic === 0xcffaedfe) {
    const machine = MACH_MACHINES[view.getUint32(4, true)]
    return machine === undefined ? null : { system: "darwin", machine, libc: null }
  }
  if (magic >>> 16 === 0x4d5a) {
    const header = view.getUint32(0x3c, true)
    if (header + 6 > head.length || view.getUint32(header, false) !== 0x50450000) return null
    const machine = PE_MACHINES[view.getUint16(header + 4, true)]
    return machine === undefined ? null : { system: "windows", machine, libc: null }
  }
  return null
}
