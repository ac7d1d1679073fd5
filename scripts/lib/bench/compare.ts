/**
 * What a subject is compared with, and how: round by round. All subjects of a round are measured within seconds of each other, so
 * that a neighbour on a virtual machine meets both sides of a pair; the middles of each side's rounds may come from different
 * times. Pure.
 */
import type { Cell, Compared, Figure } from "./results.ts"
import { spread } from "./stats.ts"
import type { SubjectName } from "./subjects.ts"

/** The bare subjects by section: the first of these that was measured beside a subject is what it is compared with. */
export const REFERENCES: Readonly<Record<Cell["section"], readonly SubjectName[]>> = {
  unary: ["pass"],
  rate: ["pass"],
  burst: ["read", "reframe"],
  paced: ["read", "reframe"],
  open: [],
  body: ["pass"],
  lag: ["pass", "reframe"],
}

/** Figures of one round. */
export type Round = Readonly<Partial<Record<Figure, number>>>

/** Each figure that both sides have in some round: the middle of the rounds' ratios and differences. */
export function compared(own: readonly Round[], bare: readonly Round[]): Cell["beside"] {
  const beside: Partial<Record<Figure, Compared>> = {}
  for (const figure of ["rate", "p50", "p95", "p99", "cpu"] as const) {
    const pairs = own.flatMap((round, index) => {
      const [a, b] = [round[figure], bare[index]?.[figure]]
      return a === undefined || b === undefined || b === 0 ? [] : [{ ratio: a / b, difference: a - b }]
    })
    if (pairs.length === 0) continue
    beside[figure] = {
      ratio: spread(pairs.map(({ ratio }) => ratio)).median,
      difference: spread(pairs.map(({ difference }) => difference)).median,
    }
  }
  return beside
}
