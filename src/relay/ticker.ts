import type { Clock, Timers } from "../observe/clock.ts"
import { type Enrolled, Roll } from "./roll.ts"

/** How coarse the time limits are: one fires between 0 and two ticks late, and never early. */
export const TICK_MS = 250
/**
 * Most that passes from one tick to the next, in milliseconds, however long it took. A process that was stopped, or whose machine
 * was, would find every limit passed, although what it waits for lies in its sockets, unread.
 */
const MOST_MS = 1_000

/** Something with time limits; it compares them itself, so that moving one costs an assignment and no timer. */
export interface Ticking extends Enrolled {
  tick(now: number): void
}

/**
 * One timer for every time limit of a relay. Limits here are seconds to minutes and are moved by each chunk of each stream;
 * a timer per chunk would cost more than the chunk. A tick over 5,000 streams takes well under a millisecond.
 */
export class Ticker {
  /** Milliseconds, as of the last tick, or of the last `due` while nobody was there to be ticked. */
  now: number

  private readonly members = new Roll<Ticking>()
  private cancel: (() => void) | null = null
  /** What the clock said then. */
  private at: number

  constructor(
    private readonly clock: Clock,
    private readonly timers: Timers,
  ) {
    this.now = this.at = clock.mono()
  }

  add(member: Ticking): void {
    this.members.add(member)
    if (this.cancel !== null) return
    this.advance(Number.POSITIVE_INFINITY)
    this.arm()
  }

  remove(member: Ticking): void {
    this.members.remove(member)
  }

  /** The value a limit is compared with: `now` may be one tick old, so a tick is added. */
  due(ms: number): number {
    // Nothing ticks an idle relay: `now` may be hours old, and a limit counted from then would strike at once.
    if (this.cancel === null) this.advance(Number.POSITIVE_INFINITY)
    return this.now + ms + TICK_MS
  }

  private advance(most: number): void {
    const at = this.clock.mono()
    this.now += Math.min(at - this.at, most)
    this.at = at
  }

  private arm(): void {
    this.cancel = this.timers.after(TICK_MS, () => {
      this.cancel = null
      this.advance(MOST_MS)
      // Before the members, so that one that throws does not end the time of all.
      if (this.members.size > 0) this.arm()
      this.members.each((member) => member.tick(this.now))
    })
  }
}
