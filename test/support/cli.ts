/**
 * Runs commands of the compiled executable against a Pollux under test, as a person or a script does.
 *
 *     const shown = await cli(pollux, ["status", "--json"])
 *     expect(shown.code).toBe(0)
 */
import { appendFileSync } from "node:fs"
import { join } from "node:path"
import type { Running } from "./binary.ts"
import { ensureBuilt } from "./build.ts"
import { findLeaks } from "./leaks.ts"
import { knownSecrets } from "./secrets.ts"
import { until, within } from "./wait.ts"

export interface CliOptions {
  /** What is on standard input; default nothing. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** Where it runs; default: where the server does, so that its configuration is found. */
  readonly cwd?: string
  /** What `--server` names; default: the server under test. Null leaves it to the configuration. */
  readonly server?: string | null
}

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Secrets in what it wrote; a test expects none. */
  readonly leaks: readonly string[]
}

const ENDS_WITHIN = 60_000

/** Runs one command to its end. The server is named with `--server`, since most tests let the system choose the port. */
export async function cli(pollux: Running, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = Bun.spawn([await ensureBuilt(), ...args, ...named(pollux, options)], {
    cwd: options.cwd ?? pollux.cwd,
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
    env: environment(pollux, options),
  })
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const [stdout, stderr] = await within(`pollux ${args.join(" ")} ends`, texts, ENDS_WITHIN).catch((error) => {
    child.kill("SIGKILL")
    throw error
  })
  await child.exited
  const written = stdout + stderr
  record(child.pid, reveals(args) ? stderr : written)
  return { code: child.exitCode, stdout, stderr, leaks: findLeaks(written, knownSecrets()) }
}

/** A command that runs on: on a terminal of its own, or with pipes. */
export interface Interactive extends AsyncDisposable {
  /** All that it has written so far, with its escape sequences. */
  output(): string
  /** What a person sees: `output` without escape sequences. */
  text(): string
  /** Waits until the text has this. */
  sees(what: string | RegExp): Promise<void>
  /** Types, on a terminal only; "\r" is the Enter key, "\x03" Ctrl-C. */
  type(keys: string): void
  resize(columns: number, rows: number): void
  signal(signal: NodeJS.Signals): void
  exited(): Promise<{ readonly code: number | null; readonly signal: string | null }>
}

/** Starts a command on a terminal of 100 by 40. */
export async function cliOnTerminal(
  pollux: Running,
  args: readonly string[],
  options: Omit<CliOptions, "input"> & { readonly columns?: number; readonly rows?: number } = {},
): Promise<Interactive> {
  let output = ""
  let typed = false
  const decoder = new TextDecoder()
  const child = Bun.spawn([await ensureBuilt(), ...args, ...named(pollux, options)], {
    cwd: options.cwd ?? pollux.cwd,
    env: { ...environment(pollux, options), TERM: "xterm-256color" },
    terminal: {
      cols: options.columns ?? 100,
      rows: options.rows ?? 40,
      data: (_, bytes) => {
        output += decoder.decode(bytes, { stream: true })
      },
    },
  })
  const text = () => Bun.stripANSI(output).replaceAll("\r", "")
  const ended = child.exited.then(() => ({
    code: child.exitCode,
    signal: child.signalCode === null ? null : String(child.signalCode),
  }))
  return {
    output: () => output,
    text,
    async sees(what) {
      try {
        await until(`the terminal shows ${what}`, () =>
          typeof what === "string" ? text().includes(what) : what.test(text()),
        )
      } catch (error) {
        throw new Error(`the terminal shows no ${what}, but:\n${text()}`, { cause: error })
      }
    },
    type: (keys) => {
      typed = true
      child.terminal?.write(keys)
    },
    resize: (columns, rows) => child.terminal?.resize(columns, rows),
    signal: (signal) => child.kill(signal),
    exited: () => within(`pollux ${args.join(" ")} ends`, ended, ENDS_WITHIN),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL")
      await child.exited
      child.terminal?.close()
      // What was typed stands in it as well, and may be secret.
      if (!typed) record(child.pid, output)
    },
  }
}

function named(pollux: Running, { server }: CliOptions): readonly string[] {
  return server === null ? [] : ["--server", server ?? pollux.url]
}

function environment(pollux: Running, options: CliOptions): Record<string, string | undefined> {
  return { PATH: process.env.PATH, HOME: join(pollux.cwd, "home"), LANG: "C.UTF-8", TZ: "UTC", ...options.env }
}

/** Commands that print a key because that is their purpose; what they print elsewhere is searched like all the rest. */
function reveals(args: readonly string[]): boolean {
  return (args[0] === "key" && args[1] === "add") || args.includes("--print-key")
}

/** Keeps what was written for the search for secrets at the end of all tests. */
function record(pid: number, text: string): void {
  const folder = process.env.POLLUX_TEST_RECORD
  if (folder !== undefined) appendFileSync(join(folder, `cli-${pid}.log`), text)
}
