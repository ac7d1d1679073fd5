/**
 * Named points at which a test build can be told to die, as by `kill -9`, so that every crash can be tried on purpose.
 *
 * Compiled in only when the build says `--define POLLUX_FAULTS=true`; elsewhere a call costs nothing. The environment variable
 * POLLUX_FAULT names the point, with `:N` for its Nth passing (default the first): `POLLUX_FAULT=rotate.before_commit:2`.
 */
declare const POLLUX_FAULTS: boolean | undefined

const passings = new Map<string, number>()

/** Dies here if the test asked for it. */
export function fault(point: string): void {
  if (typeof POLLUX_FAULTS === "undefined" || !POLLUX_FAULTS) return
  const wanted = process.env.POLLUX_FAULT
  if (wanted === undefined) return
  const passing = (passings.get(point) ?? 0) + 1
  passings.set(point, passing)
  if (wanted !== `${point}:${passing}` && !(wanted === point && passing === 1)) return
  process.kill(process.pid, "SIGKILL")
  // The signal may be a moment in coming; nothing more may happen meanwhile.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
}
