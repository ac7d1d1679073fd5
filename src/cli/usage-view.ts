/** Usage as people read it. Pure. */
import { type Static, Type } from "@sinclair/typebox"
import { escapeControls } from "../observe/escape.ts"
import { showId } from "./ids.ts"
import type { Column } from "./table.ts"

const Nullable = { text: Type.Union([Type.String(), Type.Null()]), number: Type.Union([Type.Number(), Type.Null()]) }

export const UsageRowShape = Type.Object({
  start: Nullable.number,
  provider: Nullable.text,
  model: Nullable.text,
  credential: Nullable.number,
  principal: Nullable.text,
  requests: Type.Number(),
  errors: Type.Number(),
  attempts: Type.Number(),
  input: Type.Number(),
  output: Type.Number(),
  cached: Type.Number(),
  reasoning: Type.Number(),
})
export type UsageRow = Static<typeof UsageRowShape>

/** `GET /usage` */
export const UsageShape = Type.Object({
  by: Type.String(),
  since: Type.Number(),
  until: Type.Number(),
  rows: Type.Array(UsageRowShape),
})

export const GROUPINGS = ["model", "credential", "day", "hour", "provider", "key"] as const
export type Grouping = (typeof GROUPINGS)[number]

/** What a row stands for, as text. */
const LABELS: Readonly<Record<Grouping, (row: UsageRow) => string>> = {
  model: (row) => `${row.provider ?? "?"} ${row.model ?? "?"}`,
  credential: (row) =>
    row.credential === null ? `${row.provider ?? "?"} (none)` : showId(row.provider ?? "?", row.credential),
  day: ({ start }) => stamp(start).slice(0, 10),
  hour: ({ start }) => `${stamp(start).slice(0, 16).replace("T", " ")}`,
  provider: ({ provider }) => provider ?? "?",
  key: ({ principal }) => principal ?? "(none)",
}

const HEADINGS: Readonly<Record<Grouping, string>> = {
  model: "MODEL",
  credential: "CREDENTIAL",
  day: "DAY (UTC)",
  hour: "HOUR (UTC)",
  provider: "PROVIDER",
  key: "KEY",
}

const COLUMNS = ["requests", "errors", "attempts", "input", "cached", "output", "reasoning"] as const

/** Columns that a narrow terminal can do without, the first to go with the highest number. */
const DROP: Readonly<Record<string, number>> = { reasoning: 3, attempts: 2, errors: 1 }

export function usageColumns(by: Grouping): readonly Column[] {
  const counts = COLUMNS.map((title): Column => {
    const drop = DROP[title]
    return { title: title.toUpperCase(), align: "right", ...(drop === undefined ? {} : { drop }) }
  })
  return [{ title: HEADINGS[by] }, ...counts]
}

/** A row for each group and, below more than one, their sums; every cell is safe for a terminal. */
export function usageCells(by: Grouping, rows: readonly UsageRow[]): readonly (readonly string[])[] {
  const label = LABELS[by]
  const body = rows.map((row) => [escapeControls(label(row)), ...cells(row)])
  return rows.length > 1 ? [...body, ["total", ...cells(total(rows))]] : body
}

type Counts = Pick<UsageRow, (typeof COLUMNS)[number]>

export function total(rows: readonly Counts[]): Counts {
  const sum = (name: keyof Counts) => rows.reduce((all, row) => all + row[name], 0)
  return {
    requests: sum("requests"),
    errors: sum("errors"),
    attempts: sum("attempts"),
    input: sum("input"),
    cached: sum("cached"),
    output: sum("output"),
    reasoning: sum("reasoning"),
  }
}

function cells(row: Counts): readonly string[] {
  return COLUMNS.map((name) => (name === "cached" ? share(row.cached, row.input) : human(row[name])))
}

const STEPS = ["", "k", "M", "G", "T", "P"] as const

/** `950`, `1.2k`, `34k`, `5.6M`: three figures at most, cut short rather than rounded up to the next unit. */
export function human(count: number): string {
  let rest = Math.abs(count)
  let step = 0
  while (rest >= 1000 && step < STEPS.length - 1) {
    rest /= 1000
    step += 1
  }
  const shown = step > 0 && rest < 10 ? (Math.floor(rest * 10) / 10).toFixed(1) : String(Math.floor(rest))
  return `${count < 0 ? "-" : ""}${shown}${STEPS[step]}`
}

/** The cached part of the input in percent, and how many tokens; nothing where there was no input. */
export function share(cached: number, input: number): string {
  if (input <= 0) return "-"
  const percent = (100 * cached) / input
  const shown = percent > 0 && percent < 1 ? "<1" : String(Math.floor(percent))
  return `${human(cached)} (${shown} %)`
}

function stamp(at: number | null): string {
  return at === null || Math.abs(at) > 8.64e15 ? "?" : new Date(at).toISOString()
}
