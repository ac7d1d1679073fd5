/**
 * Builds the standalone executable.
 *
 *     bun scripts/build.ts                                  dist/pollux
 *     bun scripts/build.ts --faults                         dist/pollux-faults, which obeys the crash points of the tests
 *     bun scripts/build.ts --target=bun-linux-arm64 --outfile=dist/pollux-linux-arm64
 *
 * Two constants are put into the program: POLLUX_REVISION (the git commit, with "-dirty" where the tree differs from it; the
 * variable of that name where there is no git) and POLLUX_FAULTS.
 */
import { mkdirSync, renameSync, rmSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"

const root = resolve(import.meta.dir, "..")

/**
 * How much later than usual the executable compiles what runs often. What runs in a start runs then and never again: by its usual
 * measure the compiler takes a third of it (19 ms of 64 on one core with an empty pool, 32 of 95 with 1,000 credentials). A server
 * goes back to that measure once it serves (src/cli/serving.ts); a command is over before it would matter.
 */
const JIT_POLICY = 200

export interface BuildOptions {
  /** Program's first file. */
  readonly entry: string
  /** Where the executable goes; replaced in one step, so that a running copy is never half overwritten. */
  readonly outfile: string
  /** Whether crash points are compiled in. */
  readonly faults: boolean
  /** `bun-linux-arm64` and the like; null: this machine. */
  readonly target: Bun.Build.CompileTarget | null
  readonly revision: string
}

/**
 * Compiles one executable.
 * @throws AggregateError with what the bundler says
 */
export async function buildExecutable(options: BuildOptions): Promise<void> {
  const folder = dirname(options.outfile)
  mkdirSync(folder, { recursive: true })
  // A folder of its own keeps the name (which the executable carries in its stack traces) independent of this build.
  const staging = join(folder, `.build-${process.pid}`)
  const staged = join(staging, basename(options.outfile))
  try {
    await Bun.build({
      entrypoints: [options.entry],
      compile: {
        outfile: staged,
        autoloadDotenv: false,
        autoloadBunfig: false,
        jitPolicy: JIT_POLICY,
        ...(options.target === null ? {} : { target: options.target }),
      },
      format: "esm",
      // What is imported dynamically becomes a file of its own: in one file all of it would be decoded at each start, twice.
      splitting: true,
      minify: true,
      bytecode: true,
      // Embedded: stack traces name the real file and line without a .map file beside the executable.
      sourcemap: "linked",
      define: {
        POLLUX_REVISION: JSON.stringify(options.revision),
        POLLUX_FAULTS: JSON.stringify(options.faults),
        "process.env.NODE_ENV": JSON.stringify("production"),
      },
    })
    renameSync(staged, options.outfile)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/** The commit this tree stands at, for `pollux --version`. */
export function revisionOf(folder: string, fallback: string | undefined): string {
  const git = (...args: string[]) => {
    try {
      const ran = Bun.spawnSync(["git", ...args], { cwd: folder, stderr: "ignore", stdin: "ignore" })
      return ran.exitCode === 0 ? ran.stdout.toString().trim() : null
    } catch {
      return null // no git on this machine
    }
  }
  const commit = git("rev-parse", "--short=12", "HEAD")
  if (commit === null || commit === "") return fallback ?? "unknown"
  return git("status", "--porcelain", "--untracked-files=no") === "" ? commit : `${commit}-dirty`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      faults: { type: "boolean", default: false },
      target: { type: "string" },
      outfile: { type: "string" },
      entry: { type: "string", default: join(root, "src/main.ts") },
    },
  })
  const target = parseTarget(values.target)
  const named = resolve(values.outfile ?? join(root, values.faults ? "dist/pollux-faults" : "dist/pollux"))
  const outfile = target?.includes("windows") && !named.endsWith(".exe") ? `${named}.exe` : named
  await buildExecutable({
    entry: resolve(values.entry),
    outfile,
    faults: values.faults,
    target,
    revision: revisionOf(root, process.env.POLLUX_REVISION),
  })
  const { size } = Bun.file(outfile)
  console.log(`${outfile} (${(size / 2 ** 20).toFixed(1)} MiB)`)
}

function parseTarget(text: string | undefined): Bun.Build.CompileTarget | null {
  if (text === undefined) return null
  const known = targets.find((target) => target === text)
  if (known === undefined) throw new Error(`unknown target "${text}"; known are ${targets.join(", ")}`)
  return known
}

/** Systems that it is built for. */
export const targets = [
  "bun-linux-x64",
  "bun-linux-arm64",
  "bun-linux-x64-musl",
  "bun-linux-arm64-musl",
  "bun-darwin-x64",
  "bun-darwin-arm64",
  "bun-windows-x64",
] as const satisfies readonly Bun.Build.CompileTarget[]

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    const reasons: readonly unknown[] =
      error instanceof AggregateError && error.errors.length > 0 ? error.errors : [error]
    for (const reason of reasons)
      console.error(reason instanceof Error ? `error: ${reason.message}` : Bun.inspect(reason))
    process.exit(1)
  }
}
