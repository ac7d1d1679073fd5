import CliTable from "cli-table3"
import type { Paint } from "./paint.ts"

export interface Column {
  readonly title: string
  /** Narrowest width it may be wrapped to; default: its longest word, at most 12. */
  readonly min?: number
  /** When the terminal is too narrow, columns with a number are left out, the highest first. */
  readonly drop?: number
  readonly align?: "left" | "right"
}

const GAP = 2
/** Nothing is drawn as a border: cells stand apart by spaces, which copies and greps well. */
const BORDERS = [
  "top",
  "top-mid",
  "top-left",
  "top-right",
  "bottom",
  "bottom-mid",
  "bottom-left",
  "bottom-right",
  "left",
  "left-mid",
  "mid",
  "mid-mid",
  "right",
  "right-mid",
  "middle",
] as const
const NO_BORDER = Object.fromEntries(BORDERS.map((name) => [name, ""]))

/**
 * A table that fits into `width` columns: the widest columns are wrapped first, then columns are left out. Columns without any
 * content are left out, too. Cells may have several lines and colours. Pure.
 * @param width `Infinity` for no limit, as for a pipe
 * @returns lines without trailing spaces, each ending in a newline; empty for no rows
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
  paint: Paint,
): string {
  if (rows.length === 0) return ""
  const used = columns
    .map((column, index) => ({ column, cells: rows.map((row) => row[index] ?? "") }))
    .filter(({ column, cells }) => column.drop === undefined || cells.some((cell) => cell !== ""))
    .map(({ column, cells }) => measure(column, cells))
  const { kept, widths } = fit(used, width)
  const table = new CliTable({
    head: kept.map(({ column }, i) => {
      // A head cell takes no padding of its own, so what stands at the right carries the gap itself.
      const gap = column.align === "right" && i < widths.length - 1 ? " ".repeat(GAP) : ""
      const lines = wrapped(column.title, widths[i]).split("\n")
      return lines.map((line) => paint.dim(line) + gap).join("\n")
    }),
    colAligns: kept.map(({ column }) => column.align ?? "left"),
    colWidths: widths.map((w, i) => w + (i === widths.length - 1 ? 0 : GAP)),
    chars: NO_BORDER,
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 0 },
  })
  for (let row = 0; row < rows.length; row++) {
    table.push(
      kept.map(({ cells }, i) => ({
        content: wrapped(cells[row] ?? "", widths[i]),
        style: { "padding-left": 0, "padding-right": i === widths.length - 1 ? 0 : GAP },
      })),
    )
  }
  const lines = table.toString().split("\n")
  return lines.map((line) => `${line.replace(/\s+$/, "")}\n`).join("")
}

interface Measured {
  readonly column: Column
  readonly cells: readonly string[]
  readonly natural: number
  readonly least: number
}

function measure(column: Column, cells: readonly string[]): Measured {
  const texts = [column.title, ...cells]
  const natural = widest(texts.flatMap((text) => text.split("\n")))
  const words = widest(texts.flatMap((text) => text.split(/\s+/)))
  return { column, cells, natural, least: Math.min(natural, column.min ?? Math.min(12, words)) }
}

/** Which columns stay, and how wide each is. */
function fit(
  columns: readonly Measured[],
  width: number,
): { readonly kept: readonly Measured[]; readonly widths: number[] } {
  const room = width - GAP * (columns.length - 1)
  const least = columns.reduce((sum, column) => sum + column.least, 0)
  if (least > room) {
    const droppable = columns.filter(({ column }) => column.drop !== undefined)
    const [victim] = droppable.sort((a, b) => (b.column.drop ?? 0) - (a.column.drop ?? 0))
    if (victim !== undefined)
      return fit(
        columns.filter((column) => column !== victim),
        width,
      )
  }
  const widths = columns.map((column) => column.natural)
  let excess = widths.reduce((sum, w) => sum + w, 0) - room
  while (excess > 0) {
    let pick = -1
    for (const [i, w] of widths.entries()) {
      if (w > (columns[i]?.least ?? w) && w > (widths[pick] ?? 0)) pick = i
    }
    if (pick < 0) break
    widths[pick] = (widths[pick] ?? 1) - 1
    excess -= 1
  }
  return { kept: columns, widths }
}

function widest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, Bun.stringWidth(text)), 1)
}

function wrapped(text: string, width: number | undefined): string {
  return width === undefined ? text : Bun.wrapAnsi(text, width, { hard: true })
}
