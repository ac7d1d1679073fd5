/**
 * Quotas that Pollux asks for (spec geminicli 2.1, 11.12; codex 6.4, 6.5), on the compiled executable: shown without a request, and
 * asked before a cooldown ends ahead of its stated reset, so that no client's request is spent on finding out.
 */
import { expect, test } from "bun:test"
import { cli } from "../support/cli.ts"
import { MovedClock } from "../support/clock.ts"
import { until } from "../support/wait.ts"
import { CodexSystem } from "./support/codex.ts"
import { GeminiSystem, MODEL } from "./support/gemini.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE

const isQuota = (line: { readonly event: string }) => line.event.includes("quota")

test("geminicli: status shows what is left though no request was ever made, for one reading per account", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const { google, pollux } = system
  const account = google.addAccount()
  google.limit(account, MODEL, 250, 6 * HOUR)
  const seed = JSON.stringify([{ refresh_token: account.refreshToken }])
  const headers = { "content-type": "application/json" }
  const added = await pollux.api("/geminicli/resource:add?wait=true", { method: "POST", headers, body: seed })
  expect(added.status).toBe(202)
  const shown = await until("status shows a bar", async () => {
    const { stdout } = await cli(pollux, ["status", "--provider", "geminicli"])
    return /█/.test(stdout) ? stdout : null
  })
  expect(shown).toMatch(/gemini-2\.5-pro requests +██░{6} +25 % +(?:6 h|5 h 59 min)\n/)
  expect(google.seen("generateContent")).toEqual([])
  expect(google.seen("retrieveUserQuota")).toHaveLength(1)
  expect(google.seen("retrieveUserQuota")[0]?.json).toEqual({ project: account.project })

  await pollux.restart()
  const again = await cli(pollux, ["status", "--provider", "geminicli"])
  expect(again.stdout).toContain("25 %")
  expect(google.seen("retrieveUserQuota")).toHaveLength(1)
  expect(pollux.leaks()).toEqual([])
})

test("geminicli: a model that is out of quota is asked about before it is tried, and serves once it is back", async () => {
  using clock = new MovedClock()
  await using system = await GeminiSystem.start({ program: "pollux-faults", env: clock.env, accounts: 0 })
  const { google } = system
  const { account } = await system.add()
  await until("the new account was asked about", () => google.seen("retrieveUserQuota").length === 1)
  google.limit(account, MODEL, 0, 18 * HOUR)
  expect((await system.ask()).status).toBe(429)
  const stated = (await system.only()).cooldowns[0]?.stated ?? 0
  google.forget()

  clock.pass(31 * MINUTE)
  for (let i = 0; i < 5; i++) expect((await system.ask()).status).toBe(429)
  expect(google.seen("generateContent")).toEqual([])
  expect(google.seen("retrieveUserQuota")).toHaveLength(1)
  const { cooldowns } = await system.only()
  expect(cooldowns[0]?.until).toBeWithin(Date.now() + 90 * MINUTE, Date.now() + 92 * MINUTE)
  expect(Math.abs((cooldowns[0]?.stated ?? 0) - stated)).toBeLessThan(2_000)

  google.limit(account, MODEL, 5, 18 * HOUR)
  // Its token is renewed on the way, as in life.
  clock.pass(26 * MINUTE)
  const { refreshes } = account
  await until("the token was renewed", async () => (await system.list()).length === 1 && account.refreshes > refreshes)
  clock.pass(36 * MINUTE)
  expect((await system.ask()).status).toBe(200)
  expect(google.seen("generateContent")).toHaveLength(1)
})

test("codex: an account limited for 18 h costs no client a request until usage says that it is free", async () => {
  using clock = new MovedClock()
  await using system = await CodexSystem.start({ program: "pollux-faults", env: clock.env })
  const { openai } = system
  const account = system.account(0)
  const reset = Math.floor((Date.now() + 18 * HOUR) / 1000)
  await until("the new account was asked about", () => openai.readings.length === 1)
  openai.fault(account, { kind: "usage_limit", resetsAt: reset })
  expect((await system.ask()).status).toBe(429)
  expect(system.sent()).toHaveLength(1)

  // Its probe is due.
  clock.pass(31 * MINUTE)
  const refused = await system.ask()
  expect(refused.status).toBe(429)
  expect(Object(await refused.json()).error).toMatchObject({ type: "usage_limit_reached" })
  expect((await system.ask()).status).toBe(429)
  expect(system.sent()).toHaveLength(1)
  expect(openai.readings).toHaveLength(2)
  const [shown] = await system.list()
  expect(shown?.cooldowns[0]?.until).toBeWithin(Date.now() + 90 * MINUTE, Date.now() + 92 * MINUTE)
  expect(shown?.quotas.find(({ name }) => name === "primary")?.usedPercent).toBe(100)

  // Still out an hour later; then the limit is lifted long before its reset.
  clock.pass(61 * MINUTE)
  expect((await system.ask()).status).toBe(429)
  expect(system.sent()).toHaveLength(1)
  openai.lift(account)
  clock.pass(2 * HOUR + MINUTE)
  expect((await system.ask()).status).toBe(200)
  expect(system.sent()).toHaveLength(2)
  expect(openai.readings).toHaveLength(4)
  expect(openai.readings.map(({ method, path, status }) => `${method} ${path} ${status}`)).toEqual(
    Array.from({ length: 4 }, () => "GET /backend-api/wham/usage 200"),
  )
})

test("codex: where usage gives no answer, a request finds out whether the limit still holds", async () => {
  using clock = new MovedClock()
  await using system = await CodexSystem.start({ program: "pollux-faults", env: clock.env })
  const { openai } = system
  const account = system.account(0)
  openai.muteUsage()
  openai.fault(account, { kind: "usage_limit", resetsAt: Math.floor((Date.now() + 18 * HOUR) / 1000) })
  expect((await system.ask()).status).toBe(429)
  clock.pass(29 * MINUTE)
  expect((await system.ask()).status).toBe(429)
  expect(system.sent()).toHaveLength(1)
  clock.pass(2 * MINUTE)
  expect((await system.ask()).status).toBe(200)
  expect(system.sent()).toHaveLength(2)
})

test("codex: a refused reading does nothing to the credential, but for a line in the debug log", async () => {
  await using system = await CodexSystem.start()
  const { openai, pollux } = system
  const [shown] = await system.list()
  await until("the new account was asked about", () => openai.readings.length === 1)
  openai.expireAccess(system.account(0))
  for (const verb of ["disable", "enable"]) {
    const body = JSON.stringify({ id: shown?.id })
    const headers = { "content-type": "application/json" }
    expect((await pollux.api(`/codex/resource:${verb}`, { method: "POST", headers, body })).status).toBe(200)
  }
  await until("it was asked again", () => openai.readings.at(-1)?.status === 401)
  await Bun.sleep(100)
  expect((await system.list())[0]).toMatchObject({ state: "ready", lastError: null })
  expect(openai.requestsTo("/oauth/token")).toHaveLength(1)
  expect(pollux.log().filter(isQuota)).toMatchObject([{ level: "debug", reason: "the backend answered 401" }])
})
