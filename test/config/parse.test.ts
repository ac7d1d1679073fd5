import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import fc from "fast-check"
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

  test("expire at a time with an offset only", () => {
    for (const bad of ["2027-01-31", "2027-01-31T00:00:00", "00:00:00", '"tomorrow"', '"2027-02-30T00:00:00Z"', "1"]) {
      const [problem] = problemsOf(entry(`name = "a"\nsha256 = "${hash("x")}"\nexpires = ${bad}`))
      expect(problem).toStartWith("config.toml:6:11 keys[0].expires: expected a date and time with offset")
    }
  })
})

describe("a problem", () => {
  test("is told with all others, in the order of the file, with the place of the value", () => {
    const text = `top = 1
[basic]
listen_addr = "here"
listen_prot = 8188
"loglevel" = "wrn"
pollux_key = ""
[providers]
defaults = { retry_max_times = "three", proxy = "socks5://u:hunter2@c:1" }
codex.model_list = [
  "fine", # not this one
  "models/x", 3]
[provider.codex]
x = 1`
    const problems = problemsOf(text)
    expect(problems.map((problem) => problem.split(" expected")[0])).toEqual([
      "config.toml:1:1 top:",
      "config.toml:3:15 basic.listen_addr:",
      "config.toml:4:1 basic.listen_prot:",
      "config.toml:5:14 basic.loglevel:",
      "config.toml:6:14 basic.pollux_key:",
      "config.toml:8:32 providers.defaults.retry_max_times:",
      "config.toml:8:49 providers.defaults.proxy:",
      "config.toml:11:3 providers.codex.model_list[1]:",
      "config.toml:11:15 providers.codex.model_list[2]:",
      "config.toml:12:2 provider:",
    ])
    expect(problems[2]).toEndWith("(did you mean listen_port?)")
    expect(problems[3]).toEndWith('got "wrn" (did you mean "warn"?)')
    expect(problems[5]).toEndWith('expected an integer from 0 to 10, got "three"')
    expect(problems[6]).toContain("socks is not supported")
    expect(problems[9]).toEndWith("(did you mean providers?)")
    expect(problems.join()).not.toContain("hunter2")
  })

  test.each([
    ["basic.loglvl", basic("loglvl = 1"), "loglevel"],
    ["basic.log_level", basic("log_level = 1"), "loglevel"],
    ["basic.retry_max_times", basic("retry_max_times = 1"), "providers.defaults.retry_max_times"],
    ["listen_port", `listen_port = 1\n[basic]\n${KEY}`, "basic.listen_port"],
    [
      "providers.codex.custom_api_url",
      `[basic]\n${KEY}\n[providers.codex]\ncustom_api_url = "https://x.example"`,
      "api_url",
    ],
    ["providers.geminicli.client_version", `[basic]\n${KEY}\n[providers.geminicli]\nclient_version = "1.2.3"`, "codex"],
    ["providers.gemini", `[basic]\n${KEY}\n[providers.gemini]\n`, "geminicli"],
  ])("of an unknown key %p names the one that was meant", (key, text, meant) => {
    const [problem] = problemsOf(text)
    expect(problem).toContain(` ${key}: expected a known key`)
    expect(problem).toContain("did you mean ")
    expect(problem).toContain(meant)
  })

  test.each([
    ['listen_addr = "example.com"', "basic.listen_addr"],
    ['listen_addr = "127.0.0.1:80"', "basic.listen_addr"],
    ["listen_port = 65536", "basic.listen_port"],
    ['listen_port = "8188"', "basic.listen_port"],
    ["listen_port = 80.5", "basic.listen_port"],
    ['database_url = "data.db"', "basic.database_url"],
    ['database_url = "sqlite://"', "basic.database_url"],
    ['database_url = "sqlite://:memory:"', "basic.database_url"],
    ['database_url = "postgres://u:hunter2@h/d"', "basic.database_url"],
    ['database_url = "sqlite://data.db?mode=ro"', "basic.database_url"],
    ["loglevel = 3", "basic.loglevel"],
    ['log_format = "xml"', "basic.log_format"],
    ['admin_key = "hunter2\\n"', "basic.admin_key"],
    ['admin_key = "   "', "basic.admin_key"],
    ["admin_key = true", "basic.admin_key"],
    ['insecure_cookie = "yes"', "basic.insecure_cookie"],
    ["open_login = 1", "basic.open_login"],
    ["drain_timeout = -1", "basic.drain_timeout"],
    ["drain_timeout = inf", "basic.drain_timeout"],
    ["drain_timeout = nan", "basic.drain_timeout"],
    ['trusted_proxies = "10.0.0.0/8"', "basic.trusted_proxies"],
    ['trusted_proxies = ["10.0.0.0/33"]', "basic.trusted_proxies[0]"],
    ['encryption_key = "hunter2"', "basic.encryption_key"],
    ["answer_headers = []", "basic.answer_headers"],
    ["listen_port = 12345678901234567890", "basic.listen_port"],
  ])("is found in %p", (line, key) => {
    const problems = problemsOf(basic(line))
    expect(problems).toHaveLength(1)
    const column = line.indexOf("=") + 3 + (key.endsWith("[0]") ? 1 : 0)
    expect(problems[0]).toStartWith(`config.toml:3:${column} ${key}: expected `)
    expect(problems[0]).toContain(", got ")
    expect(problems[0]).not.toContain("hunter2")
  })

  test.each([
    ["basic = 3", "config.toml:1:9 basic: expected a table, got a number"],
    ["providers = []", "config.toml:1:13 providers: expected a table, got an array"],
    [
      'providers = { codex = "hunter2" }',
      "config.toml:1:23 providers.codex: expected a table, got a string of 7 characters",
    ],
    ["keys = 1", "config.toml:1:8 keys: expected tables as [[keys]], got 1"],
    ["keys = [1]", "config.toml:1:9 keys[0]: expected a table, got a number"],
  ])("of a table that is none is found in %p", (text, problem) => {
    expect(problemsOf(text)).toContain(problem)
  })

  test("of an empty file is that the key is missing", () => {
    for (const empty of ["", "\n", "# nothing\n", "[basic]"]) {
      const [problem] = problemsOf(empty)
      expect(problem).toContain("basic.pollux_key: expected string or number, got nothing")
    }
  })

  test("of a syntax error shows the place and the line", () => {
    expect(problemsOf("[basic]\nlisten_addr = 127.0.0.1\n")[0]).toBe(
      "config.toml:2:20 expected valid TOML, got a syntax error: illegal character in numeric literal\n    listen_addr = 127.0.0.1\n                       ^",
    )
    expect(problemsOf("\u0000")[0]).toStartWith("config.toml:1:1 expected valid TOML")
    expect(problemsOf("{}")).toHaveLength(1)
  })

  test.each([
    'pollux_key = "hunter2',
    "pollux_key = hunter2",
    'pollux_key: "hunter2"',
    "pollux_key hunter2",
    'polluxKey = "a" hunter2',
    'basic = { pollux_key = "hunter2 }',
    'pollux_key = """\nhunter2 \\q\n"""',
    'pollux_key = [\n "hunter2" "x"\n]',
    'proxy = "http://u:hunter2@h" x',
    '[[keys]]\nsha256 = "hunter2" "',
  ])("of a syntax error in %p shows no secret", (text) => {
    const problems = problemsOf(`[basic]\n${text}`)
    expect(problems).toHaveLength(1)
    expect(problems[0]).not.toContain("hunter2")
  })

  test("never shows a key, whatever is wrong with it", () => {
    const secrets = ["pollux_key", "admin_key", "encryption_key", "sha256", "proxy"]
    fc.assert(
      fc.property(
        fc.constantFrom(...secrets),
        fc.string({ unit: fc.constantFrom(..."abcdef0123456789 \t\\"), minLength: 8, maxLength: 40 }),
        fc.constantFrom("", "[1]", "{ a = 1 }"),
        (key, value, wrapped) => {
          const written = wrapped === "" ? JSON.stringify(value) : wrapped.replace("1", JSON.stringify(value))
          const table = key === "sha256" ? '[[keys]]\nname = "a"' : key === "proxy" ? "[providers.defaults]" : "[basic]"
          expect(problemsOf(`${table}\n${key} = ${written}`).join("\n")).not.toContain(value)
        },
      ),
    )
  })

  test("is all that any text leads to: nothing throws", () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => Array.isArray(problemsOf(text))))
    const pieces = [
      "[basic]",
      "[providers.codex]",
      "[[keys]]",
      "basic",
      "keys",
      " = ",
      "{",
      "}",
      "[",
      "]",
      '"',
      "'",
      "\n",
      "1",
      "pollux_key",
      ".",
      ",",
      "#",
      "__proto__",
      "constructor",
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 25 }), (parts) =>
        Array.isArray(problemsOf(parts.join(""))),
      ),
      { numRuns: 2000 },
    )
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
