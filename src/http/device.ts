import type { Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { DeviceFlow, DeviceStart, Exchanged } from "./ports.ts"
import { within } from "./within.ts"

/** What `slow_down` adds to the interval (RFC 8628, 3.5), and the shortest interval used, in milliseconds. */
const SLOW_DOWN_MS = 5_000
const SHORTEST_MS = 1_000

/** Longest time one question may take. */
const POLL_MS = 30_000

export interface DevicePoll {
  readonly device: DeviceFlow
  readonly started: DeviceStart
  readonly timers: Timers
  readonly log: Log
  /** Whether the login still waits; asking stops as soon as it does not. */
  wanted(): boolean
  /** The person said yes or no. */
  won(exchanged: Exchanged): void
}

/**
 * Asks at the provider's interval until the person has decided or the login has expired. A failed question is asked again.
 * @returns what stops it
 */
export function pollDevice({ device, started, timers, log, wanted, won }: DevicePoll): () => void {
  let interval = Math.max(SHORTEST_MS, started.intervalMs)
  let cancel: () => void = () => undefined
  let stopped = false
  const later = () => {
    if (stopped) return
    cancel = timers.after(interval, () => {
      if (wanted()) void ask()
    })
  }
  const ask = async () => {
    try {
      const answer = await within(timers, POLL_MS, (signal) => device.poll(started.handle, signal))
      if (answer.kind === "ok" || answer.kind === "failed") {
        won(answer)
        return
      }
      if (answer.kind === "slow_down") interval += SLOW_DOWN_MS
    } catch (error) {
      // Connection trouble is no answer: back off as for slow_down (RFC 8628, 3.5) and ask again.
      interval += SLOW_DOWN_MS
      log.debug("device login: the provider did not answer", { error: String(error) })
    }
    later()
  }
  later()
  return () => {
    stopped = true
    cancel()
  }
}
