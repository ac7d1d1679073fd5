/**
 * Starts the compiled executable as an operator does: own folder, own configuration, own environment, real sockets.
 *
 *     await using pollux = await startPollux({ config: { providers: { geminicli: { api_url: google.url } } } })
 *     const models = await pollux.api("/geminicli/v1beta/models")
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stringify } from "smol-toml"
import { ensureBuilt, type Program } from "./build.ts"
import { findLeaks } from "./leaks.ts"
import { freshKey, knownSecrets, secret } from "./secrets.ts"
import { until, within } from "./wait.ts"

export type TomlTable = { readonly [key: string]: TomlValue }
type TomlValue = string | number | boolean | readonly TomlValue[] | TomlTable

export interface StartOptions {
  /**
   * The configuration: a table, whose `basic` is completed with loopback, port 0 and a fresh key, or whole TOML text.
   * A text that has no `[basic]` is completed likewise, so that fakes' `config()` can be given as they are.
   */
  readonly config?: TomlTable | string
  /** Added to an otherwise nearly empty environment. */
  readonly env?: Readonly<Record<string, string>>
  /** The folder to run in, made by the caller and kept; default: a fresh one, removed at the end. */
  readonly cwd?: string
  readonly program?: Program
  /** Arguments; default none, which serves. */
  readonly args?: readonly string[]
  /** Program and arguments that run the executable in their own place. */
  readonly through?: readonly string[]
  /** Time to the first "listening" line, in milliseconds. */
  readonly startWithin?: number
}

/** One line of the JSON log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string; readonly level: string }

/** How it ended: `code` is null when a signal ended it, `signal` (`SIGKILL`) when none did. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

export interface Running extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, without a slash at the end; another one after `restart`. */
  readonly url: string
  readonly key: string
  readonly pid: number
  /** Where it runs; its database is `data.db` there. */
  readonly cwd: string
  /** All it has written so far, over restarts. */
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  /** The log lines that are JSON. */
  log(): readonly LogLine[]
  /** Waits for a log line of this event, from the start or from `after` lines on. */
  logged(event: string, after?: number): Promise<LogLine>
  /** A request with the key; `path` begins with a slash. */
  api(path: string, init?: BunFetchRequestInit): Promise<Response>
  signal(signal: NodeJS.Signals): void
  exited(): Promise<Exit>
  /** SIGTERM, then its end. */
  stop(): Promise<Exit>
  /** SIGKILL, then its end. */
  kill(): Promise<Exit>
  /** Starts again on the same data after it has ended (it is stopped if it has not), with another configuration if given. */
  restart(options?: Pick<StartOptions, "config" | "env">): Promise<void>
  /** Secrets in what it wrote; a test expects none. */
  leaks(): readonly string[]
}

const START_WITHIN = 15_000
const STOP_WITHIN = 20_000

const alive = new Set<Bun.Subprocess>()
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL")
})

export async function startPollux(options: StartOptions = {}): Promise<Running> {
  const binary = await ensureBuilt(options.program)
  const cwd = options.cwd ?? mkdtempSync(join(tmpdir(), "pollux-test-"))
  const home = join(cwd, "home")
  mkdirSync(home, { recursive: true })
  let current = options
  let key = writeConfig(cwd, current.config, null)
  const stdout: string[] = []
  const stderr: string[] = []
  const parsed: LogLine[] = []
  let ended: Promise<Exit> = Promise.resolve({ code: null, signal: null })
  let child: Bun.Subprocess<"ignore", "pipe", "pipe"> | null = null
  let url = ""

  const start = async () => {
    const from = stdout.length
    const started = Bun.spawn([...(options.through ?? []), binary, ...(options.args ?? [])], {
      cwd,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env.PATH, HOME: home, LANG: "C.UTF-8", ...current.env },
    })
    child = started
    alive.add(started)
    const drained = Promise.all([
      readLines(started.stdout, (line) => {
        stdout.push(line)
        const entry = parseLine(line)
        if (entry !== null) parsed.push(entry)
        record(started.pid, line)
      }),
      readLines(started.stderr, (line) => {
        stderr.push(line)
        record(started.pid, line)
      }),
    ])
    ended = started.exited.then(async () => {
      await drained
      alive.delete(started)
      return { code: started.exitCode, signal: started.signalCode === null ? null : String(started.signalCode) }
    })
    url = await until(
      "Pollux says where it listens",
      () => {
        const line = stdout.slice(from).find((text) => /\blistening\b/.test(text))
        // Stands in both forms of the log.
        const named = /\bhttps?:\/\/[\w.:[\]-]+/.exec(line ?? "")
        if (named !== null) return named[0]
        return started.exitCode === null && started.signalCode === null ? null : ""
      },
      options.startWithin ?? START_WITHIN,
    )
    if (url !== "") return
    const { code, signal } = await ended
    throw new StartFailure(code, signal, [...stdout, ...stderr].join("\n"))
  }

  const end = async (signal: NodeJS.Signals) => {
    child?.kill(signal)
    return within(`Pollux ends after ${signal}`, ended, STOP_WITHIN)
  }
  const cleanUp = async () => {
    await end("SIGKILL")
    if (options.cwd === undefined) rmSync(cwd, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await cleanUp()
    throw error
  }

  return {
    get url() {
      return url
    },
    get key() {
      return key
    },
    get pid() {
      return child?.pid ?? -1
    },
    cwd,
    stdout,
    stderr,
    log: () => parsed,
    logged: (event, after = 0) =>
      until(`the log has "${event}"`, () => parsed.slice(after).find((line) => line.event === event)),
    api: (path, init = {}) => {
      const headers = new Headers(init.headers)
      if (!headers.has("authorization") && !headers.has("x-goog-api-key")) headers.set("authorization", `Bearer ${key}`)
      return fetch(`${url}${path}`, { ...init, headers })
    },
    signal: (signal) => {
      child?.kill(signal)
    },
    exited: () => ended,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    restart: async (change = {}) => {
      await end("SIGTERM")
      current = { ...current, ...change }
      key = writeConfig(cwd, current.config, key)
      await start()
    },
    leaks: () => findLeaks([...stdout, ...stderr].join("\n"), knownSecrets()),
    [Symbol.asyncDispose]: cleanUp,
  }
}

/** Pollux ended instead of listening. */
export class StartFailure extends Error {
  override readonly name = "StartFailure"
  constructor(
    readonly code: number | null,
    readonly signal: string | null,
    readonly output: string,
  ) {
    super(`Pollux ended (${signal ?? `code ${code}`}) before it listened:\n${output}`)
  }
}

/** Writes `config.toml` and returns the key that stands in it. */
function writeConfig(cwd: string, config: TomlTable | string = {}, keep: string | null): string {
  const basic = {
    listen_addr: "127.0.0.1",
    listen_port: 0,
    loglevel: "debug",
    pollux_key: keep ?? freshKey(),
    ...(typeof config === "string" ? {} : (config.basic as TomlTable | undefined)),
  }
  let text: string
  if (typeof config !== "string") text = stringify({ ...config, basic })
  else if (/^\s*\[basic\]/m.test(config)) text = config
  else text = `${stringify({ basic })}\n${config}`
  writeFileSync(join(cwd, "config.toml"), text, { mode: 0o600 })
  const named = /^\s*pollux_key\s*=\s*"([^"]*)"/m.exec(text)?.[1]
  return named === undefined || named.length < 8 ? (named ?? String(basic.pollux_key)) : secret(named)
}

function parseLine(line: string): LogLine | null {
  try {
    const entry: unknown = JSON.parse(line)
    return isLogLine(entry) ? entry : null
  } catch {
    return null // text of a person's kind
  }
}

function isLogLine(value: unknown): value is LogLine {
  return (
    typeof value === "object" &&
    value !== null &&
    "event" in value &&
    typeof value.event === "string" &&
    "level" in value &&
    typeof value.level === "string"
  )
}

/** Keeps what was written for the search for secrets at the end of all tests. */
function record(pid: number, line: string): void {
  const folder = process.env.POLLUX_TEST_RECORD
  if (folder !== undefined) appendFileSync(join(folder, `pollux-${pid}.log`), `${line}\n`)
}

async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) take(line)
  }
  if (rest !== "") take(rest)
}
