/**
 * When a subject is warm: its runtime compiles what is hot, in several passes, and that costs CPU, too. A large program takes
 * longer to come to its end than a small one, so that no fixed time is fair to both.
 */
import type { Used } from "./processes.ts"

/** Share of the CPU used that the compiler may have; of what is warm it has one or two hundredths. */
const SHARE = 0.04
/** So many slices in a row must be below that: it rests between its passes. */
const IN_A_ROW = 2
/** Length of one slice of load, and most slices. */
const SLICE_SECONDS = 2
const MOST_SLICES = 20

/**
 * Puts load on a subject until its compiler rests, 40 s at most.
 * @param load puts load on it for so many seconds
 */
export async function warmUp(used: () => Pick<Used, "cpu" | "compiling">, load: (seconds: number) => Promise<unknown>) {
  let inARow = 0
  for (let slice = 0; slice < MOST_SLICES && inARow < IN_A_ROW; slice++) {
    const before = used()
    await load(SLICE_SECONDS)
    const after = used()
    const compiling = after.compiling - before.compiling
    inARow = compiling <= SHARE * (after.cpu - before.cpu) ? inARow + 1 : 0
  }
}
