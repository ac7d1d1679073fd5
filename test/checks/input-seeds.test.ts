/** What is handed over as credentials and is none: B21, by `resource:add` and by `pollux import`. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { cli } from "../support/cli.ts"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

async function add(provider: string, body: string, accept = "application/json") {
  const response = await world.pollux.api(`/${provider}/resource:add`, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body,
  })
  return { status: response.status, text: await response.text() }
}
const tokenCalls = () => world.google.seen("token").length + world.openai.requestsTo("/oauth/token").length
const seedCount = async (provider: string): Promise<number> =>
  (await (await world.pollux.api(`/${provider}/resource:list`)).json()).seeds.length

const WRONG: readonly (readonly [string, string])[] = [
  ["an object instead of an array", '{"refresh_token":"rt_aaaaaaaaaaaaaaaaaaaa"}'],
  ["a text", '"rt_aaaaaaaaaaaaaaaaaaaa"'],
  ["texts instead of objects", '["rt_aaaaaaaaaaaaaaaaaaaa"]'],
  ["arrays instead of objects", '[["rt_aaaaaaaaaaaaaaaaaaaa"]]'],
  ["null among the entries", '[{"refresh_token":"rt_aaaaaaaaaaaaaaaaaaaa"},null]'],
  ["a number as a token", '[{"refresh_token":12345678}]'],
  ["an object as a token", '[{"refresh_token":{"a":1}}]'],
  ["two tokens that differ", '[{"refresh_token":"rt_aaaaaaaaaaaaaaaaaaaa","refreshToken":"rt_bbbbbbbbbbbbbbbbbbbb"}]'],
  ["a token with a line end", '[{"refresh_token":"rt_aaaaaaaa\\r\\nX-Evil: 1"}]'],
  ["a token with a NUL", '[{"refresh_token":"rt_aaaaaaaa\\u0000"}]'],
  ["a token beyond ASCII", '[{"refresh_token":"rt_schl\\u00fcssel"}]'],
  ["a token of 1 MB", JSON.stringify([{ refresh_token: "r".repeat(1_000_000) }])],
  ["an inherited token", '[{"__proto__":{"refresh_token":"rt_aaaaaaaaaaaaaaaaaaaa"}},5]'],
]

test.each(WRONG)("B21: resource:add with %s is answered 400, names the entry, and stores nothing", async (_, body) => {
  for (const provider of ["geminicli", "codex"]) {
    const [seeds, calls] = [await seedCount(provider), tokenCalls()]
    const { status, text } = await add(provider, body)
    expect(status).toBe(400)
    if (body.startsWith("[")) expect(text).toMatch(/entry \d+: /)
    expect(text).not.toContain("rt_aaaa")
    expect(text.length).toBeLessThan(2_000)
    expect([await seedCount(provider), tokenCalls()]).toEqual([seeds, calls])
  }
})

test("B21: each wrong entry of many is named up to a bound, and the rest counted", async () => {
  const body = JSON.stringify(
    Array.from({ length: 10_000 }, (_, index) => (index % 2 === 0 ? index : { refresh_token: index })),
  )
  const { status, text } = await add("codex", body)
  expect(status).toBe(400)
  expect(text).toContain("entry 19: ")
  expect(text).toContain("and 9980 more")
})

test("B21: blanks and duplicates are counted and dropped, an entry without a token is a blank", async () => {
  const token = secret(world.openai.addAccount().refreshToken)
  const entries = [
    { refresh_token: token },
    { refreshToken: ` ${token}\n` },
    { refresh_token: "" },
    { refresh_token: "   " },
    { refresh_token: null },
    {},
    { refresh_token: token, refreshToken: token },
  ]
  const { status, text } = await add("codex", JSON.stringify(entries))
  expect(status).toBe(202)
  expect(JSON.parse(text)).toMatchObject({ accepted: 1, blanks: 4, duplicates: 2 })
  expect((await add("codex", "[]", "*/*")).text).toBe("Success")
})

test("B21: 10,000 entries are taken at once, looked at within the rate, and hold up nobody", async () => {
  await using own = await startWorld()
  const entries = Array.from({ length: 10_000 }, (_, index) => ({
    refresh_token: `rt_made_up_${"x".repeat(20)}_${index}`,
  }))
  const began = performance.now()
  const response = await own.pollux.api("/codex/resource:add", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify([...entries, ...entries.slice(0, 50)]),
  })
  expect(response.status).toBe(202)
  expect(await response.json()).toMatchObject({ accepted: 10_000, blanks: 0, duplicates: 50 })
  expect(performance.now() - began).toBeLessThan(10_000)
  const codes = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const body = JSON.stringify({ model: "gpt-5.2-codex", input: "meanwhile" })
      const headers = { "content-type": "application/json" }
      return (await own.pollux.api("/codex/v1/responses", { method: "POST", headers, body })).status
    }),
  )
  expect(new Set(codes)).toEqual(new Set([200]))
  await until("the first ones are refused by the issuer", () => own.openai.requestsTo("/oauth/token").length > 5)
  // 5 a second and twice as many in a burst: nothing like 10,000 at once.
  expect(own.openai.requestsTo("/oauth/token").length).toBeLessThan(200)
  const listed = await own.pollux.api("/codex/resource:list")
  expect((await listed.json()).seeds).toHaveLength(1_000)
}, 30_000)

test("B21: import reads what is there, warns of what others can read, and follows no link out of a directory", async () => {
  const { pollux, openai } = world
  const folder = join(pollux.cwd, "logins")
  const outside = join(pollux.cwd, "outside.json")
  mkdirSync(folder)
  const login = (token: string) =>
    JSON.stringify({
      auth_mode: "chatgpt",
      tokens: { refresh_token: token, access_token: "a", id_token: "i", account_id: "x" },
    })
  const [wide, hidden] = [secret(openai.addAccount().refreshToken), secret(openai.addAccount().refreshToken)]
  writeFileSync(join(folder, "wide.json"), login(wide))
  chmodSync(join(folder, "wide.json"), 0o644)
  writeFileSync(join(folder, "broken.json"), '{"tokens":{"refresh_token":"')
  writeFileSync(join(folder, "deep.json"), "[".repeat(200_000))
  writeFileSync(join(folder, "binary.json"), Buffer.from([0xff, 0xfe, 0x00, 0x01]))
  writeFileSync(join(folder, "\u001b[31mred\nline.json"), "{}")
  writeFileSync(outside, login(hidden))
  symlinkSync(outside, join(folder, "link.json"))
  symlinkSync(join(folder, "loop.json"), join(folder, "loop.json"))
  symlinkSync("/dev/zero", join(folder, "zero.json"))
  try {
    const { code, stdout, stderr, leaks } = await cli(pollux, ["import", folder])
    expect(leaks).toEqual([])
    expect({ code, stderr }).toMatchObject({
      code: expect.any(Number),
      stderr: expect.stringMatching(/wide\.json.*0644.*chmod 600/),
    })
    expect(stdout).toContain("link.json")
    expect(stdout + stderr).not.toContain("\u001b[31m")
    const taken = (token: string) => openai.requestsTo("/oauth/token").filter(({ body }) => body.includes(token)).length
    expect(taken(wide)).toBe(1)
    expect(taken(hidden)).toBe(0)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
