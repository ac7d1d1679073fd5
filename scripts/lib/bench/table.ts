/** The results as Markdown tables, and their place in the README. Pure. */
import { REFERENCES } from "./compare.ts"
import { goalRows } from "./goals.ts"
import type { Cell, Figure, Results } from "./results.ts"
import type { Spread } from "./stats.ts"
import type { SubjectName } from "./subjects.ts"

export const BEGIN = "<!-- bench:begin -->"
export const END = "<!-- bench:end -->"

const NAMES: Readonly<Record<SubjectName, string>> = {
  direct: "no proxy",
  nginx: "nginx",
  pass: "bare pass-through (Bun)",
  translate: "bare translator (Bun)",
  read: "bare read-through (Bun)",
  reframe: "bare re-framer (Bun)",
  geminicli: "**Pollux, geminicli**",
  codex: "**Pollux, codex**",
}

const TITLES: Readonly<Record<Cell["section"], string>> = {
  unary: "Whole answers of 1 KB, as many as come (wrk, closed loop)",
  rate: "Constant rate (open loop: latency runs from when a request is due)",
  burst: "Streams of 2,000 events that are ready at once",
  paced: "Streams of one event each 5 ms (1,000 streams: each 50 ms)",
  open: "Open streams, one event a second, every byte compared",
  body: "Request bodies, 8 connections",
  lag: "How late a request is that asks for nothing but a sign of life, while the subject is busy (lag of the event loop)",
}

interface Column {
  readonly title: string
  readonly figure: Figure
  readonly show: (value: number) => string
}

const thousands = (value: number): string => Math.round(value).toLocaleString("en-US")
const micros = (value: number): string =>
  value >= 10_000 ? `${(value / 1000).toFixed(1)} ms` : `${Math.round(value)} µs`
const fine = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} µs`
const mebibytes = (value: number): string => `${Math.round(value / 2 ** 20)} MiB`

const RATE: Column = { title: "per second", figure: "rate", show: thousands }
const CPU: Column = { title: "CPU each", figure: "cpu", show: fine }
const RSS: Column = { title: "RSS", figure: "rss", show: mebibytes }
const P50: Column = { title: "p50", figure: "p50", show: micros }
const P95: Column = { title: "p95", figure: "p95", show: micros }
const P99: Column = { title: "p99", figure: "p99", show: micros }
const FIRST: Column = { title: "first byte", figure: "firstByte", show: micros }

const COLUMNS: Readonly<Record<Cell["section"], readonly Column[]>> = {
  unary: [RATE, CPU, P50, P99, RSS],
  rate: [RATE, CPU, P50, P99],
  burst: [RATE, CPU, FIRST],
  paced: [CPU, P50, P99, FIRST, RSS],
  open: [P50, P99, FIRST, RSS],
  body: [RATE, CPU, P50, P99, RSS],
  lag: [P50, P95, P99],
}

/** The figure a ratio is taken of: what more of is better, else what less of is. */
const COMPARED: Readonly<Record<Cell["section"], Figure>> = {
  unary: "rate",
  rate: "p50",
  burst: "cpu",
  paced: "cpu",
  open: "p50",
  body: "rate",
  lag: "p99",
}

function spreadText(spread: Spread | undefined, show: (value: number) => string): string {
  if (spread === undefined) return ""
  const range = spread.min === spread.max ? "" : ` (${show(spread.min)} to ${show(spread.max)})`
  return `${show(spread.median)}${range}`
}

function scaleText(kind: Cell["section"], scale: number): string {
  if (kind === "rate") return `, ${thousands(scale)}/s`
  if (kind === "body") return `, ${thousands(scale / 1000)} KB`
  return ""
}

function loadText({ section, under, transport, api, connections, scale }: Cell): string {
  const kind = under ?? section
  const unit = kind === "unary" || kind === "rate" || kind === "body" ? "conn." : "streams"
  return `${transport}, ${api}, ${thousands(connections)} ${unit}${scaleText(kind, scale)}`
}

function ratioText({ section, beside }: Cell): string {
  return beside[COMPARED[section]]?.ratio.toFixed(2) ?? ""
}

function sectionTable(section: Cell["section"], all: readonly Cell[]): string {
  const cells = all.filter((cell) => cell.section === section)
  if (cells.length === 0) return ""
  const columns = COLUMNS[section]
  const [reference] = REFERENCES[section]
  const ratio = reference === undefined ? [] : [`${COMPARED[section] === "rate" ? "rate" : COMPARED[section]} to bare`]
  const heads = ["load", "subject", ...columns.map(({ title }) => title), ...ratio, "failed"]
  const rows = cells.map((cell) => [
    loadText(cell),
    NAMES[cell.subject],
    ...columns.map(({ figure, show }) => spreadText(cell.figures[figure], show)),
    ...(reference === undefined ? [] : [ratioText(cell)]),
    String(cell.failed),
  ])
  return `#### ${TITLES[section]}\n\n${markdown(heads, rows)}`
}

function markdown(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n")
}

function goalTable(results: Results): string {
  const rows = goalRows(results).map(({ what, wanted, measured, met }) => [
    what,
    wanted,
    measured,
    met ? "yes" : "**no**",
  ])
  if (rows.length === 0) return ""
  return `#### What it must cost, and what it costs\n\n${markdown(["", "wanted", "measured", "met"], rows)}`
}

function samplesText({ counted, repeated, disturbed }: Results["samples"]): string {
  return (
    `${thousands(counted)} samples count; ${thousands(repeated)} others were dropped and taken again, because the machine was slower before or ` +
    `after them than at its best (a fixed walk through memory took over half as long again), and ${thousands(disturbed)} count although it was.`
  )
}

/** Every table of a run, with what it was measured on. */
export function report(results: Results): string {
  const { machine, cells, starts, scheduler } = results
  const parts = [
    `Measured ${results.at.slice(0, 10)} at revision ${results.revision} by \`scripts/bench\` (${results.kind}, ${results.rounds} rounds, ` +
      `medians with ranges; what is set against the bare subject is the middle of the rounds' own ratios or differences), on ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ` +
      `Bun ${machine.bun}, ${machine.tools.join(", ")}. Each subject has one core to itself, load and upstream have the rest; ` +
      `the executable has ${mebibytes(results.executableBytes)}. ${samplesText(results.samples)}`,
    goalTable(results),
    ...(["unary", "rate", "burst", "paced", "open", "body", "lag"] as const).map((section) =>
      sectionTable(section, cells),
    ),
  ]
  if (starts.length > 0) {
    const rows = starts.map(({ credentials, ms }) => [
      thousands(credentials),
      spreadText(ms, (value) => `${value.toFixed(0)} ms`),
    ])
    parts.push(`#### Start to the first 200\n\n${markdown(["credentials", "time"], rows)}`)
  }
  if (scheduler.length > 0) {
    const names = Object.keys(scheduler[0]?.operations ?? {})
    const rows = scheduler.map(({ credentials, models, operations }) => [
      thousands(credentials),
      thousands(models),
      ...names.map((name) => thousands(operations[name] ?? 0)),
    ])
    parts.push(
      `#### The scheduler alone, nanoseconds an operation\n\n${markdown(["credentials", "models", ...names], rows)}`,
    )
  }
  for (const { api, parts: costs } of results.parts) {
    const rows = Object.entries(costs).map(([name, us]) => [name, fine(us)])
    const total = Object.values(costs).reduce((sum, us) => sum + us, 0)
    parts.push(
      `#### Where the time of a whole answer of 1 KB goes, ${api}\n\nInside one process without sockets, by what each part adds. ` +
        "The rest of the CPU time in the first table is HTTP on both sides, the sockets and the kernel.\n\n" +
        markdown(["part", "adds"], [...rows, ["together", fine(total)]]),
    )
  }
  return parts.filter((part) => part !== "").join("\n\n")
}

/**
 * `text` with the report between its markers.
 * @throws Error when the markers are not there, or not in order
 */
export function withReport(text: string, results: Results): string {
  const from = text.indexOf(BEGIN)
  const to = text.indexOf(END)
  if (from === -1 || to < from) throw new Error(`there is no place for the results: put ${BEGIN} and ${END} into it`)
  return `${text.slice(0, from + BEGIN.length)}\n\n${report(results)}\n\n${text.slice(to)}`
}
