/**
 * The clock of a Pollux built with the crash points, moved by hand.
 *
 *     using clock = movableClock()
 *     await using pollux = await startPollux({ program: "pollux-faults", env: clock.env })
 *     clock.forward(31 * 60_000)
 *
 * Deadlines that the jump passes are handled at the program's next turn: with its next request.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface MovableClock extends Disposable {
  readonly env: Readonly<Record<string, string>>
  /** Moves both faces on, in milliseconds. */
  forward(ms: number): void
}

export function movableClock(): MovableClock {
  const folder = mkdtempSync(join(tmpdir(), "pollux-clock-"))
  const path = join(folder, "clock.json")
  let moved = 0
  const write = () => writeFileSync(path, JSON.stringify({ mono: moved, wall: moved }))
  write()
  return {
    env: { POLLUX_FAULT_CLOCK: path },
    forward(ms) {
      moved += ms
      write()
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}
