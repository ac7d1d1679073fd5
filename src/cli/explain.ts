import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Io, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { showId } from "./ids.ts"
import { createPaint, type Paint } from "./paint.ts"
import { SERVER_EXITS, ServerError, withServer } from "./server.ts"
import { type Explained, ExplainedShape, type List, type ProviderName } from "./shapes.ts"
import { chosen, listPools, PROVIDER_OPTION } from "./status.ts"
import { renderTable } from "./table.ts"

export const explain: Command = {
  words: ["explain"],
  summary: "say for each credential whether it would serve a model now, and why",
  detail:
    "Without --provider it asks those that have the model in their model_list. Ends with 0 when at least one credential would serve, else with 1.",
  examples: [
    { line: "pollux explain --model gpt-5.2-codex", says: "who would serve this model" },
    { line: "pollux explain --model gemini-2.5-pro --session 4711", says: "and whom this session prefers" },
  ],
  options: [
    { name: "model", short: "m", value: "MODEL", completes: "models", summary: "the model, as clients name it" },
    {
      name: "session",
      short: "s",
      value: "NAME",
      summary: "a session, as clients name it (session header, cache key)",
    },
    PROVIDER_OPTION,
    JSON_OPTION,
    ...SERVER_OPTIONS,
  ],
  exits: SERVER_EXITS,
  run: (input, io) => {
    const model = input.option("model")
    if (model === null) {
      io.err("pollux: --model is missing: name the model, as clients do\nTry `pollux explain --help`.\n")
      return Promise.resolve(EXIT.usage)
    }
    return withServer(input, io, async (server) => {
      const named = input.option("provider")
      const session = input.option("session")
      const providers = named === null ? holders(model, await listPools(server, chosen(null))) : chosen(named)
      const answers = await Promise.all(
        providers.map(async (provider) => ({
          provider,
          ...(await server.post(`/${provider}/resource:explain`, { model, session }, ExplainedShape)),
        })),
      )
      if (input.has("json"))
        io.out(`${JSON.stringify({ model, session, providers: answers.map(forPrograms) }, null, 2)}\n`)
      else io.out(answers.map((answer) => explainText(answer.provider, answer, io)).join("\n"))
      return answers.some(({ credentials }) => credentials.some(({ usable }) => usable)) ? EXIT.ok : EXIT.failure
    })
  },
}

type Answer = Explained & { readonly provider: ProviderName }

function forPrograms({ provider, credentials }: Answer): unknown {
  return { provider, credentials }
}

/**
 * The providers whose list has the model. Pure.
 * @throws ServerError when none has, naming what there is
 */
export function holders(model: string, lists: readonly List[]): readonly ProviderName[] {
  const found = chosen(null).filter((name) => {
    const list = lists.find(({ provider }) => provider === name)
    return list !== undefined && Object.hasOwn(list.models, model)
  })
  if (found.length > 0) return found
  const there = lists.map(({ provider, models }) => `  ${provider}: ${Object.keys(models).join(", ") || "none"}`)
  throw new ServerError(
    escapeLines(`pollux: no provider has ${model} in its model_list; there are\n${there.join("\n")}`),
    EXIT.failure,
  )
}

function escapeLines(text: string): string {
  return text.split("\n").map(escapeControls).join("\n")
}

function explainText(provider: ProviderName, { model, session, credentials }: Explained, io: Io): string {
  const paint = createPaint(io.color)
  const usable = credentials.filter((credential) => credential.usable).length
  const whom = session === null ? "" : `, session ${escapeControls(session)}`
  const head = `${paint.bold(provider)}  ${escapeControls(model)}${whom}: ${usable} of ${credentials.length} would serve\n`
  if (credentials.length === 0) return `${head}No credential yet: \`pollux login ${provider}\`.\n`
  const rows = credentials.map((credential) => [
    showId(provider, credential.id),
    yesOrNo(credential.usable, paint),
    escapeControls(credential.email ?? ""),
    escapeControls(credential.why),
    credential.sticky ? "yes" : "",
  ])
  const columns = [
    { title: "ID" },
    { title: "SERVES" },
    { title: "ACCOUNT", min: 8, drop: 2 },
    { title: "WHY", min: 16 },
    { title: "SESSION'S OWN", min: 7, drop: 1 },
  ]
  const width = io.terminal ? io.columns : Number.POSITIVE_INFINITY
  return `${head}\n${renderTable(columns, rows, width, paint)}`
}

function yesOrNo(usable: boolean, paint: Paint): string {
  return usable ? paint.good("yes") : paint.bad("no")
}
