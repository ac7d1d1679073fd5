import { systemClock } from "../observe/clock.ts"
import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Input, type Io, JSON_OPTION, type Option, SERVER_OPTIONS } from "./command.ts"
import { type Named, parseId, showId } from "./ids.ts"
import { createPaint } from "./paint.ts"
import { accountText, credentialTable, stateText } from "./pool-text.ts"
import { SERVER_EXITS, type Server, ServerError, withServer } from "./server.ts"
import { ChangedShape, type Credential, type List, PROVIDERS, type ProviderName } from "./shapes.ts"
import { chosen, listPools, PROVIDER_OPTION } from "./status.ts"

/** Waits for the provider's token endpoint, too. */
const REFRESH_MS = 90_000

interface Verb {
  readonly word: "disable" | "enable" | "refresh" | "remove" | "clear"
  readonly summary: string
  readonly detail: string
  readonly example: string
  /** Said of a credential once it is done. */
  readonly done: string
  readonly options?: readonly Option[]
  readonly timeoutMs?: number
}

const VERBS: readonly Verb[] = [
  {
    word: "disable",
    summary: "take credentials out of rotation",
    detail: "Requests under way are finished. It stays disabled over restarts, until it is enabled.",
    example: "until it is enabled again",
    done: "disabled",
  },
  {
    word: "enable",
    summary: "put disabled credentials back into rotation",
    detail: "Also brings back one that is parked or banned, to try it again.",
    example: "back into rotation",
    done: "enabled",
  },
  {
    word: "refresh",
    summary: "renew the tokens of credentials now",
    detail: "Waits for the provider's answer. Clears no cooldown.",
    example: "renew its tokens now",
    done: "refreshed",
    timeoutMs: REFRESH_MS,
  },
  {
    word: "remove",
    summary: "delete credentials with their tokens",
    detail: "There is no way back: the account must log in anew. Asks first on a terminal; elsewhere it needs --yes.",
    example: "delete it, after a question",
    done: "removed",
    options: [{ name: "yes", short: "y", summary: "do not ask" }],
  },
  {
    word: "clear",
    summary: "forget cooldowns, marks and parking of credentials, to try them again",
    detail:
      "What the provider said is forgotten; when it says it again, the credential rests again. Disabled and banned ones stay so.",
    example: "try it again at once",
    done: "cleared",
  },
]

const list: Command = {
  words: ["credential", "list"],
  summary: "list credentials",
  examples: [
    { line: "pollux credential list", says: "all of them" },
    { line: "pollux credential list --provider codex --json", says: "of one provider, for scripts" },
  ],
  options: [PROVIDER_OPTION, JSON_OPTION, ...SERVER_OPTIONS],
  exits: SERVER_EXITS,
  run: (input, io) =>
    withServer(input, io, async (server) => {
      const lists = await listPools(server, chosen(input.option("provider")))
      if (input.has("json")) {
        const credentials = lists.flatMap(({ provider, credentials }) => credentials.map((c) => ({ provider, ...c })))
        io.out(`${JSON.stringify(credentials, null, 2)}\n`)
        return EXIT.ok
      }
      const width = io.terminal ? io.columns : Number.POSITIVE_INFINITY
      const look = { now: systemClock.wall(), width, paint: createPaint(io.color) }
      const tables = lists.map(({ provider, credentials }) => credentialTable(provider, credentials, look))
      const shown = tables.filter((table) => table !== "")
      if (shown.length > 0) io.out(shown.join("\n"))
      else io.err("No credential yet: `pollux login geminicli|codex`, or `pollux import FILE`.\n")
      return EXIT.ok
    }),
}

export const credentialCommands: readonly Command[] = [list, ...VERBS.map(command)]

function command(verb: Verb): Command {
  const { word } = verb
  return {
    words: ["credential", word],
    summary: verb.summary,
    detail: `${verb.detail} Ids are per provider; one that only one provider has needs no name in front.`,
    examples: [
      { line: `pollux credential ${word} codex:3`, says: verb.example },
      { line: `pollux credential ${word} 3 --provider codex`, says: "the same" },
      { line: `pollux credential ${word} codex:3 codex:4 geminicli:1`, says: "several at once" },
    ],
    arguments: [
      { name: "ID", summary: "a credential like codex:3", required: true, many: true, completes: "credentials" },
    ],
    options: [
      ...(verb.options ?? []),
      { ...PROVIDER_OPTION, summary: "whose ids these are" },
      JSON_OPTION,
      ...SERVER_OPTIONS,
    ],
    exits: SERVER_EXITS,
    run: (input, io) => {
      const named = readIds(input)
      if (typeof named === "string") {
        io.err(`pollux: ${named}\n`)
        return Promise.resolve(EXIT.usage)
      }
      return withServer(input, io, (server) => act(verb, named, server, input, io))
    },
  }
}

function readIds(input: Input): readonly Named[] | string {
  const named: Named[] = []
  for (const text of input.args) {
    const read = parseId(text, input.option("provider"))
    if (!read.ok) return read.problem
    named.push(read.named)
  }
  return named
}

export interface Found {
  readonly provider: ProviderName
  readonly credential: Credential
}

async function act(verb: Verb, named: readonly Named[], server: Server, input: Input, io: Io): Promise<number> {
  const { word } = verb
  const found = find(named, await listPools(server, PROVIDERS))
  if (word === "remove" && !input.has("yes") && !(await confirmed(found, io))) return EXIT.failure
  const paint = createPaint(io.color)
  const results: unknown[] = []
  let code: number = EXIT.ok
  for (const { provider, credential } of found) {
    const id = showId(provider, credential.id)
    try {
      const options = verb.timeoutMs === undefined ? {} : { timeoutMs: verb.timeoutMs }
      const answer = await server.post(`/${provider}/resource:${word}`, { id: credential.id }, ChangedShape, options)
      const now = answer.credential
      results.push({ id, ok: true, credential: now })
      const state = now === null || word === "remove" ? "" : `, now ${stateText(now.state, paint)}`
      if (!input.has("json")) io.out(`${id} ${verb.done}${state}\n`)
    } catch (error) {
      // Refused for this one; what keeps the server from answering at all keeps it from the others as well.
      if (!(error instanceof ServerError) || (error.status !== 404 && error.status !== 409)) throw error
      code = EXIT.failure
      results.push({ id, ok: false, error: { code: error.code, message: error.said } })
      io.err(`${id} not ${verb.done}: ${error.said ?? "the server refused"}\n`)
    }
  }
  if (input.has("json")) io.out(`${JSON.stringify(results, null, 2)}\n`)
  return code
}

/**
 * The credentials that are meant. Pure.
 * @throws ServerError naming those that are not there, or that both providers have
 */
export function find(named: readonly Named[], lists: readonly List[]): readonly Found[] {
  const problems: string[] = []
  let code: number = EXIT.failure
  const all = new Map<string, Found>()
  for (const { provider, id } of named) {
    const hits = PROVIDERS.flatMap((name): Found[] => {
      if (provider !== null && provider !== name) return []
      const credential = lists.find((l) => l.provider === name)?.credentials.find((c) => c.id === id)
      return credential === undefined ? [] : [{ provider: name, credential }]
    })
    const [hit] = hits
    if (hit === undefined) {
      const shown = provider === null ? String(id) : showId(provider, id)
      problems.push(`pollux: there is no credential ${shown}: \`pollux credential list\` shows those that are`)
    } else if (hits.length > 1) {
      code = EXIT.usage
      problems.push(`pollux: both providers have a credential ${id}; say which:`)
      problems.push(...hits.map((one) => `  ${describe(one)}`))
    } else all.set(showId(hit.provider, id), hit)
  }
  if (problems.length > 0) throw new ServerError(problems.join("\n"), code)
  return [...all.values()]
}

function describe({ provider, credential }: Found): string {
  const account = accountText(credential).replaceAll("\n", ", ")
  return `${showId(provider, credential.id)}  ${account}  (${escapeControls(credential.state)})`
}

async function confirmed(found: readonly Found[], io: Io): Promise<boolean> {
  if (!io.interactive) {
    throw new ServerError("pollux: removing is final: say --yes where nobody can be asked", EXIT.usage)
  }
  const what = found.length === 1 ? "this credential" : `these ${found.length} credentials`
  io.err(`${found.map((one) => `  ${describe(one)}\n`).join("")}`)
  const answer = await io.readLine(`Remove ${what} and their tokens? The accounts must log in anew. [y/N] `)
  if (/^y(?:es)?$/i.test(answer?.trim() ?? "")) return true
  io.err("Nothing was removed.\n")
  return false
}
