import type { QuotaWindow } from "../store/types.ts"

/** Most windows kept per credential; the oldest go first. */
const MOST = 32

/** What was known, with `fresh` windows in the place of older ones of the same family and name. */
export function mergeQuotas(known: readonly QuotaWindow[], fresh: readonly QuotaWindow[]): readonly QuotaWindow[] {
  const kept = known.filter((old) => !fresh.some((one) => one.family === old.family && one.name === old.name))
  return [...kept, ...fresh].slice(-MOST)
}
