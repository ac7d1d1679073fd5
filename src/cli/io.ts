import type { Io } from "./command.ts"
import { VERSION } from "./version.ts"

/** An Io whose output can be waited for. */
export interface ProcessIo extends Io {
  /** Resolves once everything written so far was taken, or cannot be: to be awaited before the process ends. */
  flush(): Promise<void>
}

/** The real world, as commands see it. `target` is the process; nothing else in `cli` touches it. */
export function createIo(target: NodeJS.Process): ProcessIo {
  const env = target.env
  const writing = new Set<Promise<void>>()
  // A pipe takes some 64 KiB at once; only the write's own callback says that the rest has gone, too.
  const write = (stream: NodeJS.WriteStream, text: string) => {
    if (text === "") return
    const { promise, resolve } = Promise.withResolvers<void>()
    writing.add(promise)
    stream.write(text, () => {
      writing.delete(promise)
      resolve()
    })
  }
  const terminal = target.stdout.isTTY === true
  return {
    env,
    cwd: target.cwd(),
    version: VERSION,
    terminal,
    color: useColor(env, terminal),
    get columns() {
      return target.stdout.columns ?? 100
    },
    get rows() {
      return target.stdout.rows ?? 24
    },
    // Made when it is asked for: a server that starts never looks at its input.
    get interactive() {
      return target.stdin.isTTY === true && target.stderr.isTTY === true
    },
    out: (text) => write(target.stdout, text),
    err: (text) => write(target.stderr, text),
    async flush() {
      await Promise.all(writing)
    },
    readInput: () => Bun.stdin.text(),
    async readLine(prompt, signal) {
      const { createInterface } = await import("node:readline/promises")
      const lines = createInterface({ input: target.stdin, output: target.stderr })
      const { promise: ended, resolve: end } = Promise.withResolvers<null>()
      lines.once("close", () => end(null))
      // The editor takes Ctrl-C away from the terminal: give it back, so that it ends the program as ever.
      lines.once("SIGINT", () => {
        lines.close()
        target.kill(target.pid, "SIGINT")
      })
      const stop = () => lines.close()
      signal?.addEventListener("abort", stop)
      try {
        if (signal?.aborted === true) return null
        return await Promise.race([lines.question(prompt).catch(() => null), ended])
      } finally {
        signal?.removeEventListener("abort", stop)
        lines.close()
      }
    },
    onSignal(signals, handler) {
      for (const signal of signals) target.on(signal, handler)
      return () => {
        for (const signal of signals) target.off(signal, handler)
      }
    },
    onFault(handler) {
      target.on("unhandledRejection", (error) => handler("unhandled rejection", error))
      target.on("uncaughtException", (error) => handler("uncaught exception", error))
    },
    exitNow: (code) => target.exit(code),
  }
}

/** NO_COLOR (no-color.org) beats FORCE_COLOR beats the terminal. Pure. */
export function useColor(env: Readonly<Record<string, string | undefined>>, terminal: boolean): boolean {
  if ((env.NO_COLOR ?? "") !== "") return false
  if ((env.FORCE_COLOR ?? "") !== "" && env.FORCE_COLOR !== "0") return true
  return terminal && env.TERM !== "dumb"
}
