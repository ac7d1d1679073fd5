/** What tests and the demo say to the fake Google, and what it tells them. */

/** One Google account with its Cloud Code standing. Everything has a realistic default. */
export interface AccountOptions {
  readonly sub?: string
  readonly email?: string
  readonly refreshToken?: string
  /** Companion project that Cloud Code names itself; null: the user must bring one. Default: a made-up one. */
  readonly project?: string | null
  /** Projects of the user's own that this account may name (standard tiers). */
  readonly userProjects?: readonly string[]
  /** Current tier (when onboarded) or the default allowed one (when not). Default "standard-tier". */
  readonly tier?: string
  /** Whether loadCodeAssist answers with a current tier. Default true. */
  readonly onboarded?: boolean
  /** Entries of `ineligibleTiers`, listed whether or not there is a current tier. */
  readonly ineligible?: readonly Record<string, unknown>[]
  /** How often a named onboarding operation answers "not done". Default 0. */
  readonly pendingPolls?: number
  /** How many onboardUser answers are pending without an operation name. Default 0. */
  readonly namelessPolls?: number
  /** Models released to this account; null: all. */
  readonly models?: readonly string[] | null
  /** The refresh answer: no new refresh token, one beside the old, or one that kills the old. Default: the server's. */
  readonly rotation?: Rotation
  /** Whether token answers carry an id_token. Default true. */
  readonly idToken?: boolean
}

export type Rotation = "none" | "keep-old" | "kill-old"

/** A live account; `refreshToken` and `accessToken` are the newest ones. */
export interface FakeAccount {
  readonly sub: string
  readonly email: string
  readonly project: string | null
  readonly userProjects: readonly string[]
  readonly tier: string
  readonly ineligible: readonly Record<string, unknown>[]
  readonly models: readonly string[] | null
  readonly rotation: Rotation
  readonly idToken: boolean
  onboarded: boolean
  pendingPolls: number
  namelessPolls: number
  /** Newest refresh token. */
  refreshToken: string
  /** Newest access token, or null before the first one. */
  accessToken: string | null
  /** Set by `suspend`: the token endpoint answers invalid_grant. */
  revoked: boolean
  /** How many refreshes succeeded. */
  refreshes: number
  /** Generate calls answered with 200, per model. */
  readonly served: Map<string, number>
  /** Remaining generate calls per model; absent: no limit. */
  readonly quota: Map<string, { remaining: number; resetAt: number }>
}

export type Endpoint =
  | "authorize"
  | "token"
  | "userinfo"
  | "loadCodeAssist"
  | "onboardUser"
  | "operation"
  | "generateContent"
  | "streamGenerateContent"
  | "countTokens"
  | "retrieveUserQuota"

/** A scripted misbehaviour; the first one that matches a request is used up by it. */
export interface Fault {
  /** Endpoint, or "generate" for both generate calls, or "any" for all but quota readings, which come when they like. */
  readonly on: Endpoint | "generate" | "any"
  /** Only for this account (by sub). Absent: for all. */
  readonly account?: FakeAccount
  readonly model?: string
  /** How many requests it hits. Default 1; Infinity for ever. */
  readonly times?: number
  /** Milliseconds before anything is answered. */
  readonly delayMs?: number
  /** Answer this instead. `body`: an object is sent as JSON. */
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Do not answer at all: `reset` closes the socket, `hang` keeps it open. */
  readonly before?: "reset" | "hang"
  /** How a streamed 200 goes wrong. Counts are events sent before. */
  readonly stream?: StreamFault
}

export type StreamFault =
  /** 200 and a clean end without any event. */
  | { readonly kind: "empty" }
  /** Goes silent for ever. */
  | { readonly kind: "stall"; readonly after: number }
  /** Goes silent for a while, then continues. */
  | { readonly kind: "pause"; readonly after: number; readonly ms: number }
  /** Socket closed without the last chunk, in the middle of an event when `inEvent`. */
  | { readonly kind: "cut"; readonly after: number; readonly inEvent?: boolean }
  /** Clean end of the body, but without the finishing event. */
  | { readonly kind: "short"; readonly after: number }
  /** An event with this JSON, then a clean end. */
  | { readonly kind: "error"; readonly after: number; readonly event: unknown }
  /** Wire format: line ends and the size of the written pieces. */
  | {
      readonly kind: "wire"
      readonly eol?: "\n" | "\r\n" | "\r"
      readonly pieceBytes?: number
      readonly comments?: boolean
    }
  /** Exactly these bytes, then a clean end. */
  | { readonly kind: "raw"; readonly bytes: string }

/** A request as it came in. */
export interface Recorded {
  readonly endpoint: Endpoint | "unknown"
  readonly method: string
  /** With query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly rawHeaders: readonly string[]
  readonly body: string
  /** The body as JSON (or form fields), or null. */
  readonly json: Record<string, unknown> | null
  /** Account of the bearer or token, if it is known. */
  readonly account: FakeAccount | null
  readonly at: number
  /** Status answered; 0 while there is none or when the socket was closed instead. */
  status: number
  /** The other side closed before the answer was complete. */
  aborted: boolean
}

/** What a reply function is told about a generate call. */
export interface ReplyContext {
  readonly account: FakeAccount
  readonly model: string
  readonly request: Record<string, unknown>
  readonly stream: boolean
  /** Text of the last user turn. */
  readonly prompt: string
  /** Generate calls this server has answered before. */
  readonly count: number
}

/** The `response` values of one answer in order; null for the built-in answer. */
export type Reply = (context: ReplyContext) => readonly Record<string, unknown>[] | null

export interface FakeGoogleOptions {
  /** Default 0: a free port on 127.0.0.1. */
  readonly port?: number
  /** Seconds an access token lives. Default 3599. */
  readonly expiresIn?: number
  readonly rotation?: Rotation
  /** Milliseconds between streamed events. Default 0: a macrotask. */
  readonly eventDelayMs?: number
  /** Milliseconds before a generate answer begins. Default 0. */
  readonly latencyMs?: number
  readonly reply?: Reply
  /** Refuse signatures issued to another account, as some report. Default false. */
  readonly bindSignatures?: boolean
}

export interface FakeGoogle {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** All but quota readings, which nobody waits for and which come when they like: those are `seen("retrieveUserQuota")`. */
  readonly requests: readonly Recorded[]
  readonly accounts: readonly FakeAccount[]
  addAccount(options?: AccountOptions): FakeAccount
  /** A fresh access token for the account, without the token endpoint. */
  issue(account: FakeAccount): string
  /** The account's access tokens answer 401 from now on. */
  expire(account: FakeAccount): void
  /** Its refresh tokens answer invalid_grant from now on. */
  revoke(account: FakeAccount): void
  /** Only so many generate calls for `model` from now on, then 429 QUOTA_EXHAUSTED until the reset. */
  limit(account: FakeAccount, model: string, remaining: number, resetInMs: number): void
  /** Who the browser is signed in as at the authorize endpoint; an error code refuses consent. */
  signIn(as: FakeAccount | { readonly error: string; readonly description?: string }): void
  fault(fault: Fault): void
  clearFaults(): void
  /** Recorded requests of one endpoint. */
  seen(endpoint: Endpoint): readonly Recorded[]
  forget(): void
  /** Answers that are being written or held back. */
  open(): number
  /** The `[providers.geminicli]` lines of a config.toml. */
  config(extra?: Readonly<Record<string, string | number | boolean | readonly string[]>>): string
  stop(): Promise<void>
}
