/** How accounts come in, are set up and are shown (spec geminicli 11.11 to 11.14, 11.19, 11.20), on the compiled executable. */
import { expect, test } from "bun:test"
import { statSync } from "node:fs"
import { join } from "node:path"
import { StartFailure, startPollux } from "../support/binary.ts"
import { freshKey, secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { GeminiSystem, MODEL } from "./support/gemini.ts"

const json = { "content-type": "application/json" }

async function addSeeds(system: GeminiSystem, seeds: unknown, query = "?wait=true") {
  const response = await system.pollux.api(`/geminicli/resource:add${query}`, {
    method: "POST",
    headers: json,
    body: JSON.stringify(seeds),
  })
  return { status: response.status, text: await response.text() }
}

test("geminicli 11.11: an account without a tier is onboarded with the tier's id, over nameless and long-running operations", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const { account } = await system.add({ onboarded: false, tier: "free-tier", namelessPolls: 1, pendingPolls: 1 })
  expect(account.onboarded).toBeTrue()
  const onboard = system.google.seen("onboardUser").map(({ json: body }) => Object(body))
  expect(onboard.length).toBeGreaterThanOrEqual(2)
  for (const body of onboard) {
    expect(body.tierId).toBe("free-tier")
    expect(body).not.toHaveProperty("cloudaicompanionProject")
  }
  expect(system.google.seen("operation").length).toBeGreaterThan(0)
  expect((await system.ask()).status).toBe(200)
}, 30_000)

test("geminicli 11.11: tiers that an account is not eligible for do not matter while it has one", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  await system.add({ ineligible: [{ reasonCode: "UNSUPPORTED_CLIENT", tierId: "free-tier", reasonMessage: "No." }] })
  expect((await system.ask()).status).toBe(200)
})

test("geminicli 11.11: an account that needs a project of its own says so, and is taken once it is added again with one", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const account = system.google.addAccount({ project: null, userProjects: ["my-project-a"] })
  const seed = { refresh_token: secret(account.refreshToken) }
  expect((await addSeeds(system, [seed])).text).toContain("project_id")
  expect((await addSeeds(system, [{ ...seed, project_id: "my-project-a" }])).text).toContain("adopted")
  expect(await system.only()).toMatchObject({ account: "my-project-a", state: "ready" })
  expect((await system.ask()).status).toBe(200)
  expect(system.google.seen("generateContent")[0]?.json).toMatchObject({ project: "my-project-a" })
})

test("geminicli 11.11: a seed that fails is kept with its reason and the place to act", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const validationUrl = "https://accounts.google.com/verify-fake"
  const accounts = [
    system.google.addAccount({ project: null, tier: "standard-tier" }),
    system.google.addAccount({
      onboarded: false,
      tier: "",
      ineligible: [{ reasonCode: "VALIDATION_REQUIRED", reasonMessage: "Verify first.", validationUrl }],
    }),
    system.google.addAccount(),
  ]
  const [, , third] = accounts
  if (third !== undefined) system.google.revoke(third)
  const seeds = [
    ...accounts.map(({ refreshToken }) => ({ refresh_token: secret(refreshToken) })),
    { refresh_token: secret("1//made-up-token") },
  ]
  const { status, text } = await addSeeds(system, seeds)
  expect(status).toBe(202)
  const shown = JSON.parse(text).seeds
  expect(shown.map((seed: { status: string }) => seed.status)).toEqual(["failed", "failed", "failed", "failed"])
  expect(shown[0].detail).toContain("project_id")
  expect(shown[1]).toMatchObject({ reason: "VALIDATION_REQUIRED", url: validationUrl })
  expect(shown[2].reason).toBe("invalid_grant")
  const listed = Object(await (await system.pollux.api("/geminicli/resource:list")).json())
  expect(listed.seeds).toHaveLength(4)
  expect(listed.credentials).toBeEmpty()
  expect(system.pollux.leaks()).toEqual([])
})

test("geminicli 11.11: onboarding that lasts does not delay the refreshes of others", async () => {
  await using system = await GeminiSystem.start({ extra: { oauth_tps: 1 } })
  system.google.fault({ on: "loadCodeAssist", before: "hang", times: 3 })
  const slow = Array.from({ length: 3 }, () => system.google.addAccount())
  await addSeeds(
    system,
    slow.map(({ refreshToken }) => ({ refresh_token: secret(refreshToken) })),
    "",
  )
  await until("all three hang", () => system.google.seen("loadCodeAssist").length >= 3)
  system.google.expire(system.account(0))
  expect((await system.ask()).status).toBe(200)
})

test("geminicli 11.12: the pool is listed masked; a credential can be disabled, enabled, cleared, explained and removed", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const { id } = await system.add({ email: "ada.lovelace@example.com" })
  const listed = await (await system.pollux.api("/geminicli/resource:list")).text()
  expect(listed).not.toContain("ada.lovelace@")
  expect(JSON.parse(listed)).toMatchObject({
    provider: "geminicli",
    counts: { ready: 1 },
    models: { [MODEL]: { ready: 1 } },
  })

  expect((await system.verb("disable", { id })).status).toBe(200)
  expect(await system.only()).toMatchObject({ state: "disabled" })
  expect((await system.ask()).status).toBe(503)
  expect((await system.verb("enable", { id })).status).toBe(200)
  expect((await system.ask()).status).toBe(200)

  system.google.limit(system.account(0), MODEL, 0, 3_600_000)
  expect((await system.ask()).status).toBe(429)
  const explained = Object(await (await system.verb("explain", { model: MODEL })).json())
  expect(explained.credentials).toMatchObject([{ id, usable: false }])
  expect(explained.credentials[0].why).toMatch(/quota|limit|cool/i)
  expect((await system.verb("clear", { id })).status).toBe(200)
  expect((await system.only()).cooldowns).toBeEmpty()

  expect((await system.verb("remove", { id })).status).toBe(200)
  expect(await system.list()).toBeEmpty()
  expect((await system.verb("remove", { id })).status).toBe(404)
})

test("geminicli 11.12: the quota of each model is asked for once an account is in, for its own project", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const account = system.google.addAccount()
  system.google.limit(account, MODEL, 25, 3_600_000)
  expect((await addSeeds(system, [{ refresh_token: secret(account.refreshToken) }])).text).toContain("adopted")
  const quotas = await until("the quotas are shown", async () => {
    const shown = Object(await system.only()).quotas
    return shown.length > 0 && shown
  })
  expect(quotas).toContainEqual(expect.objectContaining({ family: MODEL, name: "requests" }))
  expect(system.google.seen("retrieveUserQuota")[0]?.json).toMatchObject({ project: account.project })
})

test("geminicli 11.13: resource:add answers Success, or each seed's outcome on demand, and survives a kill right after", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const accounts = [system.google.addAccount(), system.google.addAccount()]
  const [first, second] = accounts.map(({ refreshToken }) => secret(refreshToken))
  system.google.fault({ on: "token", delayMs: 2_000, times: 2 })
  const plain = await addSeeds(
    system,
    [{ refresh_token: ` ${first} ` }, { refreshToken: second }, {}, { refresh_token: first }],
    "",
  )
  expect(plain).toEqual({ status: 202, text: "Success" })
  await system.pollux.kill()
  await system.pollux.restart()
  await until("both are in the pool", async () => (await system.list()).length === 2)

  const shown = JSON.parse(
    (await addSeeds(system, [{ refresh_token: first }, { refresh_token: "" }, { refresh_token: first }])).text,
  )
  expect(shown).toMatchObject({ accepted: 1, blanks: 1, duplicates: 1 })
})

test("geminicli 11.13: what is no list is refused, and nothing of it is stored", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  for (const body of [{ refresh_token: "x" }, "x", [1], [{ refresh_token: 7 }]]) {
    expect((await addSeeds(system, body, "")).status).toBe(400)
  }
  const listed = Object(await (await system.pollux.api("/geminicli/resource:list")).json())
  expect(listed.seeds).toBeEmpty()
})

/** The browser's way, by hand: entry, consent at the fake, back with the cookie. */
async function login(system: GeminiSystem, options: { cookie: boolean }) {
  const entry = await fetch(`${system.pollux.url}/geminicli/auth`, { redirect: "manual" })
  expect(entry.status).toBe(307)
  const cookie = entry.headers.get("set-cookie")?.split(";", 1)[0] ?? ""
  const consent = await fetch(entry.headers.get("location") ?? "", { redirect: "manual" })
  const back = consent.headers.get("location") ?? ""
  const headers: Record<string, string> = { accept: "text/html", ...(options.cookie ? { cookie } : {}) }
  return { back, response: await fetch(back, { headers }), cookie }
}

test("geminicli 11.14: a browser login is bound to its cookie, tells the outcome, and works once", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  system.google.signIn(system.google.addAccount({ email: "ada.lovelace@example.com" }))
  const { back, response, cookie } = await login(system, { cookie: true })
  expect(new URL(back).pathname).toBe("/oauth2callback")
  expect(response.status).toBe(202)
  expect(await response.text()).toMatch(/^Success|>Success/)
  expect(await system.only()).toMatchObject({ state: "ready" })
  expect((await fetch(back, { headers: { cookie } })).status).toBe(403)

  const foreign = await login(system, { cookie: false })
  expect(foreign.response.status).toBe(403)
  expect(
    system.google.seen("token").filter(({ json: form }) => Object(form).grant_type === "authorization_code"),
  ).toHaveLength(1)
})

test("geminicli 11.14: a refused consent is explained, and an account that cannot serve is told why", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  system.google.signIn({ error: "access_denied", description: "<script>no</script>" })
  const refused = await login(system, { cookie: true })
  expect(refused.response.status).toBe(400)
  const page = await refused.response.text()
  expect(page).not.toContain("<script>")
  expect(page).toMatch(/denied|refused|declined/i)
  system.google.signIn(system.google.addAccount({ project: null, tier: "standard-tier" }))
  const failed = await login(system, { cookie: true })
  expect(failed.response.status).toBe(403)
  expect(await failed.response.text()).toContain("project")
})

test("geminicli 11.19: a database of mode 0600, health, readiness, metrics without secrets, and a stop within its deadline", async () => {
  await using system = await GeminiSystem.start({
    tables: `[basic]\npollux_key = "${freshKey()}"\nlisten_addr = "127.0.0.1"\nlisten_port = 0\nloglevel = "trace"\ndrain_timeout = 1\n`,
  })
  const { url, cwd } = system.pollux
  for (const file of ["data.db", "data.db-wal"]) expect(statSync(join(cwd, file)).mode & 0o777).toBe(0o600)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  expect((await fetch(`${url}/readyz`)).status).toBe(401)
  expect(await (await system.pollux.api("/readyz")).json()).toEqual({ ready: true, reasons: [] })
  expect((await system.ask("a secret prompt")).status).toBe(200)
  const metrics = await (await system.pollux.api("/metrics")).text()
  expect(metrics).toMatch(/^pollux_requests_total\{.*provider="geminicli".*\} 1$/m)
  expect(metrics).toMatch(/^pollux_credentials\{.*state="ready".*\} 1$/m)

  system.google.fault({ on: "generate", stream: { kind: "stall", after: 2 } })
  const stream = await system.stream("a b c d e f g h")
  const rest = stream.text()
  const stopping = performance.now()
  const exit = await system.pollux.stop()
  expect(performance.now() - stopping).toBeLessThan(8_000)
  expect(exit.code).not.toBeNull()
  expect(await rest).toContain('"error"')
  expect([...system.pollux.stdout, ...system.pollux.stderr].join("\n")).not.toContain("a secret prompt")
  expect(system.pollux.leaks()).toEqual([])
})

test("geminicli 11.20: a wrong configuration is told in full, with line, column and a suggestion, and ends with 78", async () => {
  const config = `[basic]\npollux_key = "${freshKey()}"\nlisten_prot = 1\n\n[providers.geminicli]\noauth_tps = "fast"\nmodel_list = []\n`
  const failure = await startPollux({ config }).then(
    () => null,
    (error: unknown) => error,
  )
  if (!(failure instanceof StartFailure)) throw new Error("it started")
  expect(failure.code).toBe(78)
  expect(failure.output).toMatch(/config\.toml:3:1 .*listen_prot.*listen_port/)
  expect(failure.output).toMatch(/config\.toml:6:\d+ providers\.geminicli\.oauth_tps: expected .*, got "fast"/)
})

test("geminicli 11.20: the key may come from the environment, and every URL from the configuration", async () => {
  const key = freshKey()
  await using system = await GeminiSystem.start({
    accounts: 0,
    tables: '[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\n',
    env: { POLLUX_KEY: key },
  })
  const models = `${system.pollux.url}/geminicli/v1beta/models`
  expect((await fetch(models, { headers: { "x-goog-api-key": key } })).status).toBe(200)
  const entry = await fetch(`${system.pollux.url}/geminicli/auth`, { redirect: "manual" })
  expect(entry.headers.get("location")).toStartWith(`${system.google.url}/o/oauth2/v2/auth?`)
})
