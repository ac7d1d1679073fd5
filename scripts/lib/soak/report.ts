/** What a load row found out. */
export interface Check {
  readonly what: string
  readonly held: boolean
  /** What was measured, for people. */
  readonly measured: string
}

export interface Report {
  /** What must hold on any machine, however busy. */
  readonly checks: readonly Check[]
  /** What should hold on a quiet machine: figures of time and rate. */
  readonly goals: readonly Check[]
}

/** How much of a row is run: all of it, or what a few seconds allow. */
export type Scale =
  | { readonly form: "short" }
  /** @property minutes for the rows that run for a time */
  | { readonly form: "full"; readonly minutes: number }

export interface Row {
  readonly id: string
  readonly title: string
  run(scale: Scale): Promise<Report>
}

export const MIB = 1024 * 1024
export const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`

export const check = (what: string, held: boolean, measured: string | number): Check => ({
  what,
  held,
  measured: String(measured),
})

/** The value below which `share` of the values lie; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

/** Runs `task` for 0, 1, ... below `count`, at most `atOnce` at a time. */
export async function inParallel(
  count: number,
  atOnce: number,
  task: (index: number, worker: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async (number: number) => {
    while (next < count) await task(next++, number)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, (_, number) => worker(number)))
}
