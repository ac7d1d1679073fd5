import type { LogLevel } from "../observe/ports.ts"

/** What each provider can be told; every key falls back to `providers.defaults`, then to the documented default. */
export interface ProviderSettings {
  readonly enableMultiplexing: boolean
  /** Retries after the first attempt for 5xx and network faults, 0 to 10. */
  readonly retryMaxTimes: number
  /** `http://` or `https://` proxy for all upstream traffic of the provider, or none. */
  readonly proxy: string | null
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly retryWindowMs: number
  readonly maxWaitMs: number
  /** Token refreshes per second, 1 to 1000. */
  readonly oauthTps: number
  /** Exact allow list, in the operator's order, without duplicates. */
  readonly modelList: readonly string[]
  /** Upstream base without a trailing slash; paths are appended. */
  readonly apiUrl: string
  readonly authUrl: string
  readonly tokenUrl: string
}

export interface GeminicliSettings extends ProviderSettings {
  /** Version announced upstream, `x.y.z` (spec geminicli 4.3). */
  readonly clientVersion: string
}

export interface CodexSettings extends ProviderSettings {
  /** Version announced upstream, `x.y.z` (spec codex 4, version gate). */
  readonly clientVersion: string
  readonly originator: string
}

export interface BasicSettings {
  readonly listenAddr: string
  /** 0 asks the system for a free port (tests). */
  readonly listenPort: number
  /** Path of the database file, already stripped of `sqlite://`; relative to the working directory. */
  readonly databasePath: string
  readonly logLevel: LogLevel
  readonly logFormat: "auto" | "text" | "json"
  readonly polluxKey: string
  readonly adminKey: string | null
  readonly insecureCookie: boolean
  readonly openLogin: boolean
  readonly drainTimeoutMs: number
  /** Addresses or CIDR ranges whose X-Forwarded-For is believed; empty by default. */
  readonly trustedProxies: readonly string[]
  /** Whether answers carry x-pollux-attempts and x-pollux-credential. */
  readonly answerHeaders: boolean
  /** Key for tokens at rest, 32 bytes as 64 lower-case hex digits; or null: plain, interchangeable with the Rust project. */
  readonly encryptionKey: string | null
  /** Keys, in the same form, that stored tokens may still be under when the database is opened. */
  readonly previousEncryptionKeys: readonly string[]
}

/** A further client key (`[[keys]]`): it never reaches admin verbs. */
export interface ClientKey {
  readonly name: string
  /** Lower-case hex SHA-256 of the key. */
  readonly sha256: string
  readonly models: readonly string[] | null
  readonly requestsPerMinute: number | null
  /** Wall time in milliseconds after which the key is refused, or null. */
  readonly expiresAt: number | null
}

export interface Config {
  readonly basic: BasicSettings
  readonly keys: readonly ClientKey[]
  readonly providers: {
    readonly geminicli: GeminicliSettings
    readonly codex: CodexSettings
  }
}
