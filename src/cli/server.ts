/**
 * How commands reach the running server: its address and key come from the configuration, or from `--server` and the
 * environment. No command opens the database.
 *
 *     run: (input, io) => withServer(input, io, async (server) => {
 *       const list = await server.get("/codex/resource:list", ListShape)
 *       ...
 *       return EXIT.ok
 *     })
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox"
import { Value } from "@sinclair/typebox/value"
import { isLoopback } from "../config/address.ts"
import { loadConfig } from "../config/load.ts"
import type { Config } from "../config/types.ts"
import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import type { Input, Io } from "./command.ts"
import { isExposed, parseServer, serverUrl } from "./server-address.ts"

/** Longest time one answer may take, in milliseconds, where the command says nothing else. */
const ANSWER_MS = 30_000

export interface SendOptions {
  /** Milliseconds; 0 for no limit. */
  readonly timeoutMs?: number
  /** Ends it early; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Statuses beside 2xx whose body is an answer too, and no refusal. */
  readonly also?: readonly number[]
}

/** The running server. Every method throws ServerError. */
export interface Server {
  /** `http://127.0.0.1:8188`, without a slash at the end. */
  readonly url: string
  /** The configuration in use here, or null when the server was named and there is none. */
  readonly config: Config | null
  /** `path` begins with a slash; the answer must fit `shape`. */
  get<T extends TSchema>(path: string, shape: T, options?: SendOptions): Promise<Static<T>>
  post<T extends TSchema>(path: string, body: unknown, shape: T, options?: SendOptions): Promise<Static<T>>
  /** The body of a good answer as it comes, for feeds. */
  stream(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>
}

/** Why the server did not do it: a message for people, free of secrets, and the exit code of the command. */
export class ServerError extends Error {
  override readonly name = "ServerError"
  constructor(
    message: string,
    readonly exitCode: number,
    /** Status of the answer, or null when there was none. */
    readonly status: number | null = null,
    /** The answer's own error code, e.g. `NOT_FOUND`, and its own words, safe to print. */
    readonly code: string | null = null,
    readonly said: string | null = null,
  ) {
    super(message)
  }

  /** The request cannot have got there: nobody listens. After a timeout, or when an answer breaks off, it may have. */
  unreached = false
}

const ErrorShape = Type.Object({
  error: Type.Object({
    message: Type.String(),
    code: Type.Optional(Type.Unknown()),
    status: Type.Optional(Type.String()),
  }),
})

export interface Target {
  readonly url: string
  readonly key: string
  /** Where the key came from, for messages. */
  readonly keyFrom: string
  readonly config: Config | null
}

/** Exit codes that any command that speaks to the server can end with. */
export const SERVER_EXITS = [EXIT.failure, EXIT.unavailable, EXIT.denied, EXIT.config] as const

/** Finds the server, runs `work`, and turns a ServerError into its message and exit code. */
export async function withServer(input: Input, io: Io, work: (server: Server) => Promise<number>): Promise<number> {
  try {
    const target = findTarget(input, io)
    if (isExposed(target.url)) {
      io.err(`warning: the key travels unencrypted to ${target.url}; use https:// or a tunnel\n`)
    }
    return await work(connect(target))
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    for (const line of error.message.split("\n")) io.err(`${line}\n`)
    return error.exitCode
  }
}

/**
 * Address and key. `--server` needs no configuration when the key is in POLLUX_ADMIN_KEY or POLLUX_KEY.
 * @throws ServerError
 */
export function findTarget(input: Input, io: Pick<Io, "env" | "cwd">): Target {
  const named = input.option("server")
  const address = named === null ? null : parseServer(named)
  if (address !== null && !address.ok) throw new ServerError(`pollux: ${address.problem}`, EXIT.usage)
  const loaded = loadConfig({ explicitPath: input.option("config"), env: io.env, cwd: io.cwd })
  if (loaded.ok) {
    const { basic } = loaded.config
    if (address === null && basic.listenPort === 0) {
      throw new ServerError(
        `pollux: ${loaded.path} lets the system choose the port: name the server with --server URL`,
        EXIT.config,
      )
    }
    const admin = basic.adminKey !== null
    return {
      url: address?.url ?? serverUrl(basic.listenAddr, basic.listenPort),
      key: basic.adminKey ?? basic.polluxKey,
      keyFrom: `${admin ? "admin_key" : "pollux_key"} of ${loaded.path}`,
      config: loaded.config,
    }
  }
  if (address !== null) {
    for (const variable of ["POLLUX_ADMIN_KEY", "POLLUX_KEY"]) {
      const key = io.env[variable]?.trim() ?? ""
      if (key !== "") return { url: address.url, key, keyFrom: variable, config: null }
    }
    if (loaded.missing) {
      throw new ServerError(
        `pollux: the key of ${address.url} is not known here: set POLLUX_KEY, or name its configuration with --config`,
        EXIT.config,
      )
    }
  }
  throw new ServerError(loaded.problems.join("\n"), EXIT.config)
}

export function connect(target: Target): Server {
  const { url } = target
  const local = isLoopback(new URL(url).hostname)

  async function send(path: string, init: RequestInit, options: SendOptions): Promise<Response> {
    const timeoutMs = options.timeoutMs ?? ANSWER_MS
    const signals = [options.signal, timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined]
    const headers = new Headers(init.headers)
    headers.set("authorization", `Bearer ${target.key}`)
    const request: BunFetchRequestInit = {
      ...init,
      headers,
      // The key goes to the server that was named and to no other.
      redirect: "manual",
      signal: AbortSignal.any(signals.filter((signal) => signal !== undefined)),
      // The environment's proxy is not for this machine.
      ...(local ? { proxy: false } : {}),
    }
    let response: Response
    try {
      response = await fetch(`${url}${path}`, request)
    } catch (error) {
      throw unreached(error, options.signal, url, timeoutMs)
    }
    if (!response.ok && options.also?.includes(response.status) !== true) {
      throw refused(response.status, await response.text().catch(() => ""), target)
    }
    return response
  }

  async function read<T extends TSchema>(
    path: string,
    init: RequestInit,
    shape: T,
    options: SendOptions,
  ): Promise<Static<T>> {
    const response = await send(path, init, options)
    let text: string
    try {
      text = await response.text()
    } catch (error) {
      throw unreached(error, options.signal, url, options.timeoutMs ?? ANSWER_MS)
    }
    const value = parsed(text)
    if (!Value.Check(shape, value)) {
      throw new ServerError(
        `pollux: what answers at ${url} is not Pollux, or another version of it: ${new URL(path, url).pathname} was not understood`,
        EXIT.unavailable,
        response.status,
      )
    }
    return value
  }

  return {
    url,
    config: target.config,
    get: (path, shape, options = {}) => read(path, { headers: { accept: "application/json" } }, shape, options),
    post: (path, body, shape, options = {}) =>
      read(
        path,
        {
          method: "POST",
          headers: { accept: "application/json", "content-type": "application/json" },
          body: JSON.stringify(body),
        },
        shape,
        options,
      ),
    async stream(path, signal) {
      const { body } = await send(path, { headers: { accept: "text/event-stream" } }, { timeoutMs: 0, signal })
      return body ?? new ReadableStream({ start: (controller) => controller.close() })
    },
  }
}

/** What kept the answer from coming. A stop that the command itself asked for stays what it is. */
function unreached(error: unknown, signal: AbortSignal | undefined, url: string, timeoutMs: number): unknown {
  if (signal?.aborted === true) return signal.reason
  if (error instanceof Error && error.name === "TimeoutError") {
    return new ServerError(
      `pollux: the server at ${url} did not answer within ${Math.round(timeoutMs / 1000)} s`,
      EXIT.unavailable,
    )
  }
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
  const refusal = REFUSALS.includes(code)
  const failed = new ServerError(
    refusal
      ? `pollux: no server answers at ${url}: start it with \`pollux\`, or name another with --server`
      : `pollux: the connection to the server at ${url} failed (${code === "" ? String(error) : code})`,
    EXIT.unavailable,
  )
  failed.unreached = refusal
  return failed
}

/** Codes of connections that were never made. */
const REFUSALS: readonly string[] = [
  "ECONNREFUSED",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
]

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An answer that is no success, in words for people. Pure. */
export function refused(status: number, body: string, { url, keyFrom }: Pick<Target, "url" | "keyFrom">): ServerError {
  const { code, message } = told(parsed(body))
  const why = message === null ? "" : `: ${message}`
  const error = (text: string, exitCode: number) => new ServerError(`pollux: ${text}`, exitCode, status, code, message)
  if (message === null && status !== 401) {
    return error(`what answers at ${url} is not Pollux: it answered with status ${status}`, EXIT.unavailable)
  }
  switch (status) {
    case 401:
      return error(
        `the server at ${url} refused the key (${keyFrom}): it runs with another one; restart it, or name its configuration with --config`,
        EXIT.denied,
      )
    case 403:
      return error(`the server at ${url} refused that to this key (${keyFrom})${why}`, EXIT.denied)
    case 400:
    case 413:
      return error(`the server did not take it${why}`, EXIT.badInput)
    case 429:
      return error(`the server asks to wait${why}`, EXIT.unavailable)
    case 503:
      return error(`the server at ${url} cannot do that now${why}`, EXIT.unavailable)
    default:
      return error(message ?? "", EXIT.failure)
  }
}

/** Each API has its own error body; all have an `error` with a `message`, and a name in `code` or `status`. */
function told(value: unknown): { readonly code: string | null; readonly message: string | null } {
  if (!Value.Check(ErrorShape, value)) return { code: null, message: null }
  const { code, status, message } = value.error
  return { code: typeof code === "string" ? code : (status ?? null), message: escapeControls(message) }
}
