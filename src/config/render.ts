import { stringify } from "smol-toml"
import type { Field, TomlValue } from "./field.ts"
import { shared } from "./schema.ts"
import { SECTIONS, type Section } from "./sections.ts"

const WIDTH = 100

/** A value as TOML. */
export function literal(value: TomlValue): string {
  if (typeof value === "object") return `[${value.map(literal).join(", ")}]`
  return stringify({ x: value }).trim().slice("x = ".length)
}

/** `key = value`, as TOML. */
export function assignment(key: string, value: TomlValue): string {
  return `${key} = ${literal(value)}`
}

/** Text as comment lines of at most 100 characters. */
function comment(text: string): string[] {
  const lines: string[] = []
  let line = "#"
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > WIDTH && line !== "#") {
      lines.push(line)
      line = "#"
    }
    line += ` ${word}`
  }
  return [...lines, line]
}

/** What stands for an absent key and why, as a sentence. */
export function defaultOf(field: Field<unknown>): string {
  const unit = field.unit === null ? "" : ` ${field.unit}`
  if (field.required) return `Required: ${field.why}.`
  return field.initial === null
    ? `Default none: ${field.why}.`
    : `Default ${literal(field.initial)}${unit}: ${field.why}.`
}

function renderField(field: Field<unknown>, value: TomlValue | null | undefined): string[] {
  const line = assignment(field.key, value ?? field.example)
  const set = value !== null && (field.shown || value !== undefined)
  return [...comment(field.means), ...comment(defaultOf(field)), set ? line : `# ${line}`, ""]
}

/** Null leaves a key out, as a comment, that would otherwise stand there. */
type Values = Readonly<Record<string, TomlValue | null>>

function renderSection(section: Section, values: Values): string[] {
  const fields = Object.values(section.fields)
  if (section.many) {
    const example = fields.map((field) => `# ${assignment(field.key, field.example)}`)
    const names = fields.flatMap((field) => comment(`${field.key}: ${field.means} ${defaultOf(field)}`))
    return [...comment(section.title), ...names, `# [[${section.name}]]`, ...example, ""]
  }
  const lines = [...comment(section.title), `[${section.name}]`]
  for (const field of fields) lines.push(...renderField(field, values[`${section.name}.${field.key}`]))
  if (section.overrides) {
    const keys = Object.values(shared).map((field) => field.key)
    lines.push(...comment(`May stand here too, for this provider only: ${keys.join(", ")}.`), "")
  }
  return lines
}

function render(head: readonly string[], values: Values): string {
  const lines = [...head.flatMap(comment), "", ...SECTIONS.flatMap((section) => renderSection(section, values))]
  return `${lines.join("\n").trimEnd()}\n`
}

/** The text of `config.toml.example`: every key with meaning, default and reason. */
export function renderExample(): string {
  return render(
    [
      "Configuration of Pollux. Copy to config.toml, set pollux_key, and keep it to yourself: chmod 600 config.toml",
      "`pollux init` writes one with a random key; `pollux check` finds every mistake in it.",
      "Lines that begin with # show keys that may be left out.",
    ],
    {},
  )
}

/**
 * The `config.toml` that `pollux init` writes: reachable from this machine only, no login without the key.
 * @param own the key; null where it is kept elsewhere, as for a service
 */
export function renderInit(own: { readonly key: string | null }): string {
  return render(
    [
      own.key === null
        ? "Configuration of Pollux. It holds no key: that is in the file pollux_key beside it."
        : "Configuration of Pollux. It holds a key: keep it to yourself (mode 0600).",
      "`pollux check` finds every mistake in it; `pollux reload` applies changes to a running server.",
      "Lines that begin with # show keys that may be left out.",
    ],
    { "basic.listen_addr": "127.0.0.1", "basic.open_login": false, "basic.pollux_key": own.key },
  )
}

/** Text inside a cell of a Markdown table (GFM 4.10: a pipe must be escaped, also in code). */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ")
}

function row(field: Field<unknown>): string {
  const initial = field.required ? "required" : field.initial === null ? "none" : `\`${literal(field.initial)}\``
  const unit = field.unit === null ? "" : ` (${field.unit})`
  const about = `${field.means} ${field.required ? "No default" : "The default"}: ${field.why}.`
  const cells = [`\`${field.key}\``, `${field.kind.type}${unit}`, initial, field.live ? "reload" : "restart", about]
  return `| ${cells.map(cell).join(" | ")} |`
}

function table(section: Section): string {
  const title = section.many ? `[[${section.name}]]` : `[${section.name}]`
  const overrides = section.overrides ? "\nThe keys of `[providers.defaults]` may stand here too.\n" : ""
  const rows = Object.values(section.fields).map(row).join("\n")
  return `### \`${title}\`\n\n${section.title}\n${overrides}\n| key | value | default | a change takes a | meaning |\n|---|---|---|---|---|\n${rows}\n`
}

/** Every key as Markdown, one table for each table of the file; the documentation holds this text word for word. */
export function renderReference(): string {
  return SECTIONS.map(table).join("\n")
}
