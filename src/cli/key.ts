import { createHash, randomBytes } from "node:crypto"
import { appendTable, type EditValue, removeTable } from "../config/edit.ts"
import { clientKey } from "../config/schema.ts"
import type { ClientKey } from "../config/types.ts"
import { EXIT } from "../observe/exit.ts"
import { type Announced, announce, report } from "./announce.ts"
import { CONFIG_OPTION, type Command, type Input, type Io, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { ConfigFileError, openConfigFile, replaceConfigFile } from "./config-file.ts"
import { KEY_COLUMNS, keyCells, keyState } from "./key-view.ts"
import { readMoment } from "./moment.ts"
import { createPaint } from "./paint.ts"
import { renderTable } from "./table.ts"

/** Tells a leaked key's origin at sight; scanners for secrets look for such prefixes. */
const PREFIX = "plx_"
const KEY_BYTES = 32

const NAME_ARGUMENT = { name: "NAME", summary: "names the key in the file, in logs and in metrics", required: true }

/** Exit codes of the commands that change the file. */
const CHANGE_EXITS = [EXIT.failure, EXIT.noInput, EXIT.cannotCreate, EXIT.inUse, EXIT.config]

export const keyAdd: Command = {
  words: ["key", "add"],
  summary: "make a client key and write its hash into the configuration",
  detail:
    "Standard output is the key and nothing else; it is not kept anywhere. Such a key serves API calls only, never the admin verbs. The file is replaced at once, with comments and order kept, and a running server reloads it.",
  examples: [
    { line: "pollux key add laptop", says: "a key for one client" },
    { line: "pollux key add ci --models gpt-5.2-codex --rpm 60 --expires 30d", says: "with limits" },
    { line: "export POLLUX_KEY=$(pollux key add laptop)", says: "without showing it" },
  ],
  arguments: [NAME_ARGUMENT],
  options: [
    { name: "models", value: "A,B", completes: "models", summary: "models that it may use (default: all)" },
    { name: "rpm", value: "N", summary: "requests per minute (default: no limit)" },
    {
      name: "expires",
      value: "WHEN",
      summary: "30d, a day (its first moment in UTC), or a time with offset (default: never)",
    },
    ...SERVER_OPTIONS,
    JSON_OPTION,
  ],
  exits: CHANGE_EXITS,
  run: (input, io) =>
    explained(io, async () => {
      const file = openConfigFile(input.option("config"), io)
      const wanted = readWanted(input, Date.now())
      if (!wanted.ok) {
        io.err(`pollux: ${wanted.problem}\n`)
        return EXIT.usage
      }
      const { name, models, requestsPerMinute, expiresAt } = wanted.key
      if (file.config.keys.some((key) => key.name === name) || name === "default" || name === "admin") {
        io.err(`pollux: the name "${name}" is taken; choose another, or revoke that key first\n`)
        return EXIT.usage
      }
      const key = PREFIX + randomBytes(KEY_BYTES).toString("base64url")
      const values: Record<string, EditValue> = { name, sha256: createHash("sha256").update(key).digest("hex") }
      if (models !== null) values.models = models
      if (requestsPerMinute !== null) values.requests_per_minute = requestsPerMinute
      if (expiresAt !== null) values.expires = { moment: expiresAt }
      const changed = replaceConfigFile(file, appendTable(file.text, "keys", values), ["keys"], io)
      for (const warning of changed.warnings.filter((text) => !file.warnings.includes(text)))
        io.err(`warning: ${warning}\n`)
      if (!input.has("json")) {
        // Before the server is asked, which may take its time: who gives up then has the key all the same.
        io.err(`Added "${name}" to ${file.shown}. The key, shown this once:\n`)
        io.out(`${key}\n`)
      }
      const announced = await announce(input, io)
      if (input.has("json")) {
        const shown = { ...showKey(wanted.key, Date.now()), key, server: announced.kind }
        io.out(`${JSON.stringify(shown, null, 2)}\n`)
      }
      return report(announced, io, "keys", "The key works after its next reload: solve the problem")
    }),
}

export const keyList: Command = {
  words: ["key", "list"],
  summary: "list the client keys of the configuration",
  examples: [
    { line: "pollux key list", says: "names, limits and expiry" },
    { line: "pollux key list --json", says: "for a program" },
  ],
  options: [CONFIG_OPTION, JSON_OPTION],
  exits: [EXIT.noInput, EXIT.config],
  run: (input, io) =>
    explained(io, async () => {
      const { config, shown } = openConfigFile(input.option("config"), io)
      const now = Date.now()
      if (input.has("json")) {
        io.out(`${JSON.stringify({ keys: config.keys.map((key) => showKey(key, now)) }, null, 2)}\n`)
      } else if (config.keys.length === 0) {
        io.out(`${shown} has no client keys; \`pollux key add NAME\` makes one.\n`)
      } else {
        const width = io.terminal ? io.columns : Number.POSITIVE_INFINITY
        const paint = createPaint(io.color)
        io.out(
          renderTable(
            KEY_COLUMNS,
            config.keys.map((key) => keyCells(key, now, paint)),
            width,
            paint,
          ),
        )
      }
      return EXIT.ok
    }),
}

export const keyRevoke: Command = {
  words: ["key", "revoke"],
  summary: "take a client key out of the configuration",
  detail:
    "A running server reloads the file and refuses the key from then on; requests that are being answered finish. Exit code 1: the file is changed, but the server still takes the key.",
  examples: [{ line: "pollux key revoke laptop", says: "that key opens nothing any more" }],
  arguments: [{ ...NAME_ARGUMENT, completes: "keys" }],
  options: [...SERVER_OPTIONS, JSON_OPTION],
  exits: [...CHANGE_EXITS, EXIT.badInput],
  run: (input, io) =>
    explained(io, async () => {
      const name = input.args[0] ?? ""
      const file = openConfigFile(input.option("config"), io)
      const index = file.config.keys.findIndex((key) => key.name === name)
      if (index < 0) {
        const names = file.config.keys.map((key) => key.name)
        io.err(
          `pollux: ${file.shown} has no client key "${name}"${names.length > 0 ? `; it has ${names.join(", ")}` : ""}\n`,
        )
        return EXIT.badInput
      }
      replaceConfigFile(file, removeTable(file.text, "keys", index), ["keys"], io)
      const announced: Announced = await announce(input, io)
      if (input.has("json")) io.out(`${JSON.stringify({ revoked: name, server: announced.kind }, null, 2)}\n`)
      else io.err(`Took "${name}" out of ${file.shown}.\n`)
      return report(announced, io, "keys", "The key still opens it until then: solve the problem")
    }),
}

/** Runs a command that may fail over the configuration file. */
export async function explained(io: Io, work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ConfigFileError)) throw error
    for (const line of error.message.split("\n")) io.err(`${line}\n`)
    return error.exitCode
  }
}

type Wanted = Omit<ClientKey, "sha256">
type ReadWanted = { readonly ok: true; readonly key: Wanted } | { readonly ok: false; readonly problem: string }

/** The new entry as typed, read by the rules of the file. Pure. */
export function readWanted(input: Pick<Input, "args" | "option">, now: number): ReadWanted {
  const fail = (problem: string): ReadWanted => ({ ok: false, problem })
  const name = input.args[0] ?? ""
  const named = clientKey.name.kind.read(name)
  if (!named.ok) return fail(`NAME: expected ${named.wrong[0]?.expected}, got "${name}"`)

  const list = input.option("models")
  const models =
    list === null
      ? null
      : list
          .split(",")
          .map((model) => model.trim())
          .filter((model) => model !== "")
  const readModels = models === null ? null : clientKey.models.kind.read(models)
  if (models?.length === 0) return fail("--models: expected names of models, with commas between them")
  if (readModels?.ok === false)
    return fail(`--models: expected ${readModels.wrong[0]?.expected}, got ${readModels.wrong[0]?.got}`)

  const digits = input.option("rpm")
  const rpm =
    digits === null ? null : clientKey.requestsPerMinute.kind.read(/^\d{1,9}$/.test(digits) ? Number(digits) : digits)
  if (rpm?.ok === false) return fail(`--rpm: expected ${rpm.wrong[0]?.expected}, got ${digits}`)

  const end = input.option("expires")
  const expires = end === null ? null : readMoment(end, now, "future")
  if (expires?.ok === false) return fail(`--expires: ${expires.problem}`)
  if (expires !== null && expires.at <= now) return fail("--expires: that is in the past")
  // The file keeps whole seconds.
  const expiresAt = expires === null ? null : Math.ceil(expires.at / 1000) * 1000
  return {
    ok: true,
    key: { name, models: readModels?.value ?? null, requestsPerMinute: rpm?.value ?? null, expiresAt },
  }
}

function showKey(key: Wanted, now: number) {
  return {
    name: key.name,
    state: keyState(key, now),
    models: key.models,
    requests_per_minute: key.requestsPerMinute,
    expires: key.expiresAt === null ? null : new Date(key.expiresAt).toISOString(),
  }
}
