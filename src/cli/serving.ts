import { type App, startApp } from "../app.ts"
import { loadConfig } from "../config/load.ts"
import type { ReloadOutcome } from "../http/health.ts"
import { systemTimers as timers } from "../observe/clock.ts"
import { EXIT } from "../observe/exit.ts"
import { createLog } from "../observe/log.ts"
import type { Io } from "./command.ts"
import type { Notifier } from "./notify.ts"
import { startNotifier } from "./notify-start.ts"
import { isWide } from "./request-limit.ts"
import { startFailure } from "./start-failure.ts"

/** When the start is over and what it could wait for is seen to, in milliseconds. */
const SETTLED_MS = 250

/** The server's whole life, from its configuration to the exit code. `explicitPath` is that of the configuration, or null. */
export async function serving(explicitPath: string | null, io: Io): Promise<number> {
  const source = { explicitPath, env: io.env, cwd: io.cwd }
  const loaded = loadConfig(source)
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${problem}\n`)
    return EXIT.config
  }
  const { config } = loaded
  const log = createLog({ level: config.basic.logLevel, format: config.basic.logFormat })
  for (const warning of loaded.warnings) log.warn(warning)
  if (!isWide(io.env)) log.warn("upstream requests are limited to 256 at once on this platform")
  // A rejection that nobody awaited must not take every open stream down with it; it is a bug, and is shown as one.
  io.onFault((kind, error) =>
    log.error(kind, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )

  let app: App
  try {
    app = await startApp({ config, log, version: io.version, reload: () => loadConfig(source) })
  } catch (error) {
    const failure = startFailure(error)
    log.error(failure.message)
    log.flush()
    return failure.exitCode
  }
  const notifier = await startNotifier({ env: io.env, pid: process.pid, timers, log, server: app.url })
  notifier.ready(app.url)
  // Not at once: on one core it would come before the first answer.
  timers.after(SETTLED_MS, () => {
    // The executable starts with one that leaves the start uncompiled (scripts/build.ts).
    Bun.unsafe.setJITPolicy(1)
    if (process.platform !== "linux") return
    void import("./http-thread.ts").then(({ calmHttpThread }) => calmHttpThread(app.url, log))
  })
  const code = await untilStopped(app, io, notifier)
  notifier.close()
  log.flush()
  return code
}

/** Serves until a signal has drained the app. */
function untilStopped(app: App, io: Io, notifier: Notifier): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false
    io.onSignal(["SIGHUP"], () => void notifier.reload(async () => reloadStatus(await app.reload())))
    io.onSignal(["SIGTERM", "SIGINT"], (signal) => {
      if (stopping) io.exitNow(128 + (signal === "SIGINT" ? 2 : 15))
      stopping = true
      notifier.stopping()
      app.stop(signal).then(
        (clean) => resolve(clean ? 0 : EXIT.failure),
        () => resolve(EXIT.failure),
      )
    })
  })
}

function reloadStatus(outcome: ReloadOutcome): string {
  if (!outcome.ok) return "the last reload was refused, the log says why"
  return outcome.needsRestart.length === 0
    ? "reloaded"
    : `reloaded; a restart is needed for ${outcome.needsRestart.join(", ")}`
}
