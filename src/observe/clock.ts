import { readFileSync } from "node:fs"

/**
 * Time and chance, passed in wherever they matter, so that every decision can be tested with values.
 *
 * Deadlines are kept on the monotonic face, which no clock jump moves; what is stored or shown is on the wall face.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start, never going back. */
  mono(): number
  /** Milliseconds since the Unix epoch. */
  wall(): number
}

/** One-shot timers, so that tests can drive them by hand. */
export interface Timers {
  /** Runs `task` once after `ms` milliseconds; returns what cancels it. */
  after(ms: number, task: () => void): () => void
}

/** A number in [0, 1). */
export type Random = () => number

/** Set in test builds only (`--define POLLUX_FAULTS=true`); elsewhere what hangs on it is compiled away. */
declare const POLLUX_FAULTS: boolean | undefined

export const systemClock: Clock =
  typeof POLLUX_FAULTS === "undefined" || !POLLUX_FAULTS
    ? { mono: () => performance.now(), wall: () => Date.now() }
    : { mono: () => performance.now() + shift("mono"), wall: () => Date.now() + shift("wall") }

/**
 * How far a test build is told to have its clock moved: the file that the environment variable POLLUX_FAULT_CLOCK names holds
 * `{ "mono": milliseconds, "wall": milliseconds }`, and is read each time, so that a test can let the clock jump while it serves.
 */
function shift(face: keyof Clock): number {
  const path = process.env.POLLUX_FAULT_CLOCK
  if (path === undefined) return 0
  const moved: unknown = JSON.parse(readFileSync(path, "utf8"))
  const ms: unknown = typeof moved === "object" && moved !== null ? Reflect.get(moved, face) : undefined
  return typeof ms === "number" ? ms : 0
}

/** Longest delay `setTimeout` takes before it wraps to zero, in milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1

export const systemTimers: Timers = {
  after(ms, task) {
    const handle = setTimeout(task, Math.min(Math.max(0, ms), LONGEST_TIMEOUT))
    return () => clearTimeout(handle)
  },
}

/** A value that a reload may replace: readers take `.current` at each use and never keep it. */
export interface Live<T> {
  readonly current: T
}
