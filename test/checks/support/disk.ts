/** A disk that fills up: a small file system in memory where one may be mounted, else a limit on the size of files. */
import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface SmallDisk extends Disposable {
  /** A folder on it. */
  readonly folder: string
  /** For `startPollux`: what makes the limit, where it is one, an error and not a deadly signal. */
  readonly through: readonly string[]
  /** No room is left for the process. */
  fill(pid: number): void
  free(pid: number): void
}

export function smallDisk(): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), "pollux-disk-"))
  const mounted = run("mount", "-t", "tmpfs", "-o", "size=4m", "pollux-check", folder)
  return mounted ? mountedDisk(folder) : limitedDisk(folder)
}

function run(...command: readonly string[]): boolean {
  const [program = ""] = command
  return Bun.which(program) !== null && Bun.spawnSync([...command]).exitCode === 0
}

function mountedDisk(folder: string): SmallDisk {
  const filler = join(folder, "filler")
  return {
    folder,
    through: [],
    fill() {
      for (let size = 65_536; size >= 1; size >>= 4) {
        try {
          for (;;) appendFileSync(filler, Buffer.alloc(size))
        } catch {
          // Full for pieces of this size.
        }
      }
    },
    free: () => rmSync(filler, { force: true }),
    [Symbol.dispose]() {
      run("umount", "-l", folder)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Files of the process cannot grow beyond the size that the largest of the database has: how a quota ends a write. */
export function limitedDisk(folder: string): SmallDisk {
  const limit = (pid: number, bytes: string) => {
    if (!run("prlimit", `--pid=${pid}`, `--fsize=${bytes}:unlimited`))
      throw new Error("prlimit cannot limit the process")
  }
  const sizeOf = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  return {
    folder,
    through: ["sh", "-c", `trap '' XFSZ; exec "$0" "$@"`],
    fill: (pid) => limit(pid, String(Math.min(sizeOf("data.db"), sizeOf("data.db-wal")))),
    free: (pid) => limit(pid, "unlimited"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}
