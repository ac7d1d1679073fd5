/**
 * B20: after a run through everything that handles a secret, none stands anywhere but where it must: in no log line, answer,
 * metric, list, command's output, process list, and in the database only those that are its content.
 */
import { expect, test } from "bun:test"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { errors } from "../fakes/google.ts"
import { cli } from "../support/cli.ts"
import { findLeaks } from "../support/leaks.ts"
import { freshKey, knownSecrets, secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { registerUsed, Witness } from "../support/witness.ts"
import { startWorld, type World } from "../support/world.ts"

const UNARY = "/geminicli/v1beta/models/gemini-2.5-pro:generateContent"
const STREAM = "/geminicli/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
const RESPONSES = "/codex/v1/responses"
/** What a client says; nobody but the upstream has any business with it. */
const PROMPT = "a prompt about my private life 7c1f"

const gemini = { contents: [{ role: "user", parts: [{ text: PROMPT }] }] }
const codex = (stream: boolean) => ({ model: "gpt-5.2-codex", input: PROMPT, stream, prompt_cache_key: "cache-1" })

interface Run {
  readonly world: World
  readonly witness: Witness
}

const traffic = async ({ witness }: Run) => {
  for (const headers of [{}, { "session-id": "session-1" }]) {
    await witness.post(UNARY, gemini, headers)
    await witness.post(STREAM, gemini, headers)
    await witness.post(RESPONSES, codex(false), headers)
    await witness.post(RESPONSES, codex(true), headers)
  }
}

/** Keys that are wrong, as they stand in every place. */
async function wrongKeys({ witness }: Run): Promise<void> {
  const wrong = freshKey()
  for (const headers of [
    { "x-goog-api-key": wrong },
    { authorization: `Bearer ${wrong}` },
    { authorization: `Basic ${btoa(wrong)}` },
  ]) {
    expect((await witness.post(UNARY, gemini, headers)).status).toBe(401)
  }
  const bare = await fetch(`${witness.pollux.url}${UNARY}?key=${wrong}`, { method: "POST" })
  witness.see("a wrong key in the query", await bare.text())
  const own = await fetch(`${witness.pollux.url}/geminicli/v1beta/models?key=${witness.pollux.key}`)
  witness.see("the right key in the query", await own.text())
  await witness.post(`/nowhere?key=${witness.pollux.key}&refresh_token=${wrong}`, {})
}

/** Logins by every way, those that fail included. */
async function logins({ world, witness }: Run): Promise<void> {
  const { google, openai, pollux } = world
  for (const [provider, back] of [
    ["geminicli", "/oauth2callback"],
    ["codex", "/codex/auth/callback"],
  ] as const) {
    google.signIn(google.addAccount({ email: `mary.shelley.${provider}@example.org` }))
    openai.visit(openai.addAccount({ email: `ada.lovelace.${provider}@example.org` }))
    for (const spoil of ["", "x"]) {
      const entry = await witness.ask(`/${provider}/auth`)
      const location = new URL(entry.headers.get("location") ?? "")
      const cookie = entry.headers.get("set-cookie")?.split(";")[0] ?? ""
      secret(cookie.split("=")[1] ?? "")
      secret(location.searchParams.get("state") ?? "")
      const consent = new URL((await fetch(location, { redirect: "manual" })).headers.get("location") ?? "")
      const code = secret(consent.searchParams.get("code") ?? "")
      consent.searchParams.set("code", code + spoil)
      const query = consent.searchParams
      await witness.ask(`${back}?${query}`)
      await witness.ask(`${back}?${query}`, { headers: { cookie, accept: "text/html" } })
      await witness.ask(`${back}?${query}`, { headers: { cookie } })
    }
    // The address of the provider's page is what this answer is for; it is not searched.
    const begun = await (await pollux.api(`/${provider}/login`, { method: "POST" })).json()
    const returned = (await fetch(begun.url, { redirect: "manual" })).headers.get("location") ?? ""
    secret(new URL(returned).searchParams.get("code") ?? "")
    secret(new URL(returned).searchParams.get("state") ?? "")
    await witness.post(`/${provider}/login:finish`, { url: returned })
    await witness.post(`/${provider}/login:finish`, { url: returned })
    await witness.ask(`/${provider}/login/${begun.id}`)
  }
  const device = await (await pollux.api("/codex/login:device", { method: "POST" })).json()
  const account = openai.addAccount({ email: "grace.hopper.device@example.org" })
  openai.approveDevice(device.user_code, account)
  await until("the device login ends", async () => {
    return (await witness.ask(`/codex/login/${device.id}`)).text.includes('"done"')
  })
}

/** Seeds that are good, dead, known, ineligible; and an import. */
async function seeds({ world, witness }: Run): Promise<void> {
  const { google, openai, pollux } = world
  const dead = secret(`rt_${"dead".repeat(8)}`)
  const googleDead = secret(`1//${"0dead".repeat(8)}`)
  const [first] = openai.accounts
  const verify = "https://accounts.google.com/verify?continue=1"
  const ineligible = google.addAccount({
    onboarded: false,
    email: "not.eligible@example.org",
    ineligible: [
      {
        reasonCode: "VALIDATION_REQUIRED",
        reasonMessage: "Verify not.eligible@example.org first.",
        validationUrl: verify,
      },
    ],
  })
  await witness.post("/codex/resource:add?wait=20", [{ refresh_token: dead }, { refresh_token: first?.refreshToken }])
  await witness.post("/geminicli/resource:add?wait=20", [
    { refresh_token: googleDead },
    { refresh_token: ineligible.refreshToken },
  ])
  await witness.post("/codex/resource:add", [{ refresh_token: `${dead}\n${dead}` }, dead, { refresh_token: [dead] }])
  await witness.post("/codex/resource:add", `[{"refresh_token":"${dead}`)
  const imported = secret(openai.addAccount({ email: "imported.person@example.org" }).refreshToken)
  const file = join(pollux.cwd, "auth.json")
  writeFileSync(
    file,
    JSON.stringify({ tokens: { refresh_token: imported, access_token: dead, id_token: dead, account_id: "a" } }),
  )
  await shown({ world, witness }, ["import", file])
  await shown({ world, witness }, ["import", file, "--dry-run"])
}

/** Every fault of an upstream, saying what it should not: the token it was sent, and whose it is. */
async function faults({ world, witness }: Run): Promise<void> {
  const { google, openai } = world
  const words = (bearer: string, email: string, extra: string) =>
    `Authorization: Bearer ${bearer} and again ${bearer}, of ${email}; ${extra} {"access_token":"${bearer}"}`
  const say = () => {
    const seen = google.requests.findLast(({ endpoint }) => endpoint === "generateContent")
    const asked = openai.requestsTo("/responses").at(-1)
    const bearer = (headers: Readonly<Record<string, string>> = {}) => headers.authorization?.slice(7) ?? "none yet"
    return {
      google: words(bearer(seen?.headers), seen?.account?.email ?? "", "x"),
      openai: words(bearer(asked?.headers), asked?.account ?? "", "in organization org-AbCdEf123456"),
    }
  }
  const refresh = async () => {
    for (const provider of ["geminicli", "codex"]) {
      for (const verb of ["enable", "clear"]) await witness.post(`/${provider}/resource:${verb}`, { id: 1 })
    }
  }
  await traffic({ world, witness })
  for (const status of [400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503]) {
    const said = say()
    const json = (text: string) => ({
      error: { code: status, message: text, status: text, type: "x", details: [{ "@type": "x", text }] },
    })
    const html = (text: string) => `<html><body>${text}</body></html>`
    for (const body of [json, html]) {
      const headers = { "set-cookie": "secret=1", "www-authenticate": said.google }
      google.fault({ on: "generate", times: 8, status, body: body(said.google), headers })
      const fault = { kind: "status", status, body: body(said.openai), headers } as const
      openai.fault(null, ...Array.from({ length: 8 }, () => fault))
      await witness.post(UNARY, gemini)
      await witness.post(RESPONSES, codex(true))
      google.clearFaults()
      openai.clearFaults()
      await refresh()
    }
  }
  const said = say()
  const error = { code: 503, message: said.google, status: "UNAVAILABLE" }
  google.fault({ on: "generate", stream: { kind: "error", after: 1, event: { error } } })
  google.fault({ on: "generate", stream: { kind: "raw", bytes: `data: {"error": ${said.google}\n\n` } })
  openai.fault(null, { kind: "event", code: "server_is_overloaded", message: said.openai, afterContent: true })
  const failed = { type: "response.failed", response: { error: { code: "x", message: said.openai } } }
  openai.fault(null, { kind: "raw", body: `data: ${JSON.stringify(failed)}\n\n` })
  for (let index = 0; index < 2; index++) {
    await witness.post(STREAM, gemini)
    await witness.post(RESPONSES, codex(true))
  }
  google.fault({ on: "generate", before: "reset" })
  openai.fault(null, { kind: "no_answer", how: "reset" })
  await traffic({ world, witness })
  google.clearFaults()
  openai.clearFaults()

  // Refreshes that fail in words.
  const [account] = google.accounts
  const [person] = openai.accounts
  const token = `${account?.refreshToken} ${person?.refreshToken} of ${account?.email}, ${person?.email}`
  for (const [status, code] of [
    [500, "server_error"],
    [400, "temporarily_unavailable"],
    [400, "invalid_grant"],
  ] as const) {
    google.fault({ on: "token", status, body: { error: code, error_description: token } })
    openai.tokenFault({ kind: "status", status, body: { error: { code, message: token } } })
    for (const provider of ["geminicli", "codex"]) await witness.post(`/${provider}/resource:refresh`, { id: 1 })
  }
  google.clearFaults()
  openai.clearFaults()
  for (const account of google.accounts) google.expire(account)
  for (const account of openai.accounts) openai.expireAccess(account)
  await refresh()
  await traffic({ world, witness })
  google.fault({ on: "generate", status: 403, body: errors.tosViolation() })
  await witness.post(UNARY, gemini)
}

/** What an operator looks at. */
async function views({ world, witness }: Run): Promise<void> {
  const { pollux } = world
  const key = witness.pollux.key
  for (const provider of ["geminicli", "codex"]) {
    await witness.ask(`/${provider}/resource:list`)
    await witness.post(`/${provider}/resource:explain`, { model: "gpt-5.2-codex", session: "session-1" })
    const leaving = new AbortController()
    const feed = await pollux.api(`/${provider}/resource:watch`, { signal: leaving.signal })
    const reader = feed.body?.getReader()
    const reading = (async () => {
      for (;;) {
        const chunk = await reader?.read()
        if (chunk === undefined || chunk.done) return
        witness.see(`${provider} watch`, new TextDecoder().decode(chunk.value))
      }
    })().catch(() => undefined)
    for (const verb of ["disable", "enable", "clear", "refresh"])
      await witness.post(`/${provider}/resource:${verb}`, { id: 1 })
    await Bun.sleep(50)
    leaving.abort()
    await reading
  }
  for (const by of ["model", "credential", "key", "hour"]) await witness.ask(`/usage?by=${by}`)
  for (const path of ["/metrics", "/readyz", "/healthz", "/codex/v1/models", "/codex/v1/models?client_version=9.9.9"])
    await witness.ask(path)
  const config = readFileSync(join(pollux.cwd, "config.toml"), "utf8")
  writeFileSync(join(pollux.cwd, "config.toml"), `${config}\npollux_key = ["${key}"]\nadmin_kye = "${freshKey()}"\n`)
  expect((await witness.ask("/reload", { method: "POST" })).status).toBe(422)
  await shown({ world, witness }, ["check"])
  writeFileSync(join(pollux.cwd, "config.toml"), config)
  for (const args of [
    ["status"],
    ["status", "--json"],
    ["credential", "list"],
    ["credential", "list", "--json"],
    ["explain", "gpt-5.2-codex"],
    ["usage"],
    ["usage", "--json"],
    ["key", "list"],
    ["check"],
    ["doctor"],
    ["reload"],
  ]) {
    await shown({ world, witness }, args)
  }
  witness.see("the process list", await Bun.$`ps -eo args`.text())
}

/** What a command writes is kept; its key comes from the configuration beside it. */
async function shown({ world, witness }: Run, args: readonly string[]): Promise<void> {
  const { stdout, stderr } = await cli(world.pollux, args)
  witness.see(`pollux ${args.slice(0, 2).join(" ")}`, stdout + stderr)
}

const database = (cwd: string) =>
  ["data.db", "data.db-wal"]
    .map((name) => join(cwd, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined)
    .map((path) => readFileSync(path, "latin1"))
    .join("")

test("B20: a run through everything shows no token, key, code, cookie, address or prompt to anybody", async () => {
  await using world = await startWorld({ accounts: 1 })
  const { pollux, google, openai } = world
  const run = { world, witness: new Witness(pollux) }
  await pollux.restart({
    config: `[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\nloglevel = "trace"\npollux_key = "${pollux.key}"\n${google.config()}\n${openai.config()}`,
  })
  await traffic(run)
  await wrongKeys(run)
  await faults(run)
  await logins(run)
  await seeds(run)
  await views(run)
  await pollux.restart()
  await traffic(run)
  await pollux.stop()

  expect(registerUsed(google, openai)).toBeGreaterThan(50)
  run.witness.see("the log", [...pollux.stdout, ...pollux.stderr].join("\n"))
  expect(run.witness.shown.length).toBeGreaterThan(150)
  expect(pollux.stdout.length).toBeGreaterThan(300)
  expect([...new Set(run.witness.leaks())]).toEqual([])
  // An answer may say what its client said; nothing else may.
  const others = run.witness.shown.filter(({ what }) => !what.startsWith("POST "))
  expect(others.filter(({ text }) => text.includes(PROMPT)).map(({ what }) => what)).toEqual([])

  const used = [...knownSecrets()]
  for (const name of ["data.db", "data.db.lock", "config.toml"])
    expect({ name, mode: statSync(join(pollux.cwd, name)).mode & 0o777 }).toEqual({ name, mode: 0o600 })
  const stored = database(pollux.cwd)
  // Tokens and addresses are its content; nothing else that was seen is.
  const foreign = used.filter((value) => stored.includes(value) && !isContent(value))
  expect(foreign).toEqual([])
  expect(stored).not.toContain(PROMPT)
}, 90_000)

/** What the tables are for: access, refresh and id tokens, e-mail addresses. */
const isContent = (value: string) => /^(?:ya29\.|1\/\/|rt_|eyJ)/.test(value) || value.includes("@")

test("B20: with an encryption key, no token stands in any file of the database in clear, and the key in none", async () => {
  const key = secret(Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex"))
  await using world = await startWorld({ accounts: 1, env: { POLLUX_ENCRYPTION_KEY: key } })
  const { pollux, google, openai } = world
  const run = { world, witness: new Witness(pollux) }
  await traffic(run)
  for (const account of openai.accounts) openai.expireAccess(account)
  await traffic(run)
  for (const suffix of ["", "-wal", "-shm", ".lock"]) {
    const path = join(pollux.cwd, `data.db${suffix}`)
    expect({ path: suffix, mode: statSync(path).mode & 0o777 }).toEqual({ path: suffix, mode: 0o600 })
  }
  const live = database(pollux.cwd)
  await pollux.kill()
  registerUsed(google, openai)
  const tokens = [...knownSecrets()].filter((value) => !value.includes("@"))
  for (const stored of [live, database(pollux.cwd)])
    expect(tokens.filter((value) => stored.includes(value))).toEqual([])
  run.witness.see("the log", [...pollux.stdout, ...pollux.stderr].join("\n"))
  expect(run.witness.leaks()).toEqual([])
})

test("B20: the search finds what it is meant to find", () => {
  const value = freshKey()
  expect(findLeaks(`a line with ${value} in it`, knownSecrets())).toHaveLength(1)
})
