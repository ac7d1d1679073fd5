import { createHash } from "node:crypto"
import { parse, TomlError } from "smol-toml"
import { isLoopback } from "./address.ts"
import type { Field } from "./field.ts"
import type { Path } from "./positions.ts"
import { Reader, type Table } from "./reader.ts"
import { basic, clientKey, codex, geminicli, PLACEHOLDER_KEY, shared } from "./schema.ts"
import { showSyntaxError } from "./syntax.ts"
import type { BasicSettings, ClientKey, Config, ProviderSettings } from "./types.ts"

/** A secret that comes from outside the file, and from where. */
export interface Outside {
  readonly value: string
  readonly from: string
}

/** Secrets from the environment or the service manager; the file's own come first. */
export interface OutsideSecrets {
  readonly polluxKey: Outside | null
  readonly adminKey: Outside | null
  readonly encryptionKey: Outside | null
}

export type Parsed =
  | {
      readonly ok: true
      readonly config: Config
      readonly warnings: readonly string[]
      /** Whether the file itself holds a secret. */
      readonly holdsSecret: boolean
    }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Keys shorter than this can be guessed, given time. */
const WEAK_KEY = 16
const RESERVED_NAMES: readonly string[] = ["default", "admin"]

/** Reads the text of a configuration file; `file` is how problems name it. Pure. */
export function parseConfig(text: string, file: string, outside: OutsideSecrets): Parsed {
  let root: Table
  try {
    root = parse(text, { integersAsBigInt: "asNeeded" })
  } catch (error) {
    if (error instanceof TomlError) return { ok: false, problems: [showSyntaxError(text, file, error)] }
    throw error
  }
  const reader = new Reader(root, text, file)
  const foreign: string[] = []
  reader.checkNames()
  const settings = readBasic(reader, outside, foreign)
  const config: Config = {
    basic: settings,
    keys: readKeys(reader, settings),
    providers: {
      geminicli: {
        ...readProvider(reader, "geminicli", geminicli),
        clientVersion: reader.take(geminicli.clientVersion, ["providers", "geminicli"]),
      },
      codex: {
        ...readProvider(reader, "codex", codex),
        clientVersion: reader.take(codex.clientVersion, ["providers", "codex"]),
        originator: reader.take(codex.originator, ["providers", "codex"]),
      },
    },
  }
  const problems = [...foreign, ...reader.shownProblems()]
  if (problems.length > 0) return { ok: false, problems }
  remark(reader, config)
  return {
    ok: true,
    config,
    warnings: reader.shownWarnings(),
    holdsSecret: Object.values(basic).some((field) => field.secret && reader.has(field, ["basic"])),
  }
}

function readBasic(reader: Reader, outside: OutsideSecrets, foreign: string[]): BasicSettings {
  const at: Path = ["basic"]

  /** A secret of the file, else the one from outside. An empty string in the file counts as absent when there is one outside. */
  function secret<T>(field: Field<T>, other: Outside | null): T {
    const written = reader.table(at)[field.key]
    if (other === null || (written !== undefined && written !== "")) return reader.take(field, at)
    const read = field.kind.read(other.value)
    if (read.ok) return read.value
    for (const wrong of read.wrong) foreign.push(`${other.from}: expected ${wrong.expected}, got ${wrong.got}`)
    return field.absent()
  }

  return {
    listenAddr: reader.take(basic.listenAddr, at),
    listenPort: reader.take(basic.listenPort, at),
    databasePath: reader.take(basic.databasePath, at),
    logLevel: reader.take(basic.logLevel, at),
    logFormat: reader.take(basic.logFormat, at),
    polluxKey: secret(basic.polluxKey, outside.polluxKey),
    adminKey: secret(basic.adminKey, outside.adminKey),
    insecureCookie: reader.take(basic.insecureCookie, at),
    openLogin: reader.take(basic.openLogin, at),
    drainTimeoutMs: reader.take(basic.drainTimeoutMs, at),
    trustedProxies: reader.take(basic.trustedProxies, at),
    answerHeaders: reader.take(basic.answerHeaders, at),
    encryptionKey: secret(basic.encryptionKey, outside.encryptionKey),
    previousEncryptionKeys: reader.take(basic.previousEncryptionKeys, at),
  }
}

function readProvider(reader: Reader, name: "geminicli" | "codex", own: typeof geminicli): ProviderSettings {
  const at: Path = ["providers", name]
  const defaults: Path = ["providers", "defaults"]
  return {
    enableMultiplexing: reader.take(shared.enableMultiplexing, at, defaults),
    retryMaxTimes: reader.take(shared.retryMaxTimes, at, defaults),
    proxy: reader.take(shared.proxy, at, defaults),
    firstByteTimeoutMs: reader.take(shared.firstByteTimeoutMs, at, defaults),
    idleTimeoutMs: reader.take(shared.idleTimeoutMs, at, defaults),
    retryWindowMs: reader.take(shared.retryWindowMs, at, defaults),
    maxWaitMs: reader.take(shared.maxWaitMs, at, defaults),
    oauthTps: reader.take(own.oauthTps, at),
    modelList: reader.take(own.modelList, at),
    apiUrl: reader.take(own.apiUrl, at),
    authUrl: reader.take(own.authUrl, at),
    tokenUrl: reader.take(own.tokenUrl, at),
  }
}

function readKeys(reader: Reader, settings: BasicSettings): ClientKey[] {
  const main = [settings.polluxKey, settings.adminKey].map((key) => (key === null ? "" : sha256(key)))
  const names = new Set<string>()
  const hashes = new Set<string>(main)
  return reader.places("keys").map((index) => {
    const at: Path = ["keys", index]
    const entry: ClientKey = {
      name: reader.take(clientKey.name, at),
      sha256: reader.take(clientKey.sha256, at),
      models: reader.take(clientKey.models, at),
      requestsPerMinute: reader.take(clientKey.requestsPerMinute, at),
      expiresAt: reader.take(clientKey.expiresAt, at),
    }
    if (entry.name !== "") {
      const taken = RESERVED_NAMES.includes(entry.name) || names.has(entry.name)
      if (taken) unlike(reader, [...at, "name"], "a name that is not taken", JSON.stringify(entry.name))
      names.add(entry.name)
    }
    if (entry.sha256 !== "") {
      const whose = main.includes(entry.sha256) ? "that of pollux_key or admin_key" : "that of another entry"
      if (hashes.has(entry.sha256)) unlike(reader, [...at, "sha256"], "the hash of a key of its own", whose)
      hashes.add(entry.sha256)
    }
    return entry
  })
}

function unlike(reader: Reader, at: Path, expected: string, got: string): void {
  const [group, index, name] = at
  reader.problem(at, "value", `${group}[${index}].${name}`, `expected ${expected}, got ${got}`)
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex")
}

/** What is allowed but probably not meant. */
function remark(reader: Reader, config: Config): void {
  const { basic: settings, providers } = config
  for (const [name, value] of [
    ["pollux_key", settings.polluxKey],
    ["admin_key", settings.adminKey],
  ] as const) {
    const at = ["basic", name]
    if (value === PLACEHOLDER_KEY)
      reader.warn(at, "is the key of the example file, which everyone knows; use one of your own")
    else if (value !== null && value.length < WEAK_KEY) {
      reader.warn(
        at,
        `is short and could be guessed; use at least ${WEAK_KEY} characters (openssl rand -hex 32 makes a good one)`,
      )
    }
    if (value !== null && /[^\x20-\x7e]/.test(value)) {
      reader.warn(at, "has characters that most clients cannot send in a header; use ASCII")
    }
  }
  if (settings.adminKey !== null && settings.adminKey === settings.polluxKey) {
    reader.warn(["basic", "admin_key"], "equals pollux_key, so whoever has that key has the admin verbs too")
  }
  if (settings.openLogin && !isLoopback(settings.listenAddr)) {
    reader.warn(
      ["basic", "open_login"],
      `anyone who reaches ${settings.listenAddr} can add an account of their own to the pool and read what it is sent; set it to false`,
    )
  }
  for (const [index, range] of settings.trustedProxies.entries()) {
    if (range.endsWith("/0")) {
      reader.warn(["basic", "trusted_proxies", index], "trusts every address, so anyone can write X-Forwarded-For")
    }
  }
  const served = new Set([...providers.geminicli.modelList, ...providers.codex.modelList])
  for (const [index, entry] of config.keys.entries()) {
    for (const [place, model] of (entry.models ?? []).entries()) {
      if (!served.has(model)) reader.warn(["keys", index, "models", place], `no provider lists "${model}"`)
    }
  }
}
