import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { parseConfig } from "../../src/config/parse.ts"

const KEY = 'pollux_key = "a-key-of-some-length"'

function problemsOf(text: string): readonly string[] {
  const outside = { polluxKey: null, adminKey: null, encryptionKey: null }
  const parsed = parseConfig(text, "config.toml", outside)
  return parsed.ok ? [] : parsed.problems
}

const basic = (line: string) => `[basic]\n${KEY}\n${line}\n`

describe("a problem", () => {
  test("of a shared key is told once, and also where both providers have a value of their own", () => {
    const shared = `[basic]\n${KEY}\n[providers.defaults]\nretry_max_times = 99\n`
    const problem = "config.toml:4:19 providers.defaults.retry_max_times: expected an integer from 0 to 10, got 99"
    expect(problemsOf(shared)).toEqual([problem])
    const own = ["geminicli", "codex"].map((name) => `[providers.${name}]\nretry_max_times = 1\n`).join("")
    expect(problemsOf(shared + own)).toEqual([problem])
  })

  test("is an address with a zone, which no URL can name: the server's own commands could not reach it", () => {
    expect(problemsOf('[basic]\npollux_key = "k"\nlisten_addr = "fe80::1%eth0"')).toEqual([
      'config.toml:3:15 basic.listen_addr: expected an IP address such as "127.0.0.1" or "::", without a port or zone, got "fe80::1%eth0"',
    ])
  })

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
    ["providers.geminicli.originator", `[basic]\n${KEY}\n[providers.geminicli]\noriginator = "me"`, "codex"],
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
