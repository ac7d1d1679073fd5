/**
 * Bun's `fetch` runs at most 256 requests at once and queues the rest in silence; only the environment at exec time lifts
 * that (spec platform T5). One `execve` at start does it: same PID, some 5 ms. Windows has no execve: there the limit stays
 * and is logged.
 */

const LIMIT_VARIABLE = "BUN_CONFIG_MAX_HTTP_REQUESTS"

/** Largest value the runtime takes. */
const LIMIT = 65_535

/** Set on the second run, so that a runtime that drops the variable does not loop. */
const GUARD_VARIABLE = "POLLUX_EXECED"

interface Process {
  readonly env: Record<string, string | undefined>
  readonly execPath: string
  readonly execve?: (file: string, args: string[], env: Record<string, string>) => unknown
}

/** Commands that serve; the others make few requests and start faster without. */
export function needsManyRequests(argv: readonly string[]): boolean {
  const first = argv[0]
  if (argv.includes("--help") || argv.includes("-h") || argv.includes("--version")) return false
  return first === undefined || first === "serve" || first.startsWith("-")
}

/** Whether the running image already has the wide limit. */
export function isWide(env: Process["env"]): boolean {
  return Number(env[LIMIT_VARIABLE]) >= LIMIT
}

/** Replaces the process image if it is needed; returns only if it is not, or cannot be done. */
export function liftRequestLimit(argv: readonly string[], process: Process): void {
  if (!needsManyRequests(argv) || isWide(process.env)) return
  if (process.execve === undefined || process.env[GUARD_VARIABLE] !== undefined) return
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value
  try {
    process.execve(process.execPath, [process.execPath, ...argv], {
      ...env,
      [LIMIT_VARIABLE]: String(LIMIT),
      [GUARD_VARIABLE]: "1",
    })
  } catch {
    // The executable was replaced in this very moment (an upgrade), or may not be run again: serving with the narrow limit, which
    // `serve` logs, is better than not serving.
  }
}
