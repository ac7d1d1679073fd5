/** One compiled Pollux in front of one fake OpenAI: what the Codex end-to-end tests are written with. */
import { type FakeAccount, type FakeOpenAI, type FakeOpenAIOptions, startFakeOpenAI } from "../../fakes/openai.ts"
import { type Running, startPollux } from "../../support/binary.ts"
import type { Program } from "../../support/build.ts"
import { addCredentials } from "../../support/pool.ts"
import type { Shown } from "./gemini.ts"

export const MODEL = "gpt-5.2-codex"

/** Headers of the Codex CLI 0.169 (spec clients.md). */
export const CLI = {
  "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)",
  originator: "codex_exec",
  accept: "text/event-stream",
} as const

export interface CodexOptions {
  readonly openai?: Omit<FakeOpenAIOptions, "accounts">
  /** Lines added to `[providers.codex]`. */
  readonly extra?: string
  /** Whole tables before `[providers.codex]`. */
  readonly tables?: string
  readonly models?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly program?: Program
  /** Accounts in the pool from the start; default 1. */
  readonly accounts?: number
}

type AccountOptions = NonNullable<Parameters<FakeOpenAI["addAccount"]>[0]>

/** A credential as `resource:list` shows it, with what only this provider tells. */
export interface CodexShown extends Shown {
  readonly plan: string | null
  readonly ambiguousRefresh: boolean
  readonly quotas: readonly { readonly family: string; readonly name: string; readonly usedPercent: number }[]
}

export class CodexSystem implements AsyncDisposable {
  private constructor(
    readonly openai: FakeOpenAI,
    readonly pollux: Running,
  ) {}

  static async start(options: CodexOptions = {}): Promise<CodexSystem> {
    const openai = startFakeOpenAI({ ...options.openai, accounts: 0 })
    const { env, program } = options
    const how = { ...(env === undefined ? {} : { env }), ...(program === undefined ? {} : { program }) }
    try {
      const own = `${openai.config(options.models ?? MODELS)}${options.extra ?? ""}`
      const config = `${options.tables ?? ""}\n${own}\n`
      const system = new CodexSystem(openai, await startPollux({ config, ...how }))
      for (let i = 0; i < (options.accounts ?? 1); i++) await system.add()
      return system
    } catch (error) {
      await openai.stop()
      throw error
    }
  }

  /** A new account, in the pool. */
  async add(options: AccountOptions = {}): Promise<{ account: FakeAccount; id: number }> {
    const account = this.openai.addAccount(options)
    const [id = -1] = await addCredentials(this.pollux, "codex", [{ refresh_token: account.refreshToken }])
    return { account, id }
  }

  account(index: number): FakeAccount {
    const found = this.openai.accounts[index]
    if (found === undefined) throw new Error(`there is no account ${index}`)
    return found
  }

  /** What reached the backend's responses endpoint. */
  sent() {
    return this.openai.requestsTo("/codex/responses")
  }

  lastSent() {
    return Object(this.sent().at(-1))
  }

  refreshes(): number {
    return this.openai.requestsTo("/oauth/token").length
  }

  post(body: unknown, headers: Readonly<Record<string, string>> = {}, path = "/responses", signal?: AbortSignal) {
    return this.pollux.api(`/codex/v1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  ask(input: unknown = "hi", more: object = {}, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.post({ model: MODEL, input, ...more }, headers)
  }

  /** Asks for a stream and reads it to its end. */
  async stream(input: unknown = "hi", headers: Readonly<Record<string, string>> = {}, more: object = {}) {
    const response = await this.ask(input, { stream: true, ...more }, headers)
    return { response, text: await response.text() }
  }

  async list(): Promise<readonly CodexShown[]> {
    return JSON.parse(await (await this.pollux.api("/codex/resource:list")).text()).credentials
  }

  /** The one credential of a pool of one. */
  async only(): Promise<CodexShown> {
    const [first, ...more] = await this.list()
    if (first === undefined || more.length > 0) throw new Error("the pool has not exactly one credential")
    return first
  }

  verb(verb: string, body: unknown): Promise<Response> {
    return this.pollux.api(`/codex/resource:${verb}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pollux[Symbol.asyncDispose]()
    await this.openai.stop()
  }
}

const MODELS = [MODEL, "gpt-5.2", "gpt-5.3-codex"]

/** Names of the events of a stream, in order. */
export const eventNames = (stream: string): readonly string[] =>
  [...stream.matchAll(/^event: (.*)$/gm)].map(([, name = ""]) => name)

/** The JSON of the last event. */
export const lastData = (stream: string) =>
  Object(JSON.parse(stream.trimEnd().slice(stream.lastIndexOf("\ndata: ") + "\ndata: ".length)))

/** Text of a finished response. */
export const outputText = (response: unknown): string =>
  (Object(response).output ?? [])
    .flatMap((item: unknown) => Object(item).content ?? [])
    .map((part: unknown) => Object(part).text ?? "")
    .join("")

export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds
