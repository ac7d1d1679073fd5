/** One compiled Pollux in front of one fake Google: what the Gemini end-to-end tests are written with. */
import {
  type AccountOptions,
  type FakeAccount,
  type FakeGoogle,
  type FakeGoogleOptions,
  startFakeGoogle,
} from "../../fakes/google.ts"
import { type Running, startPollux } from "../../support/binary.ts"
import type { Program } from "../../support/build.ts"
import { addCredentials } from "../../support/pool.ts"

export const MODEL = "gemini-2.5-pro"

/** Lines of `[providers.geminicli]`. */
export type Extra = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface GeminiOptions {
  readonly google?: FakeGoogleOptions
  readonly extra?: Extra
  /** Whole tables before `[providers.geminicli]`. */
  readonly tables?: string
  readonly env?: Readonly<Record<string, string>>
  readonly program?: Program
  /** Accounts in the pool from the start; default 1. */
  readonly accounts?: number
}

export interface Question {
  readonly model?: string
  readonly verb?: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The whole body instead of the prompt. */
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/** What `resource:list` shows of a credential, as far as tests look at it. */
export interface Shown {
  readonly id: number
  readonly email: string
  readonly account: string
  readonly state: string
  readonly reason: string | null
  readonly detail: string | null
  readonly url: string | null
  readonly until: number | null
  readonly inFlight: number
  readonly refreshDead: string | null
  readonly cooldowns: readonly {
    readonly scope: string
    readonly until: number
    readonly stated: number
    readonly cause: string
  }[]
  readonly lacks: readonly { readonly model: string; readonly until: number }[]
  readonly lastError: { readonly cause: string; readonly status: number | null } | null
}

export class GeminiSystem implements AsyncDisposable {
  private constructor(
    readonly google: FakeGoogle,
    readonly pollux: Running,
  ) {}

  static async start(options: GeminiOptions = {}): Promise<GeminiSystem> {
    const google = startFakeGoogle(options.google)
    const { env, program } = options
    const how = { ...(env === undefined ? {} : { env }), ...(program === undefined ? {} : { program }) }
    try {
      const config = `${options.tables ?? ""}\n${google.config({ model_list: MODELS, ...options.extra })}`
      const system = new GeminiSystem(google, await startPollux({ config, ...how }))
      for (let i = 0; i < (options.accounts ?? 1); i++) await system.add()
      google.forget()
      return system
    } catch (error) {
      await google.stop()
      throw error
    }
  }

  /** A new account, in the pool. */
  async add(options: AccountOptions = {}, project?: string): Promise<{ account: FakeAccount; id: number }> {
    const account = this.google.addAccount(options)
    const seed = { refresh_token: account.refreshToken, ...(project === undefined ? {} : { project_id: project }) }
    const [id = -1] = await addCredentials(this.pollux, "geminicli", [seed])
    return { account, id }
  }

  /** The n-th account of the fake. */
  account(index: number): FakeAccount {
    const found = this.google.accounts[index]
    if (found === undefined) throw new Error(`there is no account ${index}`)
    return found
  }

  ask(prompt = "Hi", question: Question = {}): Promise<Response> {
    const { model = MODEL, verb = "generateContent", query = "", headers = {}, signal } = question
    return this.pollux.api(`/geminicli/v1beta/models/${model}:${verb}${query}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(question.body ?? contents(prompt)),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  stream(prompt = "Hi", question: Question = {}): Promise<Response> {
    return this.ask(prompt, { verb: "streamGenerateContent", query: "?alt=sse", ...question })
  }

  async list(): Promise<readonly Shown[]> {
    return JSON.parse(await (await this.pollux.api("/geminicli/resource:list")).text()).credentials
  }

  /** The one credential of a pool of one. */
  async only(): Promise<Shown> {
    const [first, ...more] = await this.list()
    if (first === undefined || more.length > 0) throw new Error("the pool has not exactly one credential")
    return first
  }

  verb(verb: string, body: unknown): Promise<Response> {
    return this.pollux.api(`/geminicli/resource:${verb}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pollux[Symbol.asyncDispose]()
    await this.google.stop()
  }
}

const MODELS = [MODEL, "gemini-2.5-flash", "gemini-3-pro-preview"]

export const contents = (prompt: string) => ({ contents: [{ role: "user", parts: [{ text: prompt }] }] })

/** The JSON of each `data:` line of an event stream. */
export function eventsOf(stream: string): readonly Record<string, unknown>[] {
  return stream
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => JSON.parse(line.slice(5)))
}

/** All text of a Gemini answer, or of the events of one. */
export function textOf(answers: unknown): string {
  return [answers]
    .flat()
    .flatMap((answer) => Object(answer).candidates?.[0]?.content?.parts ?? [])
    .map((part: unknown) => Object(part).text ?? "")
    .join("")
}

export const said = (prompt: string, model = MODEL) =>
  `Hello from ${model}. You said: "${prompt}". 日本語 \u{1F600} and that is all.`
