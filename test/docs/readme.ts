/** README.md as the tests of the documentation read it. */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"

export const ROOT = resolve(import.meta.dir, "../..")

export const README = readFileSync(resolve(ROOT, "README.md"), "utf8")

/** The text of a section, from its heading to the next one of the same or a higher level. */
export function section(heading: string): string {
  const lines = README.split("\n")
  const from = lines.findIndex((line) => line.replace(/^#+ /, "") === heading && line.startsWith("#"))
  if (from < 0) throw new Error(`README.md has no heading "${heading}"`)
  const level = /^#+/.exec(lines[from] ?? "")?.[0].length ?? 1
  const to = lines.findIndex((line, index) => index > from && new RegExp(`^#{1,${level}} `).test(line))
  return lines.slice(from + 1, to < 0 ? undefined : to).join("\n")
}

/** The cells of every table row in a text, headings and rules left out. */
export function rows(text: string): readonly (readonly string[])[] {
  const lines = text.split("\n")
  return lines.flatMap((line, index) => {
    const isHead = /^\|[\s|:-]+\|$/.test(lines[index + 1] ?? "")
    if (!line.startsWith("|") || isHead || /^\|[\s|:-]+\|$/.test(line)) return []
    return [
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    ]
  })
}

/** Everything that stands in backticks in a cell. */
export const codeIn = (cell: string): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code)

/** Lines of fenced blocks in one of the languages. */
export function fencedLines(...languages: readonly string[]): readonly string[] {
  const lines: string[] = []
  let open: string | null = null
  for (const line of README.split("\n")) {
    const fence = /^```(\w*)$/.exec(line)
    if (fence === null) {
      if (open !== null && languages.includes(open)) lines.push(line)
    } else open = open === null ? (fence[1] ?? "") : null
  }
  return lines
}
