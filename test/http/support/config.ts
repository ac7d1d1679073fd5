import type { BasicSettings, ClientKey, CodexSettings, Config, ProviderSettings } from "../../../src/config/types.ts"

export const KEY = "test-key-of-the-pool"

const provider: ProviderSettings = {
  enableMultiplexing: false,
  retryMaxTimes: 3,
  proxy: null,
  firstByteTimeoutMs: 300_000,
  idleTimeoutMs: 300_000,
  retryWindowMs: 60_000,
  maxWaitMs: 5_000,
  oauthTps: 5,
  modelList: ["toy-model"],
  apiUrl: "http://127.0.0.1:1",
  authUrl: "http://127.0.0.1:1/auth",
  tokenUrl: "http://127.0.0.1:1/token",
}

const codex: CodexSettings = { ...provider, clientVersion: "1.0.0", originator: "test" }

/** A configuration for the edge: loopback, a free port, one key. */
export function testConfig(basic: Partial<BasicSettings> = {}, keys: readonly ClientKey[] = []): Config {
  return {
    basic: {
      listenAddr: "127.0.0.1",
      listenPort: 0,
      databasePath: ":memory:",
      logLevel: "info",
      logFormat: "json",
      polluxKey: KEY,
      adminKey: null,
      insecureCookie: false,
      openLogin: true,
      drainTimeoutMs: 300_000,
      trustedProxies: [],
      answerHeaders: true,
      encryptionKey: null,
      previousEncryptionKeys: [],
      ...basic,
    },
    keys,
    providers: { geminicli: { ...provider, clientVersion: "1.0.0" }, codex },
  }
}

export function clientKey(name: string, key: string, limits: Partial<ClientKey> = {}): ClientKey {
  const sha256 = new Bun.CryptoHasher("sha256").update(key).digest("hex")
  return { name, sha256, models: null, requestsPerMinute: null, expiresAt: null, ...limits }
}
