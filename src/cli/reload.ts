import { type Static, Type } from "@sinclair/typebox"
import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { SERVER_EXITS, type Server, ServerError, withServer } from "./server.ts"

/** `POST /reload`: with 200 what changed, with 422 why nothing did. */
const ReloadShape = Type.Union([
  Type.Object({
    ok: Type.Literal(true),
    changed: Type.Array(Type.String()),
    needsRestart: Type.Array(Type.String()),
    encryptionKeyId: Type.Union([Type.String(), Type.Null()]),
  }),
  Type.Object({ ok: Type.Literal(false), problems: Type.Array(Type.String()) }),
])
export type Reloaded = Static<typeof ReloadShape>

/** Bringing every stored token under another key may take a while. */
const RELOAD_MS = 120_000

/** Has the server read its configuration again. @throws ServerError */
export function requestReload(server: Server): Promise<Reloaded> {
  return server.post("/reload", {}, ReloadShape, { timeoutMs: RELOAD_MS, also: [422] })
}

export const reload: Command = {
  words: ["reload"],
  summary: "have the running server read its configuration again",
  detail:
    "No request fails while it happens. A configuration with a problem is refused as a whole and the old one stays in use. What only a restart can change is named. SIGHUP does the same; it is the way to go when the keys themselves were changed, since the server still has the old ones.",
  examples: [
    { line: "pollux reload", says: "after editing config.toml" },
    { line: "pollux check && pollux reload", says: "look for problems first" },
  ],
  options: [...SERVER_OPTIONS, JSON_OPTION],
  exits: SERVER_EXITS,
  run: (input, io) =>
    withServer(input, io, async (server) => {
      let outcome: Reloaded
      try {
        outcome = await requestReload(server)
      } catch (error) {
        if (error instanceof ServerError && error.status === 401) {
          io.err(
            "pollux: if the key in the configuration was changed, the server does not know it yet: send it SIGHUP\n",
          )
        }
        throw error
      }
      if (input.has("json")) io.out(`${JSON.stringify(outcome, null, 2)}\n`)
      else if (outcome.ok) io.out(reloadText(outcome))
      else {
        for (const problem of outcome.problems) io.err(`${escapeControls(problem)}\n`)
        io.err("pollux: reload refused; the old configuration stays in use\n")
      }
      return outcome.ok ? EXIT.ok : EXIT.config
    }),
}

/** What a reload did, for people. Pure. */
export function reloadText({
  changed,
  needsRestart,
}: Pick<Reloaded & { readonly ok: true }, "changed" | "needsRestart">): string {
  if (changed.length + needsRestart.length === 0) return "Reloaded; nothing has changed.\n"
  const lines = [
    changed.length > 0 ? ["Reloaded. Now in use:", ...changed.map((key) => `  ${key}`)] : ["Reloaded."],
    needsRestart.length > 0 ? ["Needs a restart:", ...needsRestart.map((key) => `  ${key}`)] : [],
  ]
  return `${lines.flat().map(escapeControls).join("\n")}\n`
}
