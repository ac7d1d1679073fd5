import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { type OutsideSecrets, parseConfig } from "../../src/config/parse.ts"

const NOTHING: OutsideSecrets = { polluxKey: null, adminKey: null, encryptionKey: null }
const KEY = 'pollux_key = "a-key-of-some-length"'

function problemsOf(text: string, outside = NOTHING): readonly string[] {
  const parsed = parseConfig(text, "config.toml", outside)
  return parsed.ok ? [] : parsed.problems
}

function configOf(text: string, outside = NOTHING) {
  const parsed = parseConfig(text, "config.toml", outside)
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"))
  return parsed.config
}

function warningsOf(text: string): readonly string[] {
  const parsed = parseConfig(text, "config.toml", NOTHING)
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"))
  return parsed.warnings
}

const basic = (line: string) => `[basic]\n${KEY}\n${line}\n`

describe("a configuration", () => {
  test("needs nothing but a key; the rest has the documented defaults", () => {
    const config = configOf(`[basic]\n${KEY}`)
    expect(config.basic).toEqual({
      listenAddr: "0.0.0.0",
      listenPort: 8188,
      databasePath: "data.db",
      logLevel: "info",
      logFormat: "auto",
      polluxKey: "a-key-of-some-length",
      adminKey: null,
      insecureCookie: false,
      openLogin: true,
      drainTimeoutMs: 300_000,
      trustedProxies: [],
      answerHeaders: true,
      encryptionKey: null,
      previousEncryptionKeys: [],
    })
    expect(config.keys).toEqual([])
    const shared = {
      enableMultiplexing: false,
      retryMaxTimes: 3,
      proxy: null,
      firstByteTimeoutMs: 300_000,
      idleTimeoutMs: 300_000,
      retryWindowMs: 60_000,
      maxWaitMs: 5000,
      oauthTps: 5,
    }
    expect(config.providers.geminicli).toEqual({
      ...shared,
      modelList: ["gemini-2.5-pro"],
      apiUrl: "https://cloudcode-pa.googleapis.com",
      authUrl: "https://accounts.google.com/o/oauth2/v2/auth",
      tokenUrl: "https://oauth2.googleapis.com/token",
      clientVersion: "0.61.0",
    })
    expect(config.providers.codex).toEqual({
      ...shared,
      modelList: ["gpt-5.2-codex"],
      apiUrl: "https://chatgpt.com/backend-api/codex",
      authUrl: "https://auth.openai.com/oauth/authorize",
      tokenUrl: "https://auth.openai.com/oauth/token",
      clientVersion: "0.169.0",
      originator: "codex_cli_rs",
    })
  })

  test("gives a provider its own value, else that of the defaults, else the documented one", () => {
    const { providers } = configOf(`
[basic]
${KEY}
[providers.defaults]
retry_max_times = 7
proxy = "http://user:secret@127.0.0.1:7890/"
max_wait = 0.25
[providers.codex]
retry_max_times = 1
proxy = ""`)
    expect(providers.geminicli.retryMaxTimes).toBe(7)
    expect(providers.codex.retryMaxTimes).toBe(1)
    expect(providers.geminicli.proxy).toBe("http://user:secret@127.0.0.1:7890")
    expect(providers.codex.proxy).toBeNull()
    expect(providers.codex.maxWaitMs).toBe(250)
  })

  test("takes the key as a number too, digit for digit", () => {
    expect(configOf("[basic]\npollux_key = 12345678").basic.polluxKey).toBe("12345678")
    expect(configOf("[basic]\npollux_key = 123456789012345678").basic.polluxKey).toBe("123456789012345678")
  })

  test("keeps the order of a model list and drops its doubles", () => {
    const text = `[basic]\n${KEY}\n[providers.codex]\nmodel_list = ["b", "a", "b"]`
    expect(configOf(text).providers.codex.modelList).toEqual(["b", "a"])
  })

  test("reads a byte order mark, CRLF and a file in which every table is inline or dotted", () => {
    const config = configOf(
      '\ufeffbasic.pollux_key = "a-key-of-some-length"\r\nproviders.codex = { model_list = ["m"], retry_max_times = 0 }\r\n',
    )
    expect(config.providers.codex.modelList).toEqual(["m"])
    expect(config.providers.codex.retryMaxTimes).toBe(0)
  })

  test("takes plain http only to this machine, and strips trailing slashes", () => {
    const url = (text: string) => `[basic]\n${KEY}\n[providers.codex]\napi_url = "${text}"`
    expect(configOf(url("http://127.0.0.1:9000/base//")).providers.codex.apiUrl).toBe("http://127.0.0.1:9000/base")
    expect(configOf(url("http://[::1]:9000")).providers.codex.apiUrl).toBe("http://[::1]:9000")
    expect(configOf(url("http://localhost:9000")).providers.codex.apiUrl).toBe("http://localhost:9000")
    expect(configOf(url("https://example.com/x/")).providers.codex.apiUrl).toBe("https://example.com/x")
    for (const bad of ["http://example.com", "ftp://example.com", "example.com", "https://a.example?x=1"]) {
      expect(problemsOf(url(bad))[0]).toStartWith("config.toml:4:11 providers.codex.api_url: expected a")
    }
    expect(problemsOf(url("https://user:hunter2@example.com")).join()).not.toContain("hunter2")
  })
})

describe("further keys", () => {
  const hash = (key: string) => createHash("sha256").update(key).digest("hex")
  const entry = (lines: string) => `[basic]\n${KEY}\n[[keys]]\n${lines}\n`

  test("are read with their limits", () => {
    const text = entry(
      `name = "laptop"\nsha256 = "${hash("x").toUpperCase()}"\nmodels = ["gemini-2.5-pro"]\nrequests_per_minute = 60\nexpires = 2027-01-31T01:00:00+01:00`,
    )
    expect(configOf(text).keys).toEqual([
      {
        name: "laptop",
        sha256: hash("x"),
        models: ["gemini-2.5-pro"],
        requestsPerMinute: 60,
        expiresAt: Date.UTC(2027, 0, 31),
      },
    ])
    const bare = configOf(entry(`name = "b"\nsha256 = "${hash("y")}"\nexpires = "2027-01-31T00:00:00Z"`)).keys[0]
    expect(bare).toMatchObject({ models: null, requestsPerMinute: null, expiresAt: Date.UTC(2027, 0, 31) })
  })

  test("must have a name and a hash of their own", () => {
    const first = `name = "a"\nsha256 = "${hash("x")}"\n`
    expect(problemsOf(entry(`${first}[[keys]]\n${first}`))).toEqual([
      'config.toml:7:8 keys[1].name: expected a name that is not taken, got "a"',
      "config.toml:8:10 keys[1].sha256: expected the hash of a key of its own, got that of another entry",
    ])
    expect(problemsOf(entry(`name = "admin"\nsha256 = "${hash("a-key-of-some-length")}"`))).toEqual([
      'config.toml:4:8 keys[0].name: expected a name that is not taken, got "admin"',
      "config.toml:5:10 keys[0].sha256: expected the hash of a key of its own, got that of pollux_key or admin_key",
    ])
    expect(problemsOf(entry("models = []"))).toEqual([
      "config.toml:3:1 keys[0].name: expected name, got nothing",
      "config.toml:3:1 keys[0].sha256: expected 64 hex digits, got nothing",
    ])
  })

  test("are named by their place in the list, whatever else stands there", () => {
    expect(problemsOf(`keys = [1, { name = "a" }]\n[basic]\n${KEY}\n`)).toEqual([
      "config.toml:1:9 keys[0]: expected a table, got a number",
      "config.toml:1:12 keys[1].sha256: expected 64 hex digits, got nothing",
    ])
  })

  test("expire at a time with an offset only", () => {
    for (const bad of ["2027-01-31", "2027-01-31T00:00:00", "00:00:00", '"tomorrow"', '"2027-02-30T00:00:00Z"', "1"]) {
      const [problem] = problemsOf(entry(`name = "a"\nsha256 = "${hash("x")}"\nexpires = ${bad}`))
      expect(problem).toStartWith("config.toml:6:11 keys[0].expires: expected a date and time with offset")
    }
  })
})

describe("a secret from outside", () => {
  const outside = { ...NOTHING, polluxKey: { value: "from-the-environment", from: "POLLUX_KEY" } }

  test("stands in for one that the file leaves out or empty, not for one that it has", () => {
    expect(configOf("", outside).basic.polluxKey).toBe("from-the-environment")
    expect(configOf('[basic]\npollux_key = ""', outside).basic.polluxKey).toBe("from-the-environment")
    expect(configOf(`[basic]\n${KEY}`, outside).basic.polluxKey).toBe("a-key-of-some-length")
  })

  test("is checked like any other, and named by where it is from", () => {
    const bad = { ...NOTHING, encryptionKey: { value: "hunter2", from: "POLLUX_ENCRYPTION_KEY" } }
    const [problem] = problemsOf(`[basic]\n${KEY}`, bad)
    expect(problem).toStartWith("POLLUX_ENCRYPTION_KEY: expected 32 random bytes")
    expect(problem).not.toContain("hunter2")
  })

  test("may be an encryption key in hex or either base64", () => {
    const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index))
    for (const value of [bytes.toString("hex").toUpperCase(), bytes.toString("base64"), bytes.toString("base64url")]) {
      const given = { ...NOTHING, encryptionKey: { value, from: "X" } }
      expect(configOf(`[basic]\n${KEY}`, given).basic.encryptionKey).toBe(bytes.toString("hex"))
    }
  })
})

describe("a warning", () => {
  const quiet = 'listen_addr = "127.0.0.1"'

  test("is not given for a careful configuration", () => {
    expect(warningsOf(basic(quiet))).toEqual([])
    expect(warningsOf(basic('listen_addr = "::1"'))).toEqual([])
    expect(warningsOf(basic("open_login = false"))).toEqual([])
    expect(warningsOf(`${basic(quiet)}[providers.defaults]\nproxy = "http://127.0.0.1:1"`)).toEqual([])
  })

  test.each([
    ["open_login = true", "config.toml:3:14 basic.open_login: anyone who reaches 0.0.0.0"],
    ['listen_addr = "::"', "config.toml:1:1 basic.open_login: anyone who reaches ::"],
    [`${quiet}\nadmin_key = "short"`, "config.toml:4:13 basic.admin_key: is short"],
    [`${quiet}\nadmin_key = "a-key-of-some-length"`, "config.toml:4:13 basic.admin_key: equals pollux_key"],
    [`${quiet}\nadmin_key = "schlüssel-mit-umlaut"`, "config.toml:4:13 basic.admin_key: has characters"],
    [
      `${quiet}\ntrusted_proxies = ["10.0.0.1", "0.0.0.0/0"]`,
      "config.toml:4:32 basic.trusted_proxies[1]: trusts every address",
    ],
    [
      `${quiet}\n[[keys]]\nname = "a"\nsha256 = "${"0".repeat(64)}"\nmodels = ["gemini-2.5-por"]`,
      'config.toml:7:11 keys[0].models[0]: no provider lists "gemini-2.5-por"',
    ],
  ])("is given for %p", (line, warning) => {
    const warnings = warningsOf(basic(line))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toStartWith(warning)
  })
})
