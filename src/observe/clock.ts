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

export const systemClock: Clock = {
  mono: () => performance.now(),
  wall: () => Date.now(),
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
