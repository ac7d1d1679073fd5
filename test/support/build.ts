import { mkdirSync, rmSync, statSync } from "node:fs"
import { join, resolve } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { until } from "./wait.ts"

const root = resolve(import.meta.dir, "../..")
const BUILD_TIMEOUT = 60_000

/** `pollux-faults` obeys the crash points. */
export type Program = "pollux" | "pollux-faults"

/**
 * Builds the executable if it is missing or older than what it is made of, once even when several test processes ask; its path.
 * `scripts/test` has built it, and says where in POLLUX_TEST_BUILT.
 */
export async function ensureBuilt(program: Program = "pollux"): Promise<string> {
  const built = process.env.POLLUX_TEST_BUILT
  if (built !== undefined) return join(built, program)
  const path = join(root, "dist", program)
  if (changed(path) >= newestSource()) return path
  const lock = join(root, ".tmp", `${program}.building`)
  mkdirSync(join(root, ".tmp"), { recursive: true })
  await until(`another process has built ${program} (remove ${lock} if none runs)`, () => take(lock), BUILD_TIMEOUT)
  try {
    if (changed(path) >= newestSource()) return path
    const flags = program === "pollux-faults" ? ["--faults"] : []
    const { code, output } = await capture([process.execPath, "scripts/build.ts", ...flags], { cwd: root })
    if (code !== 0) throw new Error(`the executable could not be built:\n${output}`)
    return path
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

/** Making a folder is atomic; one left by a killed process is taken over when it is old. */
function take(lock: string): boolean {
  try {
    mkdirSync(lock)
    return true
  } catch {
    if (Date.now() - changed(lock) > BUILD_TIMEOUT) rmSync(lock, { recursive: true, force: true })
    return false
  }
}

function newestSource(): number {
  const files = [...new Bun.Glob("src/**/*").scanSync({ cwd: root })]
  return Math.max(
    ...[...files, "package.json", "bun.lock", "scripts/build.ts"].map((file) => changed(join(root, file))),
  )
}

/** Time of the last change in milliseconds; 0 where there is nothing. */
function changed(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
