import type { TomlError } from "smol-toml"

/** Words in a line that say that what follows them is secret. */
const TELLTALE = /key|token|secret|passw|pwd|proxy|sha256|credential/i
const PAIR = /^\s*[\w."'-]+\s*[=:]/
const LONGEST_SHOWN = 120

/** The line without what may be a secret: a value of its own, or of the key that it still belongs to. */
function withoutSecret(lines: readonly string[], index: number): { readonly shown: string; readonly whole: boolean } {
  const line = lines[index] ?? ""
  let owner = index
  while (owner > 0 && !PAIR.test(lines[owner] ?? "") && !/^\s*\[/.test(lines[owner] ?? "")) owner -= 1
  const word = TELLTALE.exec(line)
  if (word !== null) {
    const rest = line.slice(word.index)
    const sign = rest.search(/[=:]/)
    const kept = word.index + (sign < 0 ? word[0].length : sign + 1)
    return { shown: kept < line.trimEnd().length ? `${line.slice(0, kept)} ***` : line, whole: false }
  }
  if (owner !== index && TELLTALE.test(lines[owner] ?? "")) return { shown: "***", whole: false }
  return { shown: line, whole: true }
}

/** A syntax error with its place and, below, the line that it is in. */
export function showSyntaxError(text: string, file: string, error: TomlError): string {
  const message = (error.message.split("\n")[0] ?? "").replace("Invalid TOML document: ", "")
  const { shown, whole } = withoutSecret(text.split(/\r?\n/), error.line - 1)
  const line = shown.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "?").replaceAll("\t", " ")
  const head = `${file}:${error.line}:${error.column} expected valid TOML, got a syntax error: ${message}`
  if (line.trim() === "") return head
  const source = `    ${line.length > LONGEST_SHOWN ? `${line.slice(0, LONGEST_SHOWN)}...` : line}`
  const marked = whole && error.column <= LONGEST_SHOWN
  return marked ? `${head}\n${source}\n    ${" ".repeat(error.column - 1)}^` : `${head}\n${source}`
}
