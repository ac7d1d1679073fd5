export interface Captured {
  readonly stdout: string
  readonly stderr: string
  /** Both, standard output first. */
  readonly output: string
  /** Null when a signal ended it. */
  readonly code: number | null
}

export interface CaptureOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Milliseconds after which it is killed; default: never. */
  readonly timeout?: number
}

/** Runs a command to its end, without input. */
export async function capture(command: readonly string[], options: CaptureOptions): Promise<Captured> {
  const ran = Bun.spawn([...command], {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    killSignal: "SIGKILL",
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
  })
  const [stdout, stderr] = await Promise.all([
    new Response(ran.stdout).text(),
    new Response(ran.stderr).text(),
    ran.exited,
  ])
  return { stdout, stderr, output: stdout + stderr, code: ran.exitCode }
}
