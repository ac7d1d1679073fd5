/**
 * Every key of the configuration, as data. Validation, defaults, did-you-mean, `config.toml.example`, `pollux init` and the reference
 * in the documentation all come from these tables, so that none of them can say something else.
 */
import type { LogLevel } from "../observe/ports.ts"
import { type Field, field, optional, required } from "./field.ts"
import * as kind from "./kinds.ts"
import { suggest } from "./suggest.ts"
import type { BasicSettings, ClientKey, CodexSettings, GeminicliSettings, ProviderSettings } from "./types.ts"

/** The fields of a settings type, under the names of its members. */
export type Fields<S> = { readonly [Name in keyof S]: Field<S[Name]> }

const LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug", "trace"]
const FORMATS: readonly BasicSettings["logFormat"][] = ["auto", "text", "json"]

/** What the example file has in place of a key of one's own; warned about when it is used. */
export const PLACEHOLDER_KEY = "change-me"

/** Stands in the example for 32 bytes in hex; not valid itself, lest somebody use what everyone knows. */
export const PLACEHOLDER_HEX = "64 hex digits"

/** Model ids as both APIs spell them; a path prefix such as models/ is not part of one. */
const model = kind.matching(
  "model id",
  'a model id such as "gemini-2.5-pro", without a prefix like models/',
  /^[A-Za-z0-9][\w.:@+-]{0,127}$/,
)
const models = kind.listOf("array of model ids", model)

export const basic: Fields<BasicSettings> = {
  listenAddr: field("listen_addr", kind.address, "0.0.0.0", {
    means: "Address to listen on.",
    why: "every interface, as containers need it; 127.0.0.1 keeps other machines out",
    shown: true,
    live: false,
  }),
  listenPort: field("listen_port", kind.integer(0, 65535), 8188, {
    means: "TCP port to listen on; 0 takes a free one.",
    why: "the port that existing clients of a pool are set to",
    shown: true,
    live: false,
  }),
  databasePath: field("database_url", kind.database, "sqlite://data.db", {
    means: "The SQLite file that keeps the credentials, relative to the working directory; created with mode 0600.",
    why: "beside the configuration, so that one directory is the whole state",
    shown: true,
    live: false,
  }),
  logLevel: field(
    "loglevel",
    kind.oneOf(LEVELS, (given) => suggest(given, LEVELS)),
    "info",
    {
      means: "The least severe lines to log: error, warn, info, debug or trace.",
      why: "one line for each request and each change of a credential",
      shown: true,
    },
  ),
  logFormat: field(
    "log_format",
    kind.oneOf(FORMATS, (given) => suggest(given, FORMATS)),
    "auto",
    {
      means: "How lines look: text for people, json for machines, auto for text on a terminal and json elsewhere.",
      why: "right in both places without being told",
      live: false,
    },
  ),
  polluxKey: required("pollux_key", kind.key, "", {
    means:
      "The key that clients must send (x-goog-api-key, Authorization: Bearer or ?key=). May come from the environment variable POLLUX_KEY or the file $CREDENTIALS_DIRECTORY/pollux_key instead.",
    why: "there is none: a proxy that serves accounts must not be open",
    secret: true,
    example: PLACEHOLDER_KEY,
    shown: true,
  }),
  adminKey: optional("admin_key", kind.key, {
    means:
      "A second key for the admin verbs (all but resource:add), which pollux_key then no longer opens. Also POLLUX_ADMIN_KEY or $CREDENTIALS_DIRECTORY/admin_key.",
    why: "without it pollux_key opens both; set it when others hold pollux_key",
    secret: true,
    example: PLACEHOLDER_KEY,
  }),
  insecureCookie: field("insecure_cookie", kind.flag, false, {
    means: "Leaves the Secure attribute off the login cookies, for a browser that reaches Pollux by plain http.",
    why: "cookies that also travel in clear can be stolen",
  }),
  openLogin: field("open_login", kind.flag, true, {
    means: "Lets anyone who reaches the server begin an OAuth login; false asks for the key.",
    why: "a browser link works without a key; set false whenever others can reach the server, since a visitor could add an account of their own and read what it is sent",
    shown: true,
  }),
  drainTimeoutMs: field("drain_timeout", kind.seconds(0, 86_400), 300, {
    unit: "seconds",
    means: "How long a stopping server waits for open streams.",
    why: "long answers take minutes",
  }),
  trustedProxies: field("trusted_proxies", kind.listOf("array of IP addresses or CIDR ranges", kind.network), [], {
    means: "Reverse proxies in front of Pollux whose X-Forwarded-For is believed.",
    why: "anyone could write that header",
    example: ["127.0.0.1", "10.0.0.0/8"],
  }),
  answerHeaders: field("answer_headers", kind.flag, true, {
    means: "Whether answers carry x-pollux-attempts and x-pollux-credential (a short id).",
    why: "shows which credential served, and after how many tries",
  }),
  encryptionKey: optional("encryption_key", kind.encryptionKey, {
    means:
      "Encrypts tokens in the database with AES-256-GCM. Also POLLUX_ENCRYPTION_KEY or $CREDENTIALS_DIRECTORY/encryption_key. Without it, encrypted rows cannot be read again; `pollux key rotate` replaces it.",
    why: "a plain database stays interchangeable with the Rust project's",
    secret: true,
    example: PLACEHOLDER_HEX,
  }),
  previousEncryptionKeys: field(
    "previous_encryption_keys",
    kind.listOf("array of keys, 32 bytes each in hex or base64", kind.encryptionKey, true),
    [],
    {
      means:
        "Keys that tokens in the database may still be under: a start writes them anew under encryption_key, or plain without one.",
      why: "`pollux key rotate` fills it while it works, and empties it when it is done",
      secret: true,
      example: [PLACEHOLDER_HEX],
    },
  ),
}

type Shared = Pick<
  ProviderSettings,
  | "enableMultiplexing"
  | "retryMaxTimes"
  | "proxy"
  | "firstByteTimeoutMs"
  | "idleTimeoutMs"
  | "retryWindowMs"
  | "maxWaitMs"
>

/** Keys of `providers.defaults`, which each provider's own table may override. */
export const shared: Fields<Shared> = {
  enableMultiplexing: field("enable_multiplexing", kind.flag, false, {
    means: "HTTP/2 to the provider instead of HTTP/1.1 with kept-alive connections.",
    why: "less work for each request; true needs fewer connections, and falls back to HTTP/1.1 where HTTP/2 is impossible (through a proxy)",
    shown: true,
  }),
  retryMaxTimes: field("retry_max_times", kind.integer(0, 10), 3, {
    means: "Retries after the first attempt, for 5xx answers and network faults.",
    why: "enough to get past a bad minute, too few to make one worse",
    shown: true,
  }),
  proxy: optional("proxy", kind.proxy, {
    means: 'HTTP proxy for all traffic to the provider; in a provider\'s own table "" means none.',
    why: "direct connections",
    secret: true,
    example: "http://127.0.0.1:7890",
  }),
  firstByteTimeoutMs: field("first_byte_timeout", kind.seconds(0.05, 3600), 300, {
    unit: "seconds",
    means: "How long one attempt waits for the first byte of the answer, connecting included.",
    why: "models may think for minutes before they say anything",
  }),
  idleTimeoutMs: field("idle_timeout", kind.seconds(0.05, 3600), 300, {
    unit: "seconds",
    means: "How long an answer may be silent once it has begun.",
    why: "what the official clients wait",
  }),
  retryWindowMs: field("retry_window", kind.seconds(0, 3600), 60, {
    unit: "seconds",
    means: "Time from a request's arrival after which no new attempt is begun.",
    why: "a client that has waited a minute would rather know",
  }),
  maxWaitMs: field("max_wait", kind.seconds(0, 600), 5, {
    unit: "seconds",
    means: "How long a request waits for a credential whose cooldown ends soon.",
    why: "bridges short rate limits without piling up requests",
  }),
}

type Own = Omit<ProviderSettings, keyof Shared>

interface OwnDefaults {
  readonly models: readonly string[]
  readonly exampleModels: readonly string[]
  readonly apiUrl: string
  readonly apiPath: string
  readonly authUrl: string
  readonly tokenUrl: string
}

function own(defaults: OwnDefaults): Fields<Own> {
  return {
    oauthTps: field("oauth_tps", kind.integer(1, 1000), 5, {
      unit: "per second",
      means: "Token refreshes; twice as many in a burst.",
      why: "the token endpoints answer more with 429",
    }),
    modelList: field("model_list", models, defaults.models, {
      means: "Models that may be asked for, exactly as written; the list of models has this order.",
      why: "only what is surely there; add what your accounts have",
      example: defaults.exampleModels,
      shown: true,
    }),
    apiUrl: field("api_url", kind.upstream, defaults.apiUrl, {
      means: `Base URL of the API; ${defaults.apiPath} is appended.`,
      why: "the provider's own",
    }),
    authUrl: field("auth_url", kind.upstream, defaults.authUrl, {
      means: "Where the browser is sent to log in.",
      why: "the provider's own",
    }),
    tokenUrl: field("token_url", kind.upstream, defaults.tokenUrl, {
      means: "Where codes and refresh tokens are exchanged.",
      why: "the provider's own",
    }),
  }
}

const version = (example: string) =>
  kind.matching("version x.y.z", `a version of three numbers such as "${example}"`, /^\d{1,6}\.\d{1,6}\.\d{1,6}$/)

export const geminicli: Fields<Own & Omit<GeminicliSettings, keyof ProviderSettings>> = {
  ...own({
    models: ["gemini-2.5-pro"],
    exampleModels: ["gemini-2.5-pro", "gemini-2.5-flash"],
    apiUrl: "https://cloudcode-pa.googleapis.com",
    apiPath: "/v1internal:...",
    authUrl: "https://accounts.google.com/o/oauth2/v2/auth",
    tokenUrl: "https://oauth2.googleapis.com/token",
  }),
  clientVersion: field("client_version", version("0.61.0"), "0.61.0", {
    means: "Version of the Gemini CLI that Cloud Code is told.",
    why: "the release of @google/gemini-cli that this version of Pollux was tested with",
  }),
}

export const codex: Fields<Own & Omit<CodexSettings, keyof ProviderSettings>> = {
  ...own({
    models: ["gpt-5.2-codex"],
    exampleModels: ["gpt-5.2", "gpt-5.2-codex", "gpt-5.3-codex"],
    apiUrl: "https://chatgpt.com/backend-api/codex",
    apiPath: "/responses",
    authUrl: "https://auth.openai.com/oauth/authorize",
    tokenUrl: "https://auth.openai.com/oauth/token",
  }),
  clientVersion: field("client_version", version("0.169.0"), "0.169.0", {
    means: "Version of the Codex CLI that the backend is told; it hides newer models from older versions.",
    why: "the release of @openai/codex that this version of Pollux was tested with; raise it when a model asks for a newer one",
  }),
  originator: field(
    "originator",
    kind.matching("client name", 'a client name such as "codex_cli_rs"', /^[A-Za-z0-9][\w.-]*(?: [\w.-]+)*$/),
    "codex_cli_rs",
    {
      means: "Name of the client that the backend is told.",
      why: "the Codex CLI's own",
    },
  ),
}

/** Keys of one `[[keys]]` entry. */
export const clientKey: Fields<ClientKey> = {
  name: required(
    "name",
    kind.matching("name", "a name of letters, digits, . _ and -", /^[A-Za-z0-9][\w.-]{0,63}$/),
    "",
    {
      means: "Names the key in logs and metrics.",
      why: "there is none; default and admin are taken",
      example: "laptop",
    },
  ),
  sha256: required(
    "sha256",
    {
      type: "64 hex digits",
      read(value) {
        const read = kind.matching("", "the SHA-256 of the key as 64 hex digits", /^[0-9a-f]{64}$/i, true).read(value)
        return read.ok ? { ok: true, value: read.value.toLowerCase() } : read
      },
    },
    "",
    {
      means: "SHA-256 of the key, in hex; `pollux key add` makes both.",
      why: "there is none; the key itself is not kept",
      secret: true,
      example: PLACEHOLDER_HEX,
    },
  ),
  models: optional("models", models, {
    means: "Models that the key may use.",
    why: "every model of the providers' lists",
    example: ["gemini-2.5-pro"],
  }),
  requestsPerMinute: optional("requests_per_minute", kind.integer(1, 1_000_000), {
    means: "Requests that the key may make in a minute.",
    why: "no limit",
    example: 60,
  }),
  expiresAt: optional("expires", kind.moment, {
    means: "When the key ceases to work, as a date and time with offset.",
    why: "never",
    example: "2027-12-31T00:00:00Z",
  }),
}
