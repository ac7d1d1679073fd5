import { loadConfig } from "../config/load.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Input, type Io, SERVER_OPTIONS } from "./command.ts"
import { completionScript, SHELLS } from "./completion-scripts.ts"
import { completionPoints } from "./completion-words.ts"
import { showId } from "./ids.ts"
import { connect, findTarget } from "./server.ts"
import { ListShape, PROVIDERS } from "./shapes.ts"

/** Somebody waits with a finger on the key. */
const PATIENCE_MS = 1_500

/** What the scripts ask for while somebody types. One item a line. */
const SOURCES: Readonly<Record<string, (input: Input, io: Io) => Promise<readonly string[]>>> = {
  async credentials(input, io) {
    const server = connect(findTarget(input, io))
    const lists = await Promise.all(
      PROVIDERS.map((provider) => server.get(`/${provider}/resource:list`, ListShape, { timeoutMs: PATIENCE_MS })),
    )
    return lists.flatMap(({ provider, credentials }) => credentials.map(({ id }) => showId(provider, id)))
  },
  keys: async (input, io) => configOf(input, io)?.keys.map(({ name }) => name) ?? [],
  models: async (input, io) =>
    Object.values(configOf(input, io)?.providers ?? {}).flatMap(({ modelList }) => modelList),
}

function configOf(input: Input, io: Io) {
  const loaded = loadConfig({ explicitPath: input.option("config"), env: io.env, cwd: io.cwd })
  return loaded.ok ? loaded.config : null
}

/** @param all gives the table that this command is itself part of */
export function createCompletion(all: () => readonly Command[]): Command {
  return {
    words: ["completion"],
    summary: "print a script that completes commands in a shell",
    detail:
      "The script completes commands, options, their values, the ids of credentials (asked of the running server), names of client keys and models. credentials, keys and models are what it asks for while you type: one item a line, and nothing when there is nobody to ask.",
    examples: [
      { line: "source <(pollux completion bash)", says: "for this shell; put it into ~/.bashrc to keep it" },
      { line: "source <(pollux completion zsh)", says: "likewise; ~/.zshrc, behind compinit" },
      { line: "pollux completion fish > ~/.config/fish/completions/pollux.fish", says: "for every new fish" },
    ],
    arguments: [{ name: "SHELL", summary: "the shell", required: true, choices: [...SHELLS, ...Object.keys(SOURCES)] }],
    options: SERVER_OPTIONS,
    async run(input, io) {
      const [what = ""] = input.args
      const shell = SHELLS.find((name) => name === what)
      if (shell !== undefined) io.out(completionScript(shell, completionPoints(all())))
      else {
        // Whatever is wrong, a completion has nothing to say about it.
        const items = await SOURCES[what]?.(input, io).catch(() => [])
        for (const item of items ?? []) io.out(`${item}\n`)
      }
      return EXIT.ok
    },
  }
}
