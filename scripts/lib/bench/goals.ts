/** What it must cost (DESIGN section 8) beside what was measured. Pure. */
import type { Cell, Figure, Results } from "./results.ts"
import type { SubjectName } from "./subjects.ts"

export interface GoalRow {
  readonly what: string
  readonly wanted: string
  readonly measured: string
  readonly met: boolean
}

/** A goal on a cell: beside the bare subject of its section, or by itself. */
interface CellGoal {
  readonly what: string
  readonly section: Cell["section"]
  readonly subject: SubjectName
  readonly connections: number
  readonly figure: Figure
  readonly compare: "ratio" | "difference" | "value"
  /** The worst that meets the goal; `atLeast`: less is worse. Microseconds or bytes where it is no ratio. */
  readonly bound: number
  readonly atLeast?: boolean
}

const MEGABYTE = 1e6

const CELLS: readonly CellGoal[] = [
  ...([32, 64] as const).flatMap((connections) =>
    (["geminicli", "codex"] as const).map(
      (subject): CellGoal => ({
        what: `requests/s to the bare pass-through, ${subject}, 1 KB, ${connections} connections`,
        section: "unary",
        subject,
        connections,
        figure: "rate",
        compare: "ratio",
        bound: 0.7,
        atLeast: true,
      }),
    ),
  ),
  ...(
    [
      ["burst", 64],
      ["paced", 64],
      ["paced", 1_000],
    ] as const
  ).flatMap(([section, connections]) =>
    (
      [
        ["codex", "read-through"],
        ["geminicli", "re-framer"],
      ] as const
    ).map(
      ([subject, name]): CellGoal => ({
        what: `CPU of a streamed event to the bare ${name}, ${subject}, ${connections.toLocaleString("en-US")} streams, ${section}`,
        section,
        subject,
        connections,
        figure: "cpu",
        compare: "ratio",
        bound: 1.25,
      }),
    ),
  ),
  {
    what: "added median latency, 1 connection",
    section: "unary",
    subject: "geminicli",
    connections: 1,
    figure: "p50",
    compare: "difference",
    bound: 50,
  },
  ...(["codex", "geminicli"] as const).map(
    (subject): CellGoal => ({
      what: `added latency of a streamed event, p99, ${subject}, 64 busy streams`,
      section: "paced",
      subject,
      connections: 64,
      figure: "p99",
      compare: "difference",
      bound: 1_000,
    }),
  ),
  ...(["geminicli", "codex"] as const).map(
    (subject): CellGoal => ({
      what: `memory with 5,000 open streams, ${subject}`,
      section: "open",
      subject,
      connections: 5_000,
      figure: "rss",
      compare: "value",
      bound: 250 * MEGABYTE,
    }),
  ),
]

const STARTS: readonly { readonly credentials: number; readonly ms: number }[] = [
  { credentials: 0, ms: 60 },
  { credentials: 1_000, ms: 150 },
]
/** Nanoseconds. */
const ACQUIRE_RELEASE = 500

function show({ compare, figure }: CellGoal, value: number): string {
  if (compare === "ratio") return `${value.toFixed(2)} x`
  return figure === "rss" ? `${Math.round(value / MEGABYTE)} MB` : `${Math.round(value)} µs`
}

function measuredOf({ subject, section, connections, figure, compare }: CellGoal, cells: readonly Cell[]) {
  const cell = cells.find(
    (one) =>
      one.subject === subject &&
      one.section === section &&
      one.transport === "http" &&
      one.connections === connections &&
      one.api === (subject === "codex" ? "codex" : "geminicli"),
  )
  return compare === "value" ? cell?.figures[figure]?.median : cell?.beside[figure]?.[compare]
}

function judged(goal: CellGoal, cells: readonly Cell[]): GoalRow[] {
  const value = measuredOf(goal, cells)
  if (value === undefined) return []
  const { what, bound, atLeast = false } = goal
  return [
    {
      what,
      wanted: `${atLeast ? ">=" : "<="} ${show(goal, bound)}`,
      measured: show(goal, value),
      met: atLeast ? value >= bound : value <= bound,
    },
  ]
}

/** The goals that the run has figures for. */
export function goalRows({ cells, starts, scheduler }: Results): readonly GoalRow[] {
  const rows = CELLS.flatMap((goal) => judged(goal, cells))
  for (const { credentials, ms } of STARTS) {
    const median = starts.find((start) => start.credentials === credentials)?.ms.median
    if (median === undefined) continue
    const what = `start to the first 200, ${credentials.toLocaleString("en-US")} credentials`
    rows.push({ what, wanted: `< ${ms} ms`, measured: `${Math.round(median)} ms`, met: median < ms })
  }
  const costs = scheduler
    .filter(({ credentials }) => credentials >= 10)
    .map(({ operations }) => operations.acquireRelease ?? Number.NaN)
  if (costs.length > 0) {
    const worst = Math.max(...costs)
    rows.push({
      what: "acquire + release, 10 to 100,000 credentials",
      wanted: `< ${ACQUIRE_RELEASE} ns`,
      measured: `${Math.round(worst)} ns at most`,
      met: worst < ACQUIRE_RELEASE,
    })
  }
  return rows
}
