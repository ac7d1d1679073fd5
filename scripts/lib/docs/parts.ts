/** The parts of the README that are made from what the program itself uses, so that they cannot say something else. */
import type { Command } from "../../../src/cli/command.ts"
import { commands } from "../../../src/cli/commands.ts"
import { helpText, usage } from "../../../src/cli/help.ts"
import { SNIPPETS, type SnippetFacts, type SnippetPart } from "../../../src/cli/snippets.ts"
import { renderReference } from "../../../src/config/render.ts"
import { basic, codex, geminicli } from "../../../src/config/schema.ts"
import { systemClock, systemTimers } from "../../../src/observe/clock.ts"
import { EXIT_CODES, exitMeaning } from "../../../src/observe/exit.ts"
import { createMetrics } from "../../../src/observe/metrics.ts"

/** The address that the README's examples use: a server started with `pollux init`'s configuration. */
export const README_SERVER = `http://127.0.0.1:${basic.listenPort.absent()}`

const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n")
}

function folded(title: string, inside: string): string {
  return `<details>\n<summary>${title}</summary>\n\n${inside}\n\n</details>`
}

const fenced = (language: string, text: string): string => `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``

function commandPart(): string {
  const overview = table(
    ["command", "does"],
    commands.map((command) => [`\`${usage(command, false)}\``, command.summary]),
  )
  const help = (command: Command) => helpText(command.words, commands, exitMeaning, "") ?? ""
  const each = commands.map((command) =>
    folded(`<code>pollux ${command.words.join(" ")} --help</code>`, fenced("text", help(command))),
  )
  return [overview, ...each].join("\n\n")
}

function clientPart(): string {
  const facts: SnippetFacts = {
    url: README_SERVER,
    key: null,
    codexModel: codex.modelList.absent()[0] ?? "",
    geminiModel: geminicli.modelList.absent()[0] ?? "",
  }
  const step = ({ says, file, language, text }: SnippetPart) =>
    `${says}${file === null ? "" : ` (\`${file}\`)`}:\n\n${fenced(language, text)}`
  return Object.entries(SNIPPETS)
    .map(([name, snippet]) =>
      folded(
        `<code>pollux client ${name}</code>: ${snippet.summary}`,
        snippet
          .parts(facts)
          .filter(({ kind }) => kind !== "key")
          .map(step)
          .join("\n\n"),
      ),
    )
    .join("\n\n")
}

function exitPart(): string {
  return table(
    ["code", "name", "meaning"],
    EXIT_CODES.map(({ code, name, meaning }) => [String(code), name, meaning]),
  )
}

/** `# HELP name text` and `# TYPE name kind` of the exposition format. */
async function metricPart(): Promise<string> {
  const metrics = createMetrics({ version: "", clock: systemClock, timers: systemTimers })
  try {
    const text = await metrics.text()
    const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", kind = ""]) => [name, kind]))
    const rows = [...text.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name = "", help = ""]) => [
      `\`${name}\``,
      kinds.get(name) ?? "",
      help,
    ])
    return table(["metric", "type", "meaning"], rows)
  } finally {
    metrics.close()
  }
}

/** Every generated part by the name of its markers. */
export async function readmeParts(): Promise<Readonly<Record<string, string>>> {
  return {
    clients: clientPart(),
    config: renderReference(),
    commands: commandPart(),
    "exit-codes": exitPart(),
    metrics: await metricPart(),
  }
}
