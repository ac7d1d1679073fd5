/** Processes of a benchmark: pinned to CPUs, waited for until they answer, with what they used of CPU and memory. */
import { readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:net"

/** Kernel ticks a second in /proc (USER_HZ is 100 on every Linux). */
const TICKS = 100
/** How JavaScriptCore names the threads that compile. */
const COMPILER = "JITWorker"

export interface Used {
  /** CPU seconds, user and system. */
  readonly cpu: number
  /** What of that the runtime's compiler used; 0 where the kernel does not count by thread. */
  readonly compiling: number
  /** Resident bytes. */
  readonly rss: number
  /** The highest resident bytes so far. */
  readonly peak: number
}

interface Thread {
  readonly nanoseconds: number
  readonly compiles: boolean
}

export class Pinned implements AsyncDisposable {
  /** CPU of the threads that were met, by process: one that ended since keeps what it had. */
  private readonly threads = new Map<number, Map<string, Thread>>()

  private constructor(private readonly child: Bun.Subprocess) {}

  /** @param cpus as taskset takes them, or null for any */
  static start(
    command: readonly string[],
    options: {
      readonly cpus: string | null
      readonly cwd: string
      readonly env: Record<string, string>
      readonly log: string
    },
  ): Pinned {
    const pinned = options.cpus === null ? command : ["taskset", "-c", options.cpus, ...command]
    const file = Bun.file(options.log)
    const env = { PATH: process.env.PATH ?? "", HOME: options.cwd, LANG: "C.UTF-8", ...options.env }
    return new Pinned(Bun.spawn([...pinned], { cwd: options.cwd, env, stdin: "ignore", stdout: file, stderr: file }))
  }

  get pid(): number {
    return this.child.pid
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  used(): Used {
    let cpu = 0
    let compiling = 0
    let rss = 0
    let peak = 0
    for (const pid of this.family()) {
      const seconds = this.cpuSeconds(pid)
      cpu += seconds.all
      compiling += seconds.compiling
      const status = readFileSync(`/proc/${pid}/status`, "utf8")
      rss += kilobytes(status, "VmRSS")
      peak += kilobytes(status, "VmHWM")
    }
    return { cpu, compiling, rss, peak }
  }

  /** To the nanosecond, where the kernel counts threads so; else in ticks, of which a second has a hundred. */
  private cpuSeconds(pid: number): { readonly all: number; readonly compiling: number } {
    const threads = this.threads.get(pid) ?? new Map<string, Thread>()
    this.threads.set(pid, threads)
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const folder = `/proc/${pid}/task/${thread}`
      const counted = readOrNull(`${folder}/schedstat`)
      if (counted === null) continue
      const compiles = threads.get(thread)?.compiles ?? readOrNull(`${folder}/comm`)?.trim() === COMPILER
      threads.set(thread, { nanoseconds: Number(counted.split(" ", 1)[0]), compiles })
    }
    if (threads.size > 0) {
      const sum = (some: Iterable<Thread>): number => Iterator.from(some).reduce((all, one) => all + one.nanoseconds, 0)
      return {
        all: sum(threads.values()) / 1e9,
        compiling: sum(threads.values().filter(({ compiles }) => compiles)) / 1e9,
      }
    }
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { all: (Number(fields[11]) + Number(fields[12])) / TICKS, compiling: 0 }
  }

  /** The process and its children: nginx works in a worker. */
  private family(): readonly number[] {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8").trim()
    return [this.pid, ...(children === "" ? [] : children.split(" ").map(Number))]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ended) return
    this.child.kill("SIGTERM")
    const late = setTimeout(() => this.child.kill("SIGKILL"), 3_000)
    await this.child.exited
    clearTimeout(late)
  }
}

/** A thread may have ended meanwhile, and not every kernel keeps such a file. */
function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return null
  }
}

function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024
}

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      )
    })
  })
}

/** @throws Error when nobody listens in time, or the process has ended */
export async function untilListening(port: number, what: string, of: Pinned, ms = 10_000): Promise<void> {
  const deadline = performance.now() + ms
  while (performance.now() < deadline) {
    if (of.ended) throw new Error(`${what} ended at its start`)
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })
      socket.end()
      return
    } catch {
      await Bun.sleep(20)
    }
  }
  throw new Error(`${what} does not listen`)
}

/** Runs a command to its end and gives what it printed. @throws Error with what it printed */
export async function run(command: readonly string[], cpus: string | null, cwd?: string): Promise<string> {
  const pinned = cpus === null ? command : ["taskset", "-c", cpus, ...command]
  const child = Bun.spawn([...pinned], { ...(cwd !== undefined && { cwd }), stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    Bun.readableStreamToText(child.stdout),
    Bun.readableStreamToText(child.stderr),
    child.exited,
  ])
  if (code !== 0) throw new Error(`${command.join(" ")} ended with code ${code}\n${out}${err}`)
  return out
}
