import { type Static, Type } from "@sinclair/typebox"
import { Value } from "@sinclair/typebox/value"
import { loadConfig } from "../config/load.ts"
import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Input, type Io, SERVER_OPTIONS } from "./command.ts"
import { probe } from "./probe.ts"
import { findTarget, ServerError } from "./server.ts"
import { parseServer, serverUrl } from "./server-address.ts"

/** Who asks decides at short intervals: an answer that takes longer is none. */
const PATIENCE_MS = 5_000

const ReadyShape = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Type.String()) })

export const health: Command = {
  words: ["health"],
  summary: "ask the running server whether it is well, for containers and scripts",
  detail:
    "Says nothing when all is well. Asking whether it is alive takes no key; a server that finishes its last streams still is. --ready also asks whether it takes new requests, and prints why not. Exit code 1: it is not well, or nobody answers.",
  examples: [
    { line: "pollux health", says: "is it alive? (the Dockerfile's HEALTHCHECK)" },
    { line: "until pollux health --ready; do sleep 1; done", says: "wait for it" },
  ],
  options: [{ name: "ready", summary: "also ask whether it takes new requests" }, ...SERVER_OPTIONS],
  exits: [EXIT.failure, EXIT.config],
  async run(input, io) {
    try {
      const problem = input.has("ready") ? await askReady(input, io) : await askAlive(input, io)
      if (problem === null) return EXIT.ok
      io.err(`pollux: ${problem}\n`)
      return EXIT.failure
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      io.err(`${error.message}\n`)
      return error.exitCode
    }
  },
}

/** Why the server is not alive, or null. @throws ServerError where it is not known which server is meant */
async function askAlive(input: Input, io: Io): Promise<string | null> {
  const url = serverOf(input, io)
  return asking(url, async (signal) => {
    const { status, text } = await probe(url, "/healthz", signal)
    return status === 200 && text === "ok\n"
      ? null
      : `what answers at ${url} is not Pollux, or not well: status ${status}`
  })
}

async function askReady(input: Input, io: Io): Promise<string | null> {
  const { url, key, keyFrom } = findTarget(input, io)
  return asking(url, async (signal) => {
    const { status, text } = await probe(url, "/readyz", signal, key)
    if (status === 401) return `the server at ${url} refused the key (${keyFrom})`
    const answer = readyOf(text)
    if (answer?.ready === true) return null
    const why = answer === null ? `status ${status}` : answer.reasons.map(escapeControls).join("; ")
    return `the server at ${url} takes no requests now: ${why}`
  })
}

/** The address needs no valid key, and with `--server` no configuration. */
function serverOf(input: Input, io: Io): string {
  const named = input.option("server")
  if (named !== null) {
    const server = parseServer(named)
    if (!server.ok) throw new ServerError(`pollux: ${server.problem}`, EXIT.usage)
    return server.url
  }
  const loaded = loadConfig({ explicitPath: input.option("config"), env: io.env, cwd: io.cwd })
  if (!loaded.ok) throw new ServerError(loaded.problems.join("\n"), EXIT.config)
  const { listenAddr, listenPort } = loaded.config.basic
  return serverUrl(listenAddr, listenPort)
}

async function asking(url: string, ask: (signal: AbortSignal) => Promise<string | null>): Promise<string | null> {
  try {
    return await ask(AbortSignal.timeout(PATIENCE_MS))
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError"
    return late ? `the server at ${url} did not answer within ${PATIENCE_MS / 1000} s` : `no server answers at ${url}`
  }
}

function readyOf(text: string): Static<typeof ReadyShape> | null {
  try {
    const value: unknown = JSON.parse(text)
    return Value.Check(ReadyShape, value) ? value : null
  } catch {
    return null // another kind of answer, as while it drains
  }
}
