import { isLoopback } from "../config/address.ts"
import { loadConfig } from "../config/load.ts"
import { codex, geminicli } from "../config/schema.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Io, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { ServerError } from "./server.ts"
import { parseServer, serverUrl } from "./server-address.ts"
import { SNIPPETS, type SnippetFacts, snippetText } from "./snippets.ts"

const NAMES = Object.keys(SNIPPETS)

export const client: Command = {
  words: ["client"],
  summary: "print what to put into a client's configuration",
  detail: `It needs no running server. The texts take the key from the variable POLLUX_KEY; give each client a key of its own with \`pollux key add\`.\n\n${NAMES.map((name) => `  ${name.padEnd(12)}${SNIPPETS[name]?.summary ?? ""}`).join("\n")}`,
  examples: [
    { line: "pollux client codex", says: "for the Codex CLI" },
    { line: "pollux client openai-sdk --server https://pollux.example", says: "for a server behind another address" },
    { line: "pollux client curl --print-key", says: "with pollux_key in place of the placeholder" },
  ],
  arguments: [{ name: "CLIENT", summary: "what will send requests", required: true, choices: NAMES }],
  options: [...SERVER_OPTIONS, { name: "print-key", summary: "show pollux_key instead of a placeholder" }, JSON_OPTION],
  exits: [EXIT.config],
  async run(input, io) {
    const name = input.args[0] ?? ""
    let facts: Found
    try {
      const { option } = input
      facts = findFacts({ config: option("config"), server: option("server"), key: input.has("print-key") }, io)
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      io.err(`${error.message}\n`)
      return error.exitCode
    }
    if (facts.hint !== null && !input.has("json")) io.err(`${facts.hint}\n`)
    const parts = SNIPPETS[name]?.parts(facts) ?? []
    io.out(
      input.has("json") ? `${JSON.stringify({ client: name, url: facts.url, parts }, null, 2)}\n` : snippetText(parts),
    )
    return EXIT.ok
  },
}

interface Found extends SnippetFacts {
  /** What else to know, for people. */
  readonly hint: string | null
}

interface Asked {
  readonly config: string | null
  readonly server: string | null
  /** Whether the key itself is wanted. */
  readonly key: boolean
}

const ELSEWHERE =
  "For a client on another machine, give the address that it reaches this one by: --server http://HOST:PORT"

/** @throws ServerError when neither the configuration nor `--server` tells the address, or the key is wanted and not known */
function findFacts(asked: Asked, io: Pick<Io, "env" | "cwd">): Found {
  const named = asked.server === null ? null : parseServer(asked.server)
  if (named !== null && !named.ok) throw new ServerError(`pollux: ${named.problem}`, EXIT.usage)
  const loaded = loadConfig({ explicitPath: asked.config, env: io.env, cwd: io.cwd })
  if (!loaded.ok) {
    // A machine that only has clients has no configuration, and needs none.
    if (named === null || !loaded.missing || asked.config !== null) {
      throw new ServerError(loaded.problems.join("\n"), EXIT.config)
    }
    const key = asked.key ? (io.env.POLLUX_KEY ?? "") : null
    if (key === "")
      throw new ServerError("pollux: --print-key: there is neither a configuration nor POLLUX_KEY", EXIT.config)
    return {
      url: named.url,
      hint: null,
      key,
      codexModel: firstOf(codex.modelList.absent()),
      geminiModel: firstOf(geminicli.modelList.absent()),
    }
  }
  const { basic, providers } = loaded.config
  if (named === null && basic.listenPort === 0) {
    throw new ServerError(
      `pollux: ${loaded.path} lets the system choose the port: name the server with --server URL`,
      EXIT.config,
    )
  }
  return {
    url: named?.url ?? serverUrl(basic.listenAddr, basic.listenPort),
    hint: named === null && !isLoopback(basic.listenAddr) ? ELSEWHERE : null,
    key: asked.key ? basic.polluxKey : null,
    codexModel: firstOf(providers.codex.modelList, codex.modelList.absent()),
    geminiModel: firstOf(providers.geminicli.modelList, geminicli.modelList.absent()),
  }
}

/** The default model where the list has it, since it is what most accounts have; else the list's first. */
function firstOf(models: readonly string[], preferred: readonly string[] = []): string {
  return preferred.find((model) => models.includes(model)) ?? models[0] ?? preferred[0] ?? "MODEL"
}
