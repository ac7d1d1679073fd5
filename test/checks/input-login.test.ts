/** Ways back from a login that are not one: B17, for both providers. */
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Running } from "../support/binary.ts"
import { secret } from "../support/secrets.ts"
import { startWorld, type World } from "../support/world.ts"

const PROVIDERS = ["geminicli", "codex"] as const
type Provider = (typeof PROVIDERS)[number]
const BACK = { geminicli: "/oauth2callback", codex: "/auth/callback" } as const
const ENTRY = { geminicli: "/geminicli/auth", codex: "/codex/auth" } as const
const HTML = { accept: "text/html" }

interface Begun {
  readonly state: string
  readonly cookie: string
  readonly challenge: string
  /** What the provider sends the browser back with. */
  readonly returned: URLSearchParams
}

/** Goes to the provider's page and says yes there. */
async function begin(world: World, provider: Provider): Promise<Begun> {
  const entry = await fetch(`${world.pollux.url}${ENTRY[provider]}`, { redirect: "manual" })
  expect(entry.status).toBe(307)
  const location = new URL(entry.headers.get("location") ?? "")
  const cookie = entry.headers.get("set-cookie") ?? ""
  expect(cookie).toMatch(/; HttpOnly; SameSite=Lax/)
  expect(location.searchParams.get("code_challenge_method")).toBe("S256")
  if (provider === "geminicli") world.google.signIn(world.google.addAccount())
  else world.openai.visit(world.openai.addAccount())
  const consent = await fetch(location, { redirect: "manual" })
  const returned = new URL(consent.headers.get("location") ?? "").searchParams
  return {
    state: secret(location.searchParams.get("state") ?? ""),
    cookie: cookie.split(";")[0] ?? "",
    challenge: location.searchParams.get("code_challenge") ?? "",
    returned,
  }
}

const back = (
  pollux: Running,
  provider: Provider,
  query: URLSearchParams | string,
  headers: Record<string, string> = {},
) => fetch(`${pollux.url}${BACK[provider]}?${query}`, { headers, redirect: "manual" })

const exchanges = ({ google, openai }: World) =>
  google.seen("token").filter(({ body }) => body.includes("authorization_code")).length +
  openai.requestsTo("/oauth/token").filter(({ body }) => body.includes("authorization_code")).length

/** Refused, with nothing spent and nothing set, and without words of a program. */
async function expectRefused(world: World, answer: Response, codes: readonly number[] = [400, 403]): Promise<string> {
  expect(codes).toContain(answer.status)
  const text = await answer.text()
  expect(text).not.toMatch(/\bat \S+:\d+|node_modules/)
  expect(exchanges(world)).toBe(0)
  return text
}

for (const provider of PROVIDERS) {
  test(`B17: ${provider}: without a state, with an unknown one, or with one twice, nothing is exchanged`, async () => {
    await using world = await startWorld({ accounts: 0 })
    const { pollux } = world
    const { state, cookie } = await begin(world, provider)
    const queries = [
      "",
      "code=c",
      "state=",
      `state=${state}`,
      `code=&state=${state}`,
      "code=c&state=unknown",
      `code=c&state=${state}&state=${state}`,
      `code=c&code=d&state=${state}`,
      `code=c&state=${state.slice(0, -1)}`,
      `code=c&state=${state}x`,
      `code=c&state=${"s".repeat(5_000)}`,
      `code=${"c".repeat(5_000)}&state=${state}`,
      "code=%00&state=%0d%0a",
    ]
    for (const query of queries) await expectRefused(world, await back(pollux, provider, query, { cookie }))
    // A state of the other provider's is none.
    const other = provider === "codex" ? "geminicli" : "codex"
    await expectRefused(world, await back(pollux, other, `code=c&state=${state}`, { cookie }))
    for (const method of ["HEAD", "PUT", "DELETE"]) {
      const answer = await fetch(`${pollux.url}${BACK[provider]}?code=c&state=${state}`, {
        method,
        headers: { cookie },
      })
      await expectRefused(world, answer, [404, 405])
    }
  })

  test(`B17: ${provider}: another browser gets 403 and spends nothing; the right one is served once, by PKCE; then never again`, async () => {
    await using world = await startWorld({ accounts: 0 })
    const { pollux } = world
    const { returned, cookie } = await begin(world, provider)
    await expectRefused(world, await back(pollux, provider, returned), [403])
    const foreign = `${cookie.split("=")[0]}=${"x".repeat(43)}`
    const page = await expectRefused(world, await back(pollux, provider, returned, { cookie: foreign, ...HTML }), [403])
    expect(page).toContain("Was it you who began this login?")
    const form = new URLSearchParams({
      code: returned.get("code") ?? "",
      state: returned.get("state") ?? "",
      key: "wrong",
    })
    const posted = await fetch(`${pollux.url}${BACK[provider]}`, { method: "POST", body: form, headers: HTML })
    await expectRefused(world, posted, [401])

    const right = await back(pollux, provider, returned, { cookie })
    expect({ status: right.status, text: await right.text() }).toMatchObject({
      status: 202,
      text: expect.stringMatching(/^Success\n/),
    })
    expect(exchanges(world)).toBe(1)

    for (const headers of [{ cookie }, {}]) {
      const again = await back(pollux, provider, returned, headers)
      expect([400, 403]).toContain(again.status)
    }
    expect(exchanges(world)).toBe(1)
    const listed = await (await pollux.api(`/${provider}/resource:list`)).json()
    expect(listed.credentials).toHaveLength(1)
  })

  test(`B17: ${provider}: the code of another login is refused by its PKCE challenge, and adds nothing`, async () => {
    await using world = await startWorld({ accounts: 0 })
    const { pollux } = world
    const [mine, theirs] = [await begin(world, provider), await begin(world, provider)]
    expect(mine.challenge).not.toBe(theirs.challenge)
    const mixed = new URLSearchParams({ code: theirs.returned.get("code") ?? "", state: mine.state })
    const answer = await back(pollux, provider, mixed, { cookie: mine.cookie })
    expect(answer.status).toBe(403)
    expect(await answer.text()).toContain("TOKEN_EXCHANGE_FAILED")
    const listed = await (await pollux.api(`/${provider}/resource:list`)).json()
    expect(listed.credentials).toEqual([])
  })

  test(`B17: ${provider}: a refusal is explained, escaped, and is no way to run a script`, async () => {
    await using world = await startWorld({ accounts: 0 })
    const { pollux } = world
    const { state, cookie } = await begin(world, provider)
    const script = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`
    for (const query of [
      { error: "access_denied", state },
      { error: script, error_description: script, state },
      { error: "x".repeat(50_000).slice(0, 8_000), state },
      { error: "access_denied", error_description: "\u001b[31mred\r\nX-Evil: 1\u202e" },
    ]) {
      const answer = await back(pollux, provider, new URLSearchParams(query), { cookie, ...HTML })
      expect(answer.headers.get("content-type")).toStartWith("text/html")
      expect(answer.headers.get("x-evil")).toBeNull()
      expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'")
      const text = await expectRefused(world, answer, [400])
      expect(text).not.toContain("<script")
      expect(text).not.toContain("<img")
      expect(text.length).toBeLessThan(6_000)
    }
    for (const line of pollux.stdout) expect(line).not.toContain("\u001b")
  })

  test(`B17: ${provider}: a login that was begun 16 minutes ago has expired`, async () => {
    const cwd = mkdtempSync(join(tmpdir(), "pollux-clock-"))
    using _ = { [Symbol.dispose]: () => rmSync(cwd, { recursive: true, force: true }) }
    const clock = join(cwd, "clock.json")
    writeFileSync(clock, "{}")
    const env = { POLLUX_FAULT_CLOCK: clock }
    await using world = await startWorld({ accounts: 0, program: "pollux-faults", env, cwd })
    const { pollux } = world
    const { returned, cookie } = await begin(world, provider)
    const minutes = 16 * 60_000
    writeFileSync(clock, JSON.stringify({ mono: minutes, wall: minutes }))
    const text = await expectRefused(world, await back(pollux, provider, returned, { cookie }), [403])
    expect(text).toContain("expired")
  })
}

test("B17: the way back leads to loopback, whatever Host says", async () => {
  await using world = await startWorld({ accounts: 0 })
  for (const host of [
    "evil.example",
    "localhost.evil.example",
    "evil.example:80@localhost",
    "127.0.0.1.evil.example",
  ]) {
    for (const provider of PROVIDERS) {
      const entry = await fetch(`${world.pollux.url}${ENTRY[provider]}`, {
        redirect: "manual",
        headers: { host, "x-forwarded-host": host },
      })
      if (entry.status === 400) continue
      const location = new URL(entry.headers.get("location") ?? "")
      expect(new URL(location.searchParams.get("redirect_uri") ?? "").hostname).toBe("localhost")
    }
  }
})
