import type { Clock, Timers } from "../../../src/observe/clock.ts"

export interface HandTime {
  readonly clock: Clock
  readonly timers: Timers
  /** Timers set and neither run nor cancelled. */
  readonly pending: number
  /** Moves time on, running what falls due on the way, and lets promises settle in between. */
  pass(ms: number): Promise<void>
}

/** Time that passes only when told to. */
export function handTime(): HandTime {
  let now = 1_000
  let next = 1
  const tasks = new Map<number, { at: number; task: () => void }>()
  const settle = (): Promise<void> => Bun.sleep(1)
  return {
    clock: { mono: () => now, wall: () => 1_700_000_000_000 + now },
    timers: {
      after(ms, task) {
        const id = next++
        tasks.set(id, { at: now + ms, task })
        return () => void tasks.delete(id)
      },
    },
    get pending() {
      return tasks.size
    },
    async pass(ms) {
      const end = now + ms
      while (true) {
        const due = [...tasks].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0]
        if (due === undefined) break
        const [id, { at, task }] = due
        tasks.delete(id)
        now = Math.max(now, at)
        task()
      }
      now = end
      await settle()
    },
  }
}
