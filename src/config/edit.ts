/**
 * Small changes to the text of a configuration file that leave everything else, comments and order included, as it is.
 * They work on a text that has been read without problems; the caller reads what comes out before it is used.
 */
import type { TomlValue } from "./field.ts"
import { findPositions, type Path, type Span } from "./positions.ts"
import { assignment, literal } from "./render.ts"

/** A value as TOML, where a date stays a date: `{ moment }` is milliseconds since the Unix epoch, to the second. */
export type EditValue = TomlValue | { readonly moment: number }

/** Appends a table to an array of tables, `[[name]]`, at the end of the text. Pure. */
export function appendTable(text: string, name: string, values: Readonly<Record<string, EditValue>>): string {
  const eol = lineEnd(text)
  const lines = [`[[${name}]]`, ...Object.entries(values).map(([key, value]) => shownPair(key, value))]
  const before = text.trimEnd()
  return `${before}${before === "" ? "" : eol + eol}${lines.join(eol)}${eol}`
}

/**
 * Takes out one entry of an array of tables: its header, its pairs and the comments between them. Comments above it stay,
 * since whom they belong to cannot be known. Pure.
 * @returns null when the entry has no header of its own (an inline table)
 */
export function removeTable(text: string, name: string, index: number): string | null {
  const span = findPositions(text).span([name, index])
  return span?.headed === true ? withoutLines(text, span) : null
}

/**
 * Sets a key of a table: replaces its value, or adds it behind the comment that shows it (`# key = ...`), else at the table's end.
 * Pure.
 * @returns null when the table has no header, `[name]`, to add it below
 */
export function setValue(text: string, table: string, key: string, value: TomlValue): string | null {
  const positions = findPositions(text)
  const path = table.split(".")
  const there = positions.span([...path, key])
  if (there !== null) return text.slice(0, there.value) + literal(value) + text.slice(there.end)
  const home = positions.span(path)
  if (home?.headed !== true) return null
  const eol = lineEnd(text)
  const at = endOfLine(text, shownAt(text, home, key) ?? home.end)
  return `${text.slice(0, at)}${eol}${assignment(key, value)}${text.slice(at)}`
}

/** Takes a key of a table out, with its line or lines. Pure. */
export function removeValue(text: string, path: Path): string {
  const span = findPositions(text).span(path)
  return span === null ? text : withoutLines(text, span)
}

function shownPair(key: string, value: EditValue): string {
  if (typeof value !== "object" || !("moment" in value)) return assignment(key, value)
  return `${key} = ${new Date(value.moment).toISOString().replace(/\.\d+Z$/, "Z")}`
}

/** Offset of the comment that shows `key` within a table, or null. Tables end where the next header begins. */
function shownAt(text: string, home: Span, key: string): number | null {
  const next = /^[ \t]*\[/gm
  next.lastIndex = endOfLine(text, home.start)
  const end = next.exec(text)?.index ?? text.length
  const shown = new RegExp(`^[ \\t]*#[ \\t]*${key}[ \\t]*=`, "gm")
  shown.lastIndex = home.start
  const found = shown.exec(text)
  return found !== null && found.index < end ? found.index : null
}

/** Whole lines from the span's first to its last, and one blank line of two that then meet. */
function withoutLines(text: string, { start, end }: Span): string {
  const first = text.lastIndexOf("\n", start - 1) + 1
  const newline = text.indexOf("\n", end)
  const last = newline < 0 ? text.length : newline + 1
  const before = text.slice(0, first)
  const after = text.slice(last)
  const parted = before === "" || /\n[ \t]*\r?\n$/.test(before)
  const rest = parted ? after.replace(/^[ \t]*\r?\n/, "") : after
  return rest === "" ? before.replace(/(\r?\n)(?:[ \t]*\r?\n)+$/, "$1") : before + rest
}

function endOfLine(text: string, from: number): number {
  const newline = text.indexOf("\n", from)
  if (newline < 0) return text.length
  return text[newline - 1] === "\r" ? newline - 1 : newline
}

function lineEnd(text: string): string {
  return text.includes("\r\n") ? "\r\n" : "\n"
}
