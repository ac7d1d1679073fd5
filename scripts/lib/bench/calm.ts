/**
 * Whether the machine is as fast as it was at its best. On a virtual one, neighbours take cache and memory away for seconds on
 * end, which no counter of the system shows, and which costs a large program more than a small one: so a fixed piece of work is
 * timed before and after each sample.
 */

/** A piece of work may take so much longer than at its best; a quarter longer is usual, and twice as long is a neighbour. */
const SLOWER = 1.5
/** Times that the work is done before the first sample, to know its best. */
const FIRST_PROBES = 20
/** How often one sample may be taken again. */
const MOST_REPEATS = 3
/** Longest wait for a calm moment, in all of a run, and the pause between two looks, in milliseconds. */
const WAIT_MS = 3_000
const WAITS_MS = 60_000
const PAUSE_MS = 250

export interface CalmDeps {
  /** Does each piece of work once and gives the time of each, in any unit. */
  readonly work: () => readonly number[]
  /** Samples that may be taken again, in all. */
  readonly repeats: number
  readonly sleep: (ms: number) => Promise<void>
}

export class Calm {
  /** Samples that counted although something disturbed them. */
  disturbed = 0
  /** Samples that were taken again. */
  repeated = 0
  private best: readonly number[] = []
  private patience = WAITS_MS

  constructor(private readonly deps: CalmDeps) {
    for (let i = 0; i < FIRST_PROBES; i++) this.calm()
  }

  /** What `take` gives, taken again while something disturbs it and repeats are left. */
  async sample<T>(take: () => Promise<T>): Promise<T> {
    for (let repeats = 0; ; repeats++) {
      await this.settle()
      const taken = await take()
      if (this.calm()) return taken
      if (repeats >= MOST_REPEATS || this.repeated >= this.deps.repeats) {
        this.disturbed++
        return taken
      }
      this.repeated++
    }
  }

  /** Waits for a calm moment, within bounds. */
  async settle(): Promise<void> {
    const least = Math.max(0, this.patience - WAIT_MS)
    while (this.patience > least && !this.calm()) {
      this.patience -= PAUSE_MS
      await this.deps.sleep(PAUSE_MS)
    }
  }

  private calm(): boolean {
    const times = this.deps.work()
    const { best } = this
    this.best = times.map((time, index) => Math.min(time, best[index] ?? time))
    return times.every((time, index) => time <= SLOWER * (best[index] ?? time))
  }
}

/** Words in a megabyte. */
const MEGABYTE = 2 ** 18
/** Memory walked through, in megabytes, and steps: what fits a core's own cache, and what does not. Some 10 ms each. */
const WALKS = [
  { megabytes: 1, steps: 500_000 },
  { megabytes: 8, steps: 150_000 },
] as const

/** Walks through memory in an order that no cache foresees; gives the nanoseconds of each walk. */
export function memoryWalks(): () => readonly number[] {
  const walks = WALKS.map(({ megabytes, steps }) => ({ table: cycle(megabytes * MEGABYTE), steps }))
  return () =>
    walks.map(({ table, steps }) => {
      // What was measured before has taken the table's place in the caches: the same way is walked once without a watch.
      const end = walk(table, steps)
      const from = Bun.nanoseconds()
      const same = walk(table, steps) === end
      // Looked at, so that no compiler leaves the walk out.
      return same ? Bun.nanoseconds() - from : Number.POSITIVE_INFINITY
    })
}

function walk(table: Uint32Array, steps: number): number {
  let at = 0
  for (let step = 0; step < steps; step++) at = table[at] ?? 0
  return at
}

/** One cycle through all places, in random order (Sattolo's algorithm). */
function cycle(size: number): Uint32Array {
  const next = new Uint32Array(size)
  for (let i = 0; i < size; i++) next[i] = i
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * i)
    const kept = next[i] ?? 0
    next[i] = next[j] ?? 0
    next[j] = kept
  }
  return next
}
