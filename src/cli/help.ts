import { COMMON_OPTIONS, type Command, type Option } from "./command.ts"

/** Help for a command, a group, or everything; examples first. Pure. `meaning` explains an exit code. */
export function helpText(
  words: readonly string[],
  commands: readonly Command[],
  meaning: (code: number) => string,
  version: string,
): string | null {
  if (words.length === 0) return overview(commands, version)
  const exact = commands.find((c) => c.words.length === words.length && c.words.every((w, i) => words[i] === w))
  if (exact !== undefined) return commandHelp(exact, meaning)
  const group = commands.filter((c) => words.every((w, i) => c.words[i] === w))
  return group.length === 0 ? null : groupHelp(words, group)
}

function overview(commands: readonly Command[], version: string): string {
  const rows = commands.map((c): Row => [usage(c, false), c.summary])
  return [
    `pollux ${version}: serves a pool of your own OAuth credentials as the Gemini and OpenAI Responses APIs`,
    "",
    "First steps",
    ...table([
      ["pollux init", "write a config.toml with a random key"],
      ["pollux", "serve"],
      ["pollux login codex", "add a credential through the browser"],
      ["pollux client codex", "print what to put into a client's configuration"],
    ]),
    "",
    "Commands",
    ...table(rows),
    "",
    "pollux COMMAND --help tells more, with examples.",
    "",
  ].join("\n")
}

function groupHelp(words: readonly string[], group: readonly Command[]): string {
  return [
    "Examples",
    ...table(group.flatMap((c) => c.examples.slice(0, 1)).map((e): Row => [e.line, e.says])),
    "",
    `Commands of ${words.join(" ")}`,
    ...table(group.map((c): Row => [usage(c, false), c.summary])),
    "",
  ].join("\n")
}

/** Columns of running text; tables are as wide as they are. */
const LINE = 96

function commandHelp(command: Command, meaning: (code: number) => string): string {
  const lines = ["Examples", ...table(command.examples.map((e): Row => [e.line, e.says])), ""]
  lines.push(`${command.summary[0]?.toUpperCase() ?? ""}${command.summary.slice(1)}.`)
  if (command.detail !== undefined) lines.push("", Bun.wrapAnsi(command.detail, LINE))
  lines.push("", `Usage: ${usage(command, true)}`)
  const args = command.arguments ?? []
  if (args.length > 0) {
    lines.push("", "Arguments")
    lines.push(...table(args.map((a): Row => [a.name, withChoices(a.summary, a.choices)])))
  }
  lines.push("", "Options")
  lines.push(
    ...table(
      [...(command.options ?? []), ...COMMON_OPTIONS].map((o): Row => [spelling(o), withChoices(o.summary, o.choices)]),
    ),
  )
  // 74: whatever a command prints may meet a full disk.
  const exits = [...new Set([0, ...(command.exits ?? []), 64, 74])].sort((a, b) => a - b)
  lines.push("", "Exit codes", ...table(exits.map((code): Row => [String(code), meaning(code)])), "")
  return lines.join("\n")
}

function withChoices(summary: string, choices: readonly string[] | undefined): string {
  return choices === undefined ? summary : `${summary}: ${choices.join(", ")}`
}

function spelling(option: Option): string {
  const short = option.short === undefined ? "" : `-${option.short}, `
  return `${short}--${option.name}${option.value === undefined ? "" : ` ${option.value}`}`
}

/** One line as it is typed. */
export function usage(command: Command, withOptions: boolean): string {
  const args = (command.arguments ?? []).map((a) => {
    const name = a.many === true ? `${a.name}...` : a.name
    return a.required ? name : `[${name}]`
  })
  const options = withOptions && (command.options ?? []).length > 0 ? ["[OPTIONS]"] : []
  return ["pollux", ...command.words, ...args, ...options].join(" ")
}

type Row = readonly [left: string, right: string]

function table(rows: readonly Row[]): string[] {
  const width = Math.min(44, Math.max(0, ...rows.map(([left]) => left.length)))
  return rows.map(([left, right]) => {
    const gap = left.length > width ? `\n${" ".repeat(width + 4)}` : " ".repeat(width - left.length + 2)
    return `  ${left}${gap}${right}`
  })
}
