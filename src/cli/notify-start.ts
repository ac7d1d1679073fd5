import type { Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import { createNotifier, type Notifier, silentNotifier, watchdogMs } from "./notify.ts"
import { probe } from "./probe.ts"

export interface NotifyStart {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly pid: number
  readonly timers: Timers
  readonly log: Log
  /** Where the server answers, without a slash at the end. */
  readonly server: string
}

/** The notifier that NOTIFY_SOCKET asks for. Never rejects: a server that cannot say how it is still serves. */
export async function startNotifier({ env, pid, timers, log, server }: NotifyStart): Promise<Notifier> {
  const name = env.NOTIFY_SOCKET ?? ""
  if (name === "") return silentNotifier
  try {
    // Loaded only here: nobody else waits for the compiler behind bun:ffi.
    const { openNotifySocket } = await import("./notify-socket.ts")
    return createNotifier({
      socket: openNotifySocket(name),
      timers,
      log,
      watchdogMs: watchdogMs(env, pid),
      healthy: async (signal) => (await probe(server, "/healthz", signal)).status === 200,
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    log.warn("the service manager cannot be told that the server is ready", { reason })
    return silentNotifier
  }
}
