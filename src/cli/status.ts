import { systemClock, systemTimers } from "../observe/clock.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Io, JSON_OPTION, type Option, SERVER_OPTIONS } from "./command.ts"
import { createPaint } from "./paint.ts"
import { poolText } from "./pool-text.ts"
import { SERVER_EXITS, type Server, withServer } from "./server.ts"
import { isProvider, type List, ListShape, PROVIDERS, type ProviderName } from "./shapes.ts"
import { watchPools } from "./watch.ts"

export const PROVIDER_OPTION: Option = {
  name: "provider",
  short: "p",
  value: "NAME",
  choices: PROVIDERS,
  summary: "only this provider",
}

export const status: Command = {
  words: ["status"],
  summary: "show every credential: state, reason, until when, quota left",
  detail:
    "--watch draws anew whenever something changes, until Ctrl-C. With --json it prints one line of JSON per change; when the output is no terminal, the text again.",
  examples: [
    { line: "pollux status", says: "both pools, once" },
    { line: "pollux status --watch", says: "go on until Ctrl-C" },
    { line: "pollux status --json | jq '.providers[].counts'", says: "for scripts" },
  ],
  options: [
    { name: "watch", short: "w", summary: "draw anew whenever something changes, until Ctrl-C" },
    PROVIDER_OPTION,
    JSON_OPTION,
    ...SERVER_OPTIONS,
  ],
  exits: SERVER_EXITS,
  run: (input, io) =>
    withServer(input, io, async (server) => {
      const providers = chosen(input.option("provider"))
      const json = input.has("json")
      if (input.has("watch")) {
        await watchPools({ server, providers, io, json, clock: systemClock, timers: systemTimers, draw: statusText })
        return EXIT.ok
      }
      const lists = await listPools(server, providers)
      io.out(json ? `${JSON.stringify(statusJson(server, lists), null, 2)}\n` : statusText(server, lists, io))
      return EXIT.ok
    }),
}

/** The providers that `--provider` leaves. */
export function chosen(option: string | null): readonly ProviderName[] {
  return option !== null && isProvider(option) ? [option] : PROVIDERS
}

export function listPools(server: Server, providers: readonly ProviderName[]): Promise<readonly List[]> {
  return Promise.all(providers.map((provider) => server.get(`/${provider}/resource:list`, ListShape)))
}

function statusJson(server: Server, lists: readonly List[]): unknown {
  return { server: server.url, at: systemClock.wall(), providers: lists }
}

function statusText(server: Pick<Server, "url">, lists: readonly List[], io: Io): string {
  const paint = createPaint(io.color)
  const look = { now: systemClock.wall(), width: io.terminal ? io.columns : Number.POSITIVE_INFINITY, paint }
  return [`${paint.dim(server.url)}\n`, ...lists.map((list) => poolText(list, look))].join("\n")
}
