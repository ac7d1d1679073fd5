import type { Timers } from "../observe/clock.ts"

/** A client's leaving is noticed so much later at most, in milliseconds: half of what is allowed (DESIGN section 4). */
export const LOOK_MS = 50

/**
 * Listening for one client's leaving costs 2 of the some 17 microseconds that Pollux adds to a request. So nobody listens at once;
 * `look` is called once for all that came meanwhile, and requests that are over by then were spared it.
 */
export class Lookout {
  private cancel: (() => void) | null = null

  constructor(
    private readonly timers: Timers,
    private readonly look: () => void,
  ) {}

  /** Somebody has come. */
  expect(): void {
    this.cancel ??= this.timers.after(LOOK_MS, () => {
      this.cancel = null
      this.look()
    })
  }
}
