/** What an operator's programs meet: health, usage, feed, reload, keys, request ids (DESIGN 5 and 6), on the compiled executable. */
import { expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Running, startPollux } from "../support/binary.ts"
import { freshKey, secret } from "../support/secrets.ts"
import { until, within } from "../support/wait.ts"
import { startWorld } from "../support/world.ts"

const GEMINI = "/geminicli/v1beta/models/gemini-2.5-pro:generateContent"
const json = { "content-type": "application/json" }
const prompt = (text: string) => JSON.stringify({ contents: [{ role: "user", parts: [{ text }] }] })
const sha256 = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex")

const ask = (pollux: Running, headers: Record<string, string> = {}) =>
  pollux.api(GEMINI, { method: "POST", headers: { ...json, ...headers }, body: prompt("hi") })
const askCodex = (pollux: Running, headers: Record<string, string> = {}) =>
  pollux.api("/codex/v1/responses", {
    method: "POST",
    headers: { ...json, ...headers },
    body: JSON.stringify({ model: "gpt-5.2-codex", input: "hi" }),
  })

test("usage is counted per provider, model, credential, key and hour, and survives a restart", async () => {
  await using world = await startWorld()
  const { pollux } = world
  for (let i = 0; i < 3; i++) expect((await ask(pollux)).status).toBe(200)
  expect((await askCodex(pollux)).status).toBe(200)
  const usage = async (by: string) => Object(await (await pollux.api(`/usage?by=${by}`)).json())
  const before = JSON.stringify((await usage("model")).rows ?? (await usage("model")))
  expect(before).toContain("gemini-2.5-pro")
  expect(before).toContain("gpt-5.2-codex")
  for (const by of ["credential", "day", "hour", "provider", "key"]) {
    expect((await pollux.api(`/usage?by=${by}`)).status).toBe(200)
  }
  expect((await pollux.api("/usage?by=nonsense")).status).toBe(400)
  expect((await pollux.api("/usage?since=nonsense")).status).toBe(400)
  await pollux.restart()
  expect(JSON.stringify((await usage("model")).rows ?? (await usage("model")))).toBe(before)
})

test("the feed begins with the pool as it is and tells each change, masked", async () => {
  await using world = await startWorld()
  const { pollux, google } = world
  const response = await pollux.api("/geminicli/resource:watch")
  expect(response.headers.get("content-type")).toStartWith("text/event-stream")
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let seen = ""
  const reading = (async () => {
    while (reader !== undefined && !seen.includes('"disabled"')) {
      const { value, done } = await reader.read()
      if (done) break
      seen += decoder.decode(value, { stream: true })
    }
  })()
  await until("the snapshot", () => seen.includes('"ready"'))
  await pollux.api("/geminicli/resource:disable", { method: "POST", headers: json, body: '{"id":1}' })
  await within("the change is told", reading)
  expect(seen).not.toContain(google.accounts[0]?.email ?? "?")
  await reader?.cancel()
  expect((await pollux.api("/healthz")).status).toBe(200)
})

test("a reload swaps models and keys while requests run, and a broken file changes nothing and says where", async () => {
  await using world = await startWorld()
  const { pollux, google, openai } = world
  const write = (key: string, models: string, extra = "") => {
    const basic = `[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\nloglevel = "debug"\npollux_key = "${key}"\n${extra}`
    writeFileSync(
      join(pollux.cwd, "config.toml"),
      `${basic}\n${google.config()}model_list = ${models}\n\n${openai.config()}`,
    )
  }
  let failed = 0
  let running = true
  const traffic = (async () => {
    while (running) if ((await askCodex(pollux)).status !== 200) failed += 1
  })()
  write(pollux.key, '["gemini-2.5-flash"]')
  const reload = () => pollux.api("/reload", { method: "POST" })
  const first = await reload()
  expect(first.status).toBe(200)
  expect(JSON.stringify(await first.json())).toContain("model_list")
  expect((await ask(pollux)).status).toBe(400)

  write(pollux.key, '["gemini-2.5-flash"]', "drain_timout = 3\n")
  const broken = await reload()
  expect(broken.status).toBe(422)
  expect(await broken.text()).toMatch(/config\.toml:\d+:1 .*drain_timout.*drain_timeout/)
  expect((await pollux.api("/geminicli/v1beta/models/gemini-2.5-flash")).status).toBe(200)

  write(pollux.key, '["gemini-2.5-pro"]')
  pollux.signal("SIGHUP")
  await until("the signal reloads too", async () => (await ask(pollux)).status === 200)
  running = false
  await traffic
  expect(failed).toBe(0)
})

test("further keys serve API calls within their models and limits, and open nothing else", async () => {
  await using world = await startWorld()
  const { pollux, google, openai } = world
  const [limited, expired, admin] = [freshKey(), freshKey(), freshKey()]
  const basic = `[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\npollux_key = "${pollux.key}"\nadmin_key = "${admin}"\n`
  const keys = [
    `[[keys]]\nname = "laptop"\nsha256 = "${sha256(limited)}"\nmodels = ["gemini-2.5-pro"]\nrequests_per_minute = 4\n`,
    `[[keys]]\nname = "old"\nsha256 = "${sha256(expired)}"\nexpires = "2020-01-01T00:00:00Z"\n`,
  ]
  await pollux.restart({ config: [basic, google.config(), openai.config(), ...keys].join("\n") })
  const as = (key: string) => ({ authorization: `Bearer ${key}` })
  const status = async (path: string, key: string) => (await pollux.api(path, { headers: as(key) })).status
  expect((await ask(pollux, as(expired))).status).toBe(401)
  expect((await ask(pollux, as(limited))).status).toBe(200)
  expect((await askCodex(pollux, as(limited))).status).toBe(400)
  expect(await status("/geminicli/resource:list", limited)).toBe(403)
  expect(await status("/geminicli/resource:list", pollux.key)).toBe(403)
  expect(await status("/geminicli/resource:list", admin)).toBe(200)
  expect(await status("/metrics", limited)).toBe(403)
  const spent = await until("the minute's requests are spent", async () => {
    const response = await ask(pollux, as(limited))
    return response.status === 429 && response
  })
  expect(Number(spent.headers.get("retry-after"))).toBeGreaterThan(0)
  expect((await ask(pollux)).status).toBe(200)
  expect(pollux.leaks()).toEqual([])
})

test("wrong keys are limited per address, and a right key is served all the while", async () => {
  await using pollux = await startPollux()
  const codes = await Promise.all(
    Array.from(
      { length: 90 },
      async () => (await pollux.api("/codex/v1/models", { headers: { authorization: "Bearer wrong" } })).status,
    ),
  )
  expect(codes.filter((code) => code === 401)).toHaveLength(60)
  expect(codes.filter((code) => code === 429)).toHaveLength(30)
  expect((await pollux.api("/codex/v1/models")).status).toBe(200)
})

test("with open_login off the OAuth entry asks for the key", async () => {
  await using pollux = await startPollux({ config: { basic: { open_login: false } } })
  const enter = (query = "") => fetch(`${pollux.url}/geminicli/auth${query}`, { redirect: "manual" })
  expect((await enter()).status).toBe(401)
  const entered = await fetch(`${pollux.url}/geminicli/auth`, {
    redirect: "manual",
    headers: { "x-goog-api-key": pollux.key },
  })
  expect(entered.status).toBe(307)
})

test("each answer has a request id, the caller's own where it may stand, and tells its attempts and credential unless told not to", async () => {
  await using world = await startWorld()
  const { pollux, google, openai } = world
  const own = await ask(pollux, { "x-request-id": "my-request-1" })
  expect(own.headers.get("x-request-id")).toBe("my-request-1")
  const made = await ask(pollux, { "x-request-id": "x".repeat(129) })
  expect(made.headers.get("x-request-id")).toMatch(/^[\w-]{16}$/)
  expect(own.headers.get("x-pollux-credential")).not.toBeNull()
  await until("its id is in the log", () => pollux.log().some((line) => line.request_id === "my-request-1"))
  await pollux.restart({
    config: `[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\npollux_key = "${secret(pollux.key)}"\nanswer_headers = false\n\n${google.config()}\n${openai.config()}`,
  })
  const silent = await ask(pollux)
  expect(silent.status).toBe(200)
  for (const name of ["x-pollux-credential", "x-pollux-attempts"]) expect(silent.headers.has(name)).toBeFalse()
})

test("paths outside the API are 404 in the neutral shape, and liveness needs no key", async () => {
  await using pollux = await startPollux()
  const unknown = await fetch(`${pollux.url}/v1/chat/completions`)
  expect(unknown.status).toBe(404)
  expect(await unknown.json()).toMatchObject({ error: { code: "NOT_FOUND" } })
  expect(await (await fetch(`${pollux.url}/healthz`)).text()).toBe("ok\n")
  for (const path of ["/readyz", "/metrics", "/usage"]) expect((await fetch(`${pollux.url}${path}`)).status).toBe(401)
  expect((await fetch(`${pollux.url}/reload`, { method: "POST" })).status).toBe(401)
})
