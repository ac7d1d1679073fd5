/** Tells the service manager how the server is doing (sd_notify(3), systemd.service(5) `Type=notify`). */
import type { Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { NotifySocket } from "./notify-socket.ts"

export interface Notifier {
  /** Serving has begun; from here on the watchdog is answered. */
  ready(url: string): void
  /** Runs a reload between RELOADING and READY; what it returns becomes the status line. */
  reload(work: () => Promise<string>): Promise<void>
  /** The end has begun; asks for more time again and again, for as long as the process works on it. */
  stopping(): void
  close(): void
}

export interface NotifierDeps {
  readonly socket: NotifySocket
  readonly timers: Timers
  readonly log: Log
  /** Time after which a silent process is killed, in milliseconds, or null where nobody watches. */
  readonly watchdogMs: number | null
  /** Whether a request through the front door is answered; never called twice at a time. */
  healthy(signal: AbortSignal): Promise<boolean>
}

/** A state that did not get through is sent again, since the manager waits for it. */
const AGAIN_MS = 250
const MOST_TRIES = 40

/** How much more time a stopping server asks for, and how often, whatever the unit's TimeoutStopSec is. */
const EXTENSION_MS = 30_000
const EXTEND_EVERY_MS = 10_000

/**
 * WATCHDOG_USEC and WATCHDOG_PID of sd_watchdog_enabled(3) as milliseconds, or null where no watchdog is meant for this process. Pure.
 */
export function watchdogMs(env: Readonly<Record<string, string | undefined>>, pid: number): number | null {
  const microseconds = Number(env.WATCHDOG_USEC)
  if (!Number.isSafeInteger(microseconds) || microseconds <= 0) return null
  if (env.WATCHDOG_PID !== undefined && env.WATCHDOG_PID !== String(pid)) return null
  return microseconds / 1000
}

/** Assignments as one message; a line break in a value would begin another one. Pure. */
export function message(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value.replace(/\p{Cc}+/gu, " ").trim()}`)
    .join("\n")
}

export function createNotifier(deps: NotifierDeps): Notifier {
  const { socket, timers, log } = deps
  let cancelState = () => {}
  let cancelWatch = () => {}
  let cancelExtend = () => {}
  let stopping = false
  let closed = false
  let where = ""

  function state(fields: Readonly<Record<string, string>>, triesLeft = MOST_TRIES): void {
    cancelState()
    if (closed || socket.send(message(fields))) return
    if (triesLeft > 1) {
      cancelState = timers.after(AGAIN_MS, () => state(fields, triesLeft - 1))
      return
    }
    log.warn("the service manager does not take messages", { lost: Object.keys(fields).join(", ") })
  }

  /** Half the time allowed, as sd_watchdog_enabled(3) asks for; the answer comes only from a loop and an edge that work. */
  function watch(period: number): void {
    const next = () => {
      if (!closed) watch(period)
    }
    cancelWatch = timers.after(period, () => {
      void proof(period).then((alive) => {
        if (alive && !closed) socket.send("WATCHDOG=1")
        next()
      }, next)
    })
  }

  function extend(): void {
    socket.send(`EXTEND_TIMEOUT_USEC=${EXTENSION_MS * 1000}`)
    cancelExtend = timers.after(EXTEND_EVERY_MS, extend)
  }

  async function proof(period: number): Promise<boolean> {
    // The port closes while streams finish: then a timer that runs is proof enough.
    if (stopping) return true
    const limit = new AbortController()
    // Waiting and asking together stay below the time allowed.
    const cancel = timers.after(period / 2, () => limit.abort())
    try {
      const alive = await deps.healthy(limit.signal).catch(() => false)
      if (!alive && !stopping) log.warn("the server does not answer itself: the watchdog gets no sign of life")
      return alive || stopping
    } finally {
      cancel()
    }
  }

  return {
    ready(url) {
      where = url
      state({ READY: "1", STATUS: `Serving at ${where}` })
      if (deps.watchdogMs !== null) {
        // At once, so that the first period begins when serving does.
        socket.send("WATCHDOG=1")
        watch(deps.watchdogMs / 2)
      }
    },
    async reload(work) {
      const since = socket.monotonicMicroseconds()
      state({ RELOADING: "1", MONOTONIC_USEC: String(since), STATUS: "Reading the configuration again" })
      let status = "the reload failed"
      try {
        status = await work()
      } finally {
        if (!stopping) state({ READY: "1", STATUS: `Serving at ${where}; ${status}` })
      }
    },
    stopping() {
      stopping = true
      state({ STOPPING: "1", STATUS: "Draining: open requests finish, new ones get 503" })
      extend()
    },
    close() {
      closed = true
      cancelState()
      cancelWatch()
      cancelExtend()
      socket.close()
    },
  }
}

/** Where no service manager asks. */
export const silentNotifier: Notifier = {
  ready: () => {},
  reload: async (work) => void (await work()),
  stopping: () => {},
  close: () => {},
}
