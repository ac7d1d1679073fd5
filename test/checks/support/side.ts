/** One provider as the checks see it: a fake upstream that can be made to fail, and the compiled Pollux in front of it. */
import { type Running, type StartOptions, startPollux, type TomlTable } from "../../support/binary.ts"
import { addCredentials } from "../../support/pool.ts"

export type ProviderName = "geminicli" | "codex"
export const PROVIDERS: readonly ProviderName[] = ["geminicli", "codex"]

/** What an upstream can do wrong, in words that both providers share. */
export type Trouble =
  /** This answer instead of one. */
  | { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  /** The provider's own "limit reached", to be lifted in so many seconds. */
  | { readonly limited: number }
  /** No answer: the connection breaks, or stays silent. */
  | { readonly silent: "reset" | "hang" }
  /** A whole answer, so many milliseconds late. */
  | { readonly late: number }
  /** "Overloaded" as an event of a 200: before any content, or after some. */
  | { readonly overload: "first" | "after content" }
  /**
   * A stream breaks off: the connection amid its content, or after its last event; the body ends well but too early; or nothing
   * comes any more.
   */
  | { readonly cut: "amid" | "after the last event" | "too early" | "stall" }
  /** These bytes as a 200 event stream. */
  | { readonly raw: string }

/** What a token endpoint can do wrong; the refresh token is not spent unless it says so. */
export type TokenTrouble =
  | { readonly status: number; readonly body?: unknown }
  | { readonly silent: "reset" | "hang" }
  | { readonly late: number }

/** One generate request that came to the upstream. */
export interface Call {
  /** Which account sent it, by number; -1: none that is known. */
  readonly account: number
  readonly at: number
  readonly status: number | null
  /** The caller left before the answer was complete. */
  readonly aborted: boolean
}

/** What `resource:list` shows of a credential, as far as checks look at it. */
export interface Shown {
  readonly id: number
  readonly state: string
  readonly reason: string | null
  readonly detail: string | null
  readonly url: string | null
  readonly until: number | null
  readonly inFlight: number
  readonly refreshDead: string | null
  readonly ambiguousRefresh: boolean
  readonly expiresAt: number | null
  readonly cooldowns: readonly {
    readonly scope: string
    readonly until: number
    readonly stated: number
    readonly cause: string
  }[]
  readonly quotas: readonly unknown[]
  readonly lastError: { readonly cause: string; readonly status: number | null; readonly message: string } | null
}

/** Lines of the provider's own table. */
export type Extra = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface SideOptions extends Omit<StartOptions, "config"> {
  /** Accounts in the pool from the start; default 1. */
  readonly accounts?: number
  readonly extra?: Extra
  readonly basic?: TomlTable
  /** Pause between streamed events, in milliseconds. */
  readonly eventDelayMs?: number
  /** Lifetime of access tokens, in seconds; default the provider's own. */
  readonly accessSeconds?: number
}

export interface Question {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** The upstream's half: what differs between the providers. */
export interface Upstream {
  readonly provider: ProviderName
  readonly model: string
  readonly url: string
  /** Where the token endpoint is. */
  readonly tokenUrl: string
  /** The provider's table, pointing here. */
  config(extra?: Extra): TomlTable
  /** A new account; its refresh token. */
  add(): string
  /** Each account's newest refresh token, by number. */
  tokens(): readonly string[]
  /** Whether the upstream still takes this refresh token. */
  takes(refreshToken: string): boolean
  trouble(trouble: Trouble, account: number | null): void
  tokenTrouble(trouble: TokenTrouble): void
  clear(): void
  /** The account's limit is reached until so many seconds from now, also for whoever only asks how much is left. */
  limit(account: number, seconds: number): void
  /** It is not any more. */
  lift(account: number): void
  /** The account's access tokens are refused from now on. */
  expire(account: number): void
  /** The account's refresh token is spent by somebody else, which kills it. */
  steal(account: number): Promise<void>
  /** What the upstream answers to a spent or revoked refresh token, as `refreshDead` names it. */
  readonly deadReason: string
  calls(): readonly Call[]
  /** How many requests came to the token endpoint. */
  tokenCalls(): number
  /** When each of them came, in wall time. */
  tokenTimes(): readonly number[]
  path(stream: boolean): string
  body(prompt: string, stream: boolean): unknown
  /** The answer's text, of a whole answer or of a stream. */
  textOf(answer: string): string
  said(prompt: string): string
  /** The error event that a stream ends in, or null. */
  errorIn(stream: string): string | null
  stop(): Promise<void>
}

/** A prompt whose answer has many events. */
export const LONG = "one two three four five six seven eight nine ten"

export class Side implements AsyncDisposable {
  /** The id of each account's credential, by the account's number. */
  readonly ids: number[] = []

  private constructor(
    readonly upstream: Upstream,
    readonly pollux: Running,
    private readonly options: SideOptions,
  ) {}

  static async start(upstream: Upstream, options: SideOptions = {}): Promise<Side> {
    const { accounts = 1, extra, basic = {}, eventDelayMs: _delay, accessSeconds: _access, ...start } = options
    try {
      const pollux = await startPollux({ ...start, config: tables(upstream, extra, basic) })
      const side = new Side(upstream, pollux, options)
      if (accounts > 0) await side.add(accounts)
      return side
    } catch (error) {
      await upstream.stop()
      throw error
    }
  }

  /** New accounts, in the pool. */
  async add(count = 1): Promise<void> {
    const seeds = Array.from({ length: count }, () => ({ refresh_token: this.upstream.add() }))
    this.ids.push(...(await addCredentials(this.pollux, this.upstream.provider, seeds)))
  }

  ask(prompt = "Hi", question: Question = {}): Promise<Response> {
    return this.#post(prompt, false, question)
  }

  stream(prompt = LONG, question: Question = {}): Promise<Response> {
    return this.#post(prompt, true, question)
  }

  #post(prompt: string, stream: boolean, { headers = {}, signal }: Question): Promise<Response> {
    return this.pollux.api(this.upstream.path(stream), {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(this.upstream.body(prompt, stream)),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  async list(): Promise<readonly Shown[]> {
    const response = await this.pollux.api(`/${this.upstream.provider}/resource:list`)
    return JSON.parse(await response.text()).credentials
  }

  /** The credential of an account. */
  async shown(account = 0): Promise<Shown> {
    const found = (await this.list()).find(({ id }) => id === this.ids[account])
    if (found === undefined) throw new Error(`account ${account} has no credential`)
    return found
  }

  verb(verb: string, account: number): Promise<Response> {
    return this.pollux.api(`/${this.upstream.provider}/resource:${verb}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: this.ids[account] }),
    })
  }

  /** Starts Pollux again, with other lines in the provider's table or another environment if given. */
  restart(change: { readonly extra?: Extra; readonly env?: Readonly<Record<string, string>> } = {}): Promise<void> {
    const { upstream, options } = this
    const config = tables(upstream, change.extra ?? options.extra, options.basic ?? {})
    return this.pollux.restart({ config, ...(change.env === undefined ? {} : { env: change.env }) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pollux[Symbol.asyncDispose]()
    await this.upstream.stop()
  }
}

function tables(upstream: Upstream, extra: Extra | undefined, basic: TomlTable): TomlTable {
  return { basic, providers: { [upstream.provider]: upstream.config(extra) } }
}
