import { exitMeaning } from "../observe/exit.ts"
import type { Io } from "./command.ts"
import { helpText } from "./help.ts"
import { parseCommandLine } from "./parse.ts"
import { serve } from "./serve.ts"

const USAGE = 64

/** Runs one command line to its exit code. Throws only what is a bug. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // A server's start, which is waited for, loads no other command; what is no command line of its needs the whole table.
  const serving = parseCommandLine(argv, [serve])
  if (serving.kind === "run") return serving.command.run(serving.input, io)
  const { commands } = await import("./commands.ts")
  const parsed = parseCommandLine(argv, commands)
  switch (parsed.kind) {
    case "version":
      io.out(`pollux ${io.version}\n`)
      return 0
    case "help": {
      const text = helpText(parsed.words, commands, exitMeaning, io.version)
      if (text === null) {
        io.err(`pollux: no help for "${parsed.words.join(" ")}"; \`pollux --help\` lists the commands\n`)
        return USAGE
      }
      io.out(text)
      return 0
    }
    case "usage":
      io.err(`pollux: ${parsed.message}\n`)
      io.err(`Try \`pollux ${[...parsed.words, "--help"].join(" ")}\`.\n`)
      return USAGE
    case "run":
      return parsed.command.run(parsed.input, io)
  }
}
