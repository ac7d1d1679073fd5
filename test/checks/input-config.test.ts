/** Configurations that are wrong: B22, by `pollux check` and by a start of the executable. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { basic, clientKey, codex, geminicli, shared } from "../../src/config/schema.ts"
import { StartFailure, startPollux } from "../support/binary.ts"
import { ensureBuilt } from "../support/build.ts"

let folder: string
let binary: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pollux-config-"))
  binary = await ensureBuilt()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What `pollux check` says of a text. */
async function check(text: string | Uint8Array) {
  const path = join(folder, "config.toml")
  writeFileSync(path, text, { mode: 0o600 })
  const { code, stdout, stderr } = await capture([binary, "check", "--json"], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder },
  })
  expect(stderr).toBe("")
  const { ok, problems }: { ok: boolean; problems: readonly string[] } = JSON.parse(stdout)
  return { code, ok, problems }
}

/** Every key with its table, as they stand in a file. */
const KEYS = [
  ...Object.values(basic).map(({ key }) => ["basic", key] as const),
  ...Object.values(shared).map(({ key }) => ["providers.defaults", key] as const),
  ...Object.values({ ...shared, ...geminicli }).map(({ key }) => ["providers.geminicli", key] as const),
  ...Object.values({ ...shared, ...codex }).map(({ key }) => ["providers.codex", key] as const),
]

/** A file in which every key has the value; with the place of each. */
function everyKey(value: string): { readonly text: string; readonly places: ReadonlyMap<string, string> } {
  const lines: string[] = []
  const places = new Map<string, string>()
  let table = ""
  for (const [name, key] of KEYS) {
    if (name !== table) lines.push(`[${name}]`)
    table = name
    lines.push(`${key} = ${value}`)
    places.set(`${name}.${key}`, `config.toml:${lines.length}:`)
  }
  return { text: `${lines.join("\n")}\n`, places }
}

test("B22: every key with a value of a type that it cannot have is named at once, each with line and column", async () => {
  const { text, places } = everyKey("1979-05-27T07:32:00Z")
  const { code, ok, problems } = await check(text)
  expect({ code, ok }).toEqual({ code: 78, ok: false })
  for (const [key, place] of places) {
    const said = problems.find((problem) => problem.startsWith(place))
    expect({ key, said }).toEqual({
      key,
      said: expect.stringMatching(/^config\.toml:\d+:\d+ [\w.]+: expected .+, got .+$/),
    })
    expect(said).toContain(` ${key}: `)
  }
  expect(problems).toHaveLength(places.size)
})

test.each(["{}", "[[1]]", "[{}]", "nan"])(
  "B22: every key with the value %s is refused, or is a list that may be so",
  async (value) => {
    const { text, places } = everyKey(value)
    const { code, problems } = await check(text)
    expect(code).toBe(78)
    expect(problems.length).toBeGreaterThanOrEqual(places.size - 2)
  },
)

test("B22: every key misspelt is unknown, and the right one is suggested", async () => {
  for (const [table, key] of KEYS.filter(([name]) => name !== "providers.geminicli")) {
    const wrong = `${key.slice(0, 2)}${key.slice(3)}`
    const header = table === "basic" ? "" : `[${table}]\n`
    const { problems } = await check(`[basic]\npollux_key = "long enough"\n${header}${wrong} = 1\n`)
    const said = problems.find((problem) => problem.includes(wrong))
    expect(said).toMatch(/^config\.toml:\d+:1 /)
    expect(said).toContain(key)
  }
}, 30_000)

const RANGES: readonly (readonly [table: string, key: string, values: readonly string[]])[] = [
  ["basic", "listen_port", ["-1", "65536", "1.5", '"80"', "9223372036854775807"]],
  ["basic", "listen_addr", ['""', '"localhost:80"', '"300.1.1.1"']],
  ["basic", "loglevel", ['"loud"', '""', "3"]],
  ["basic", "database_url", ['""', '"postgres://x"', '"sqlite://"']],
  ["basic", "drain_timeout", ["-1", "1e9", "inf"]],
  ["basic", "encryption_key", ['"short"', '"zz"']],
  ["basic", "trusted_proxies", ['["nonsense"]', '["10.0.0.0/99"]', '"10.0.0.1"']],
  ["providers.defaults", "retry_max_times", ["-1", "11", "2.5"]],
  ["providers.defaults", "first_byte_timeout", ["0", "-5", "4000", "inf"]],
  ["providers.defaults", "proxy", ['"socks5://127.0.0.1:1"', '"127.0.0.1:1"', '"ftp://x"']],
  ["providers.codex", "oauth_tps", ["0", "1001", "-1"]],
  ["providers.codex", "model_list", ['["a b"]', '["models/x"]', "[1]", '["x\\r\\ny"]']],
  ["providers.codex", "api_url", ['"ftp://x"', '"http://not-loopback.example"', '"https://user:pass@host"', '"x"']],
  ["providers.geminicli", "client_version", ['"1"', '"1.2.3\\r\\nX: y"']],
  ["providers.codex", "client_version", ['"1"', '"1.2.3\\r\\nX: y"']],
  ["providers.codex", "originator", ['"a\\r\\nb"', '""']],
]

test("B22: every value out of its range is refused in words, at its place", async () => {
  for (const [table, key, values] of RANGES) {
    for (const value of values) {
      const own = table === "basic" ? "" : `[${table}]\n`
      const { code, problems } = await check(`[basic]\npollux_key = "long enough"\n${own}${key} = ${value}\n`)
      expect({ key, value, code }).toEqual({ key, value, code: 78 })
      expect(problems).toHaveLength(1)
      expect(problems[0]).toStartWith(`config.toml:${table === "basic" ? 3 : 4}:`)
      expect(problems[0]).toContain(`${table}.${key}`)
    }
  }
}, 30_000)

test("B22: every key of [[keys]] that is missing or wrong is named with the entry's place", async () => {
  const none = await check('[basic]\npollux_key = "long enough"\n\n[[keys]]\n')
  expect(none.problems.join("\n")).toMatch(/config\.toml:4:\d+ .*name/)
  expect(none.problems.join("\n")).toMatch(/config\.toml:4:\d+ .*sha256/)
  const lines = Object.values(clientKey).map(({ key }) => `${key} = {}`)
  const wrong = await check(`[basic]\npollux_key = "long enough"\n[[keys]]\n${lines.join("\n")}\n`)
  expect(wrong.problems).toHaveLength(lines.length)
})

test.each([
  ["is empty", "", /pollux_key/],
  ["has only a comment", "# nothing\n", /pollux_key/],
  ["has an empty key", '[basic]\npollux_key = ""\n', /config\.toml:2:\d+ .*pollux_key/],
  ["has a key of blanks", '[basic]\npollux_key = "   "\n', /config\.toml:2:\d+ .*pollux_key/],
  ["is no TOML", "basic: {}\n", /^config\.toml:1:\d+ /],
  ["is JSON", '{"basic":{}}\n', /^config\.toml:1:\d+ /],
  ["breaks off", '[basic]\npollux_key = "abc', /^config\.toml:2:\d+ /],
  ["has a key twice", '[basic]\npollux_key = "a"\npollux_key = "b"\n', /^config\.toml:3:\d+ /],
  ["has a table twice", '[basic]\npollux_key = "a"\n[basic]\n', /^config\.toml:3:\d+ /],
  [
    "has an unknown table",
    '[basic]\npollux_key = "long enough"\n[provider]\n',
    /config\.toml:3:\d+ .*provider.*providers/,
  ],
  ["has a value where a table belongs", "basic = 5\n", /config\.toml:1:\d+ .*basic/],
  ["has __proto__", '[basic]\npollux_key = "long enough"\n[__proto__]\nx = 1\n', /__proto__/],
  ["nests without end", `x = ${"[".repeat(10_000)}`, /config\.toml:1:\d+/],
])("B22: a file that %s is refused with its place", async (_, text, says) => {
  const { code, problems } = await check(text)
  expect(code).toBe(78)
  expect(problems.join("\n")).toMatch(says)
})

test("B22: a file that is not UTF-8, and one that is 20 MB of noise, are refused and do no harm", async () => {
  expect((await check(new Uint8Array([0x5b, 0xff, 0xfe, 0x5d]))).problems).toEqual([expect.stringContaining("UTF-8")])
  const { code, problems } = await check("x".repeat(20_000_000))
  expect(code).toBe(78)
  expect(problems.join("\n").length).toBeLessThan(2_000)
})

test("B22: a start with a wrong file names every problem, shows no key, and ends with 78", async () => {
  const config =
    '[basic]\npollux_key = "a-key-not-to-be-shown"\nlisten_prt = 1\nlogevel = "x"\nadmin_key = ["another-secret-key"]\n'
  const failure = await startPollux({ config }).then(
    () => null,
    (error: unknown) => error,
  )
  expect(failure).toBeInstanceOf(StartFailure)
  if (!(failure instanceof StartFailure)) return
  expect(failure.code).toBe(78)
  for (const place of ["config.toml:3:1", "config.toml:4:1", "config.toml:5:"]) expect(failure.output).toContain(place)
  expect(failure.output).toContain("listen_port")
  expect(failure.output).toContain("loglevel")
  expect(failure.output).not.toContain("not-to-be-shown")
  expect(failure.output).not.toContain("another-secret-key")
})
