/** What may be typed where, from the table of commands: the one source of the completion of all three shells. Pure. */
import { type Argument, COMMON_OPTIONS, type Command, type Option } from "./command.ts"

export interface Described {
  readonly word: string
  readonly says: string
}

/**
 * What to offer for a value: `= a b` for fixed choices, the word of a `Completes`, `files`, or `nothing`. One line of plain characters,
 * so that every shell can hold it in a case statement.
 */
export type Offer = string

export interface FlagWords {
  /** `--config`, `-c` */
  readonly spellings: readonly string[]
  readonly says: string
  /** Null for a switch, which takes no value. */
  readonly value: Offer | null
}

/** A point of the command line: behind these words. */
export interface Point {
  /** `credential list`; empty at the start. */
  readonly words: string
  readonly next: readonly Described[]
  readonly flags: readonly FlagWords[]
  /** By position; the last one goes on for ever when `many`. */
  readonly arguments: readonly Offer[]
  readonly many: boolean
}

/** All points, the start first. */
export function completionPoints(commands: readonly Command[]): readonly Point[] {
  const groups = [...new Set(commands.map(({ words }) => words[0] ?? ""))]
  const serve = commands.find(({ words }) => words[0] === "serve")
  const top: Point = {
    words: "",
    next: [
      ...groups.map((word) => ({
        word,
        says:
          commands.find(({ words }) => words[0] === word && words.length === 1)?.summary ?? groupSays(word, commands),
      })),
      { word: "help", says: "show help of a command" },
    ],
    flags: [
      ...flags(serve?.options ?? []),
      { spellings: ["--version", "-V"], says: "show the version and end", value: null },
    ],
    arguments: [],
    many: false,
  }
  const help: Point = { words: "help", next: [], flags: [], arguments: [`= ${groups.join(" ")}`], many: false }
  const grouped = groups
    .filter((word) => commands.some(({ words }) => words[0] === word && words.length > 1))
    .filter((word) => !commands.some(({ words }) => words.join(" ") === word))
    .map(
      (word): Point => ({ words: word, next: below([word], commands), flags: flags([]), arguments: [], many: false }),
    )
  const own = commands.map(
    (command): Point => ({
      words: command.words.join(" "),
      next: below(command.words, commands),
      flags: flags(command.options ?? []),
      arguments: (command.arguments ?? []).map(offer),
      many: command.arguments?.at(-1)?.many === true,
    }),
  )
  return [top, help, ...grouped, ...own]
}

function below(words: readonly string[], commands: readonly Command[]): readonly Described[] {
  return commands
    .filter(
      (command) => command.words.length === words.length + 1 && words.every((word, i) => command.words[i] === word),
    )
    .map(({ words: all, summary }) => ({ word: all.at(-1) ?? "", says: summary }))
}

function groupSays(word: string, commands: readonly Command[]): string {
  return below([word], commands)
    .map((described) => described.word)
    .join(", ")
}

function flags(options: readonly Option[]): readonly FlagWords[] {
  return [...options, ...COMMON_OPTIONS].map((option) => ({
    spellings: [`--${option.name}`, ...(option.short === undefined ? [] : [`-${option.short}`])],
    says: option.summary,
    value: option.value === undefined ? null : offer(option),
  }))
}

function offer(
  place: Pick<Argument, "choices" | "completes"> & { readonly name: string; readonly value?: string },
): Offer {
  if (place.choices !== undefined) return `= ${place.choices.join(" ")}`
  if (place.completes !== undefined) return place.completes
  return /^(?:PATH|DIR)$/.test(place.value ?? place.name) ? "files" : "nothing"
}
