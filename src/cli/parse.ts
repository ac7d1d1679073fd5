import { suggest } from "../config/suggest.ts"
import { COMMON_OPTIONS, type Command, type Input, type Option } from "./command.ts"

export type Parsed =
  | { readonly kind: "run"; readonly command: Command; readonly input: Input }
  /** `--help`, `help X`, or a group without a command: show help of these words. */
  | { readonly kind: "help"; readonly words: readonly string[] }
  | { readonly kind: "version" }
  | { readonly kind: "usage"; readonly message: string; readonly words: readonly string[] }

/** Finds the command that `argv` names and fits its options and arguments. Pure; the default command is `serve`. */
export function parseCommandLine(argv: readonly string[], commands: readonly Command[]): Parsed {
  const first = argv[0]
  if (first === "help") return { kind: "help", words: argv.slice(1) }
  if (first === "--version" || first === "-V" || first === "version") return { kind: "version" }
  if (first === "--help" || first === "-h") return { kind: "help", words: [] }
  if (first === undefined || first.startsWith("-")) {
    const serve = commands.find((c) => c.words[0] === "serve")
    return serve === undefined ? { kind: "help", words: [] } : fit(serve, argv)
  }
  const command = match(argv, commands)
  if (command !== null) return fit(command, argv.slice(command.words.length))

  const group = commands.filter((c) => c.words[0] === first)
  if (group.length > 0) {
    const second = argv[1]
    if (second === undefined || second === "--help" || second === "-h") return { kind: "help", words: [first] }
    const names = group.map((c) => c.words[1] ?? "")
    return {
      kind: "usage",
      words: [first],
      message: `unknown command "${first} ${second}"${suggestion(second, names, `${first} `)}`,
    }
  }
  const names = [...new Set(commands.map((c) => c.words[0] ?? ""))]
  return { kind: "usage", words: [], message: `unknown command "${first}"${suggestion(first, names, "")}` }
}

function match(argv: readonly string[], commands: readonly Command[]): Command | null {
  let best: Command | null = null
  for (const command of commands) {
    if (command.words.length <= (best?.words.length ?? 0)) continue
    if (command.words.every((word, i) => argv[i] === word)) best = command
  }
  return best
}

function suggestion(given: string, names: readonly string[], prefix: string): string {
  const close = suggest(given, names)
  return close === null ? "" : `; did you mean "${prefix}${close}"?`
}

type Taken = ReturnType<typeof takeApart>

/** A line of no more than the command: a plain start, which is waited for, loads nothing to read it. */
const NOTHING: Taken = { values: {}, positionals: [], tokens: [] }

function takeApart(rest: readonly string[], known: readonly Option[]) {
  return process.getBuiltinModule("node:util").parseArgs({
    args: [...rest],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      known.map((o) => [
        o.name,
        {
          type: o.value === undefined ? ("boolean" as const) : ("string" as const),
          ...(o.short === undefined ? {} : { short: o.short }),
        },
      ]),
    ),
  })
}

function fit(command: Command, rest: readonly string[]): Parsed {
  const known: readonly Option[] = [...COMMON_OPTIONS, ...(command.options ?? [])]
  const usage = (message: string): Parsed => ({ kind: "usage", words: command.words, message })

  const { values, positionals, tokens } = rest.length === 0 ? NOTHING : takeApart(rest, known)
  for (const token of tokens) {
    if (token.kind !== "option") continue
    const option = known.find((o) => o.name === token.name)
    if (option === undefined) {
      const names = known.map((o) => o.name)
      return usage(`unknown option ${token.rawName}${suggestion(token.name, names, "--")}`)
    }
    if (option.value === undefined && token.value !== undefined) return usage(`--${option.name} takes no value`)
    if (option.value !== undefined && (token.value === undefined || token.value === "")) {
      return usage(`--${option.name} needs a value: --${option.name} ${option.value}`)
    }
    if (option.choices !== undefined && token.value !== undefined && !option.choices.includes(token.value)) {
      return usage(`--${option.name} takes ${option.choices.join(", ")}, got "${token.value}"`)
    }
  }
  if (values.help === true) return { kind: "help", words: command.words }

  const wanted = command.arguments ?? []
  const missing = wanted.filter((a) => a.required)[positionals.length]
  if (missing !== undefined) return usage(`${missing.name} is missing: ${missing.summary}`)
  const takesMany = wanted.at(-1)?.many === true
  const extra = positionals[wanted.length]
  if (extra !== undefined && !takesMany) return usage(`unexpected argument "${extra}"`)
  for (const [i, argument] of wanted.entries()) {
    const given = positionals[i]
    if (given !== undefined && argument.choices !== undefined && !argument.choices.includes(given)) {
      return usage(
        `${argument.name} is one of ${argument.choices.join(", ")}, got "${given}"${suggestion(given, argument.choices, "")}`,
      )
    }
  }
  const input: Input = {
    args: positionals,
    option: (name) => {
      const value = values[name]
      return typeof value === "string" ? value : null
    },
    has: (name) => values[name] === true,
  }
  return { kind: "run", command, input }
}
