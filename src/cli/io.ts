import { EXIT } from "../observe/exit.ts"
import type { Io } from "./command.ts"
import { VERSION } from "./version.ts"

/** An Io whose output can be waited for. */
export interface ProcessIo extends Io {
  /**
   * Resolves once everything written so far was taken, or cannot be: to be awaited before the process ends.
   * @returns the code to end with: `code`, unless a command that says that all went well could not show what it had to
   */
  finish(code: number): Promise<number>
}

/** The real world, as commands see it. `target` is the process; nothing else in `cli` touches it. */
export function createIo(target: NodeJS.Process): ProcessIo {
  const env = target.env
  const writing = new Set<Promise<void>>()
  const failed = new Map<NodeJS.WriteStream, unknown>()
  const unheard = new AbortController()
  const fail = (stream: NodeJS.WriteStream, error: unknown) => {
    if (!failed.has(stream)) failed.set(stream, error)
    if (stream === target.stdout) unheard.abort()
  }
  const watched = new Set<NodeJS.WriteStream>()
  // A pipe takes some 64 KiB at once; only the write's own callback says that the rest has gone, too.
  const write = (stream: NodeJS.WriteStream, text: string) => {
    if (text === "" || failed.has(stream)) return
    if (!watched.has(stream)) {
      watched.add(stream)
      // Without a listener the runtime ends the process, with a stack trace and whatever code.
      stream.on("error", (error) => fail(stream, error))
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    writing.add(promise)
    const end = (error?: unknown) => {
      if (error !== undefined && error !== null) fail(stream, error)
      writing.delete(promise)
      resolve()
    }
    try {
      stream.write(text, end)
    } catch (error) {
      // A pipe that nobody reads any more throws right here.
      end(error)
    }
  }
  return {
    env,
    cwd: target.cwd(),
    version: VERSION,
    // The streams are made when they are asked for, which takes milliseconds: a server that starts looks at none of them.
    get terminal() {
      return target.stdout.isTTY === true
    },
    get color() {
      return useColor(env, target.stdout.isTTY === true)
    },
    get columns() {
      return target.stdout.columns ?? 100
    },
    get rows() {
      return target.stdout.rows ?? 24
    },
    get interactive() {
      return target.stdin.isTTY === true && target.stderr.isTTY === true
    },
    out: (text) => write(target.stdout, text),
    err: (text) => write(target.stderr, text),
    unheard: unheard.signal,
    async finish(code) {
      await Promise.all(writing)
      const reason = failed.size === 0 ? null : lossOf(failed.get(target.stdout))
      if (code !== EXIT.ok || reason === null) return code
      write(target.stderr, `pollux: the output could not be written: ${reason}\n`)
      await Promise.all(writing)
      return EXIT.io
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

/** Why output was lost, in words; null when it was not, or when its reader had seen enough and left. Pure. */
function lossOf(error: unknown): string | null {
  if (error === undefined) return null
  const code = error instanceof Error && "code" in error ? error.code : ""
  if (code === "EPIPE") return null
  if (code === "ENOSPC" || code === "EDQUOT") return "the disk is full"
  return error instanceof Error ? error.message : String(error)
}

/** NO_COLOR (no-color.org) beats FORCE_COLOR beats the terminal. Pure. */
export function useColor(env: Readonly<Record<string, string | undefined>>, terminal: boolean): boolean {
  if ((env.NO_COLOR ?? "") !== "") return false
  if ((env.FORCE_COLOR ?? "") !== "" && env.FORCE_COLOR !== "0") return true
  return terminal && env.TERM !== "dumb"
}
