import type { Clock, Random, Timers } from "../../../src/observe/clock.ts"

/** A clock and its timers, driven by hand. */
export class HandTime implements Clock, Timers {
  #mono = 1_000
  #wall = Date.UTC(2026, 0, 1)
  #tasks: { at: number; task: () => void }[] = []

  mono(): number {
    return this.#mono
  }

  wall(): number {
    return this.#wall
  }

  after(ms: number, task: () => void): () => void {
    const entry = { at: this.#mono + ms, task }
    this.#tasks.push(entry)
    return () => {
      this.#tasks = this.#tasks.filter((other) => other !== entry)
    }
  }

  get timers(): number {
    return this.#tasks.length
  }

  /** The system clock is set: the wall face moves, the monotonic one does not. */
  jump(ms: number): void {
    this.#wall += ms
  }

  /** Time passes; timers that are due run in order, and promises between them. */
  async pass(ms: number): Promise<void> {
    const end = this.#mono + ms
    for (;;) {
      await settled()
      const due = this.#tasks.filter((entry) => entry.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#tasks = this.#tasks.filter((entry) => entry !== due)
      this.#move(Math.max(due.at, this.#mono))
      due.task()
    }
    this.#move(end)
    await settled()
  }

  /** Time passes without any timer running, as when the process was busy. */
  skip(ms: number): void {
    this.#move(this.#mono + ms)
  }

  #move(to: number): void {
    this.#wall += to - this.#mono
    this.#mono = to
  }
}

/** Lets every promise that can settle do so. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

/** Deterministic chance. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
