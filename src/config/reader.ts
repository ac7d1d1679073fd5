import type { Field } from "./field.ts"
import { describe } from "./kinds.ts"
import { findPositions, type Path, type Place, type Positions } from "./positions.ts"
import { shared } from "./schema.ts"
import { SECTIONS, type Section } from "./sections.ts"
import { suggest } from "./suggest.ts"

/** A parsed TOML table. */
export type Table = Readonly<Record<string, unknown>>

interface Found {
  readonly place: Place
  readonly text: string
}

export function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** A key as people write it: `providers.codex.model_list[1]`. */
export function showPath(path: Path): string {
  let shown = ""
  for (const step of path) {
    if (typeof step === "number") shown += `[${step}]`
    else shown += `${shown === "" ? "" : "."}${/^[\w-]+$/.test(step) ? step : JSON.stringify(step)}`
  }
  return shown
}

/** The keys that may stand in a section. */
function keysOf(section: Section): string[] {
  const fields = [...Object.values(section.fields), ...(section.overrides ? Object.values(shared) : [])]
  return fields.map((field) => field.key)
}

/** Reads a parsed document by the schema and collects everything that is wrong with it, each with its place. */
export class Reader {
  private readonly problems: Found[] = []
  private readonly remarks: Found[] = []
  private found: Positions | null = null

  constructor(
    private readonly root: Table,
    private readonly text: string,
    private readonly file: string,
  ) {}

  /** Looked for when something is to be said of a place: a file without faults is read without. */
  private get positions(): Positions {
    this.found ??= findPositions(this.text)
    return this.found
  }

  /** The table at `path`, or an empty one; anything else there is a problem (reported by `checkNames`). */
  table(path: Path): Table {
    let here: unknown = this.root
    for (const step of path) here = isTable(here) ? here[String(step)] : undefined
    return isTable(here) ? here : {}
  }

  /** Where the tables of a list at the root stand in it; what else stands there is a problem (reported by `checkNames`). */
  places(name: string): readonly number[] {
    const found = this.root[name]
    return Array.isArray(found) ? [...found.keys()].filter((index) => isTable(found[index])) : []
  }

  /**
   * The value of a field in the first of `paths` (tables) that has it; the default where none has. What stands in the others is
   * checked too: it would be wrong as soon as the first one is taken away.
   */
  take<T>(field: Field<T>, ...paths: readonly Path[]): T {
    const [own] = paths
    const found = paths.filter((path) => this.has(field, path)).map((path) => this.read(field, path))
    const [first] = found
    if (first !== undefined) return first.value
    if (field.required && own !== undefined) {
      this.problem(own, "value", showPath([...own, field.key]), `expected ${field.kind.type}, got nothing`)
    }
    return field.absent()
  }

  private read<T>(field: Field<T>, table: Path): { readonly value: T } {
    const path = [...table, field.key]
    const read = field.kind.read(this.valueAt(table)[field.key])
    if (read.ok) return { value: read.value }
    for (const wrong of read.wrong) {
      const where = [...path, ...wrong.at]
      this.problem(where, "value", showPath(where), `expected ${wrong.expected}, got ${wrong.got}`)
    }
    return { value: field.absent() }
  }

  has(field: Pick<Field<unknown>, "key">, path: Path): boolean {
    return Object.hasOwn(this.valueAt(path), field.key)
  }

  private valueAt(path: Path): Table {
    const [first, second] = path
    if (typeof first !== "string" || typeof second !== "number") return this.table(path)
    const list = this.root[first]
    const entry: unknown = Array.isArray(list) ? list[second] : undefined
    return isTable(entry) ? entry : {}
  }

  /** Reports what stands at `path` but has no business there, and tables that are something else. */
  checkNames(): void {
    const groups = new Set(SECTIONS.map((section) => section.name.split(".")[0] ?? ""))
    this.checkKeys([], this.root, [...groups])
    for (const group of groups) {
      const inner = SECTIONS.filter((section) => section.name.startsWith(`${group}.`))
      if (inner.length === 0 || !this.expectTable([group], this.root[group])) continue
      this.checkKeys(
        [group],
        this.table([group]),
        inner.map((section) => section.name.slice(group.length + 1)),
      )
    }
    for (const section of SECTIONS) {
      const path = section.name.split(".")
      if (section.many) this.checkEntries(section)
      else if (this.expectTable(path, this.table(path.slice(0, -1))[path.at(-1) ?? ""])) {
        this.checkKeys(path, this.table(path), keysOf(section))
      }
    }
  }

  private checkEntries(section: Section): void {
    const value = this.root[section.name]
    if (value === undefined) return
    if (!Array.isArray(value)) {
      const expected = `expected tables as [[${section.name}]], got ${describe(value)}`
      this.problem([section.name], "value", section.name, expected)
      return
    }
    for (const [index, entry] of value.entries()) {
      const path = [section.name, index]
      if (isTable(entry)) this.checkKeys(path, entry, keysOf(section))
      else this.problem(path, "value", showPath(path), `expected a table, got ${describe(entry, true)}`)
    }
  }

  private expectTable(path: Path, value: unknown): boolean {
    if (value === undefined || isTable(value)) return value !== undefined
    this.problem(path, "value", showPath(path), `expected a table, got ${describe(value, true)}`)
    return false
  }

  private checkKeys(path: Path, table: Table, known: readonly string[]): void {
    for (const name of Object.keys(table)) {
      if (known.includes(name)) continue
      const meant = suggest(name, known) ?? elsewhere(name)
      const hint = meant === null ? "" : ` (did you mean ${meant}?)`
      const at = [...path, name]
      this.problem(at, "key", showPath(at), `expected a known key, got ${JSON.stringify(name.slice(0, 60))}${hint}`)
    }
  }

  /** `on`: whether the key or its value is at fault. A shared key is read once for each provider but reported once. */
  problem(at: Path, on: "key" | "value", key: string, text: string): void {
    const found = { place: this.positions[on](at), text: `${key}: ${text}` }
    const same = ({ place, text: other }: Found) =>
      place.line === found.place.line && place.column === found.place.column && other === found.text
    if (!this.problems.some(same)) this.problems.push(found)
  }

  warn(at: Path, text: string): void {
    this.remarks.push({ place: this.positions.value(at), text: `${showPath(at)}: ${text}` })
  }

  /** Every problem, in the order of the file. */
  shownProblems(): string[] {
    return this.show(this.problems)
  }

  shownWarnings(): string[] {
    return this.show(this.remarks)
  }

  private show(found: readonly Found[]): string[] {
    return found
      .toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
      .map(({ place, text }) => `${this.file}:${place.line}:${place.column} ${text}`)
  }
}

/** Where a key that stands in the wrong table belongs. */
function elsewhere(name: string): string | null {
  const home = SECTIONS.find(
    (section) => !section.many && Object.values(section.fields).some((field) => field.key === name),
  )
  return home === undefined ? null : `${home.name}.${name}`
}
