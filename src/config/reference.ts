import type { Field } from "./field.ts"
import { literal } from "./render.ts"
import { SECTIONS, type Section } from "./schema.ts"

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
