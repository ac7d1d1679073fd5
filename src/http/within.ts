import type { Timers } from "../observe/clock.ts"

/** Runs work that stops when its signal says so, and says so after `ms` milliseconds. */
export async function within<T>(timers: Timers, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const cancel = timers.after(ms, () => controller.abort(new DOMException("no answer in time", "TimeoutError")))
  try {
    return await work(controller.signal)
  } finally {
    cancel()
  }
}
