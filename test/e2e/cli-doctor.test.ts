/** `pollux doctor` on installations with one thing wrong each. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { ensureBuilt } from "../support/build.ts"
import { cli } from "../support/cli.ts"
import { freePort } from "../support/ports.ts"
import { secret } from "../support/secrets.ts"
import { startWorld, type World } from "../support/world.ts"

interface Finding {
  readonly check: string
  readonly state: "ok" | "warn" | "fail"
  readonly says: string
  readonly cure: string | null
}

let world: World

beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

/** Beside the running server. */
async function examine(env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr, leaks } = await cli(world.pollux, ["doctor", "--json"], { env })
  expect({ stderr, leaks }).toEqual({ stderr: "", leaks: [] })
  return { code, ...report(stdout) }
}

function report(stdout: string): { readonly ok: boolean; readonly findings: readonly Finding[] } {
  return JSON.parse(stdout)
}

/** A folder with this configuration, and what the doctor says there; upstreams are the fakes. */
async function installation(basic: string, more = "", env: Readonly<Record<string, string>> = {}) {
  const cwd = mkdtempSync(join(world.pollux.cwd, "doctor-"))
  const providers = `${world.google.config()}\n${world.openai.config()}`
  writeFileSync(
    join(cwd, "config.toml"),
    `[basic]\nlisten_addr = "127.0.0.1"\npollux_key = "0123456789abcdef"\n${basic}\n${more}\n${providers}`,
    { mode: 0o600 },
  )
  const { code, stdout } = await capture([await ensureBuilt(), "doctor", "--json"], { cwd, env })
  return { cwd, code, ...report(stdout) }
}

const about = (findings: readonly Finding[], check: string) => findings.filter((finding) => finding.check === check)

test("all is well with a running server that has credentials", async () => {
  const { code, ok, findings } = await examine()
  expect(findings.filter(({ state }) => state !== "ok")).toEqual([])
  expect({ code, ok }).toEqual({ code: 0, ok: true })
  const checks = new Set(findings.map(({ check }) => check))
  expect([...checks].sort()).toEqual([
    "clock",
    "configuration",
    "credentials of codex",
    "credentials of geminicli",
    "database",
    "disk",
    "key",
    "ready",
    "server",
    "upstream of codex",
    "upstream of geminicli",
  ])
})

test("a running server's database that is elsewhere is not said to be missing", async () => {
  const cwd = mkdtempSync(join(world.pollux.cwd, "elsewhere-"))
  const args = ["doctor", "--json", "--config", join(world.pollux.cwd, "config.toml")]
  const { findings } = report((await cli(world.pollux, args, { cwd })).stdout)
  expect(about(findings, "database")).toMatchObject([
    {
      state: "warn",
      says: expect.stringContaining("are not looked at"),
      cure: expect.stringContaining("/var/lib/pollux"),
    },
  ])
  expect(about(findings, "disk")).toEqual([])
})

test("the upstreams are asked for nothing but their head, without a token", async () => {
  const [before, beforeToo] = [world.google.requests.length, world.openai.requests.length]
  await examine()
  const seen = [...world.google.requests.slice(before), ...world.openai.requests.slice(beforeToo)]
  expect(seen.length).toBeGreaterThan(0)
  for (const { method, path, headers, body } of seen) {
    expect({ method, path, body }).toEqual({ method: "HEAD", path: "/", body: "" })
    expect(Object.keys(headers)).not.toContain("authorization")
  }
})

test("for people it is one line each, with what to do, and without colour where NO_COLOR asks for it", async () => {
  const { stdout } = await cli(world.pollux, ["doctor"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })
  expect(stdout).toMatch(/^ok {4}configuration {2,}\S/)
  expect(stdout).toMatch(/\n\n\d+ ok, 0 to look at, 0 failed\n$/)
  expect(stdout).not.toContain("\x1b[")
  expect((await cli(world.pollux, ["doctor"], { env: { FORCE_COLOR: "1" } })).stdout).toContain("\x1b[32m")
})

test("a parked credential is named with its reason", async () => {
  const [account] = world.openai.accounts
  if (account === undefined) throw new Error("the fake has no account")
  world.openai.revoke(account)
  world.openai.expireAccess(account)
  const refresh = { method: "POST", headers: { "content-type": "application/json" }, body: '{"id":1}' }
  await world.pollux.api("/codex/resource:refresh", refresh)
  const body = JSON.stringify({ model: "gpt-5.2-codex", input: "x" })
  await world.pollux.api("/codex/v1/responses", { ...refresh, body })
  const { code, findings } = await examine()
  expect(code).toBe(1)
  const [found] = about(findings, "credentials of codex")
  expect(found).toMatchObject({ state: "fail", says: "none can serve: 1 parked" })
  expect(found?.cure).toContain("codex:1 (needs_login)")
})

test("a wrong key is told apart from a server that is not there", async () => {
  const path = join(world.pollux.cwd, "wrong.toml")
  writeFileSync(path, '[basic]\nlisten_addr = "127.0.0.1"\npollux_key = "the-key-of-somebody-else"\n', { mode: 0o600 })
  const { code, stdout } = await cli(world.pollux, ["doctor", "--json", "--config", path])
  const [found] = about(report(stdout).findings, "key")
  expect({ code, state: found?.state }).toEqual({ code: 1, state: "fail" })
  expect(found?.says).toContain("refused the key")
})

test("a server elsewhere needs no configuration here", async () => {
  const cwd = join(world.pollux.cwd, "home")
  const { stdout } = await cli(world.pollux, ["doctor", "--json"], { cwd, env: { POLLUX_KEY: world.pollux.key } })
  const checks = report(stdout).findings.map(({ check }) => check)
  expect(checks).toContain("key")
  expect(checks).not.toContain("configuration")
  expect(checks).not.toContain("database")
})

test("without a server the port is tried, and let go again", async () => {
  const port = await freePort()
  const { code, findings } = await installation(`listen_port = ${port}`)
  expect(about(findings, "server")).toMatchObject([
    { state: "warn", says: `does not run; port ${port} is free for it` },
  ])
  expect(about(findings, "database")[0]?.says).toContain("the first start makes it")
  expect(code).toBe(0)
  using other = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("hello") })
  expect(other.port).toBe(port)
})

test("a port that another program has is a failure, whether that speaks HTTP or not", async () => {
  using web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") })
  const first = await installation(`listen_port = ${web.port}`)
  expect(first.code).toBe(1)
  expect(about(first.findings, "server")[0]?.says).toContain("something else answers")

  using raw = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { open: (socket) => void socket.end(), data() {} } })
  const second = await installation(`listen_port = ${raw.port}`)
  expect(second.code).toBe(1)
  expect(about(second.findings, "server")[0]?.says).toContain("EADDRINUSE")
})

test("files that others may read are named with the remedy", async () => {
  const port = await freePort()
  const { cwd } = await installation(`listen_port = ${port}`)
  writeFileSync(join(cwd, "data.db"), "")
  chmodSync(join(cwd, "data.db"), 0o644)
  chmodSync(join(cwd, "config.toml"), 0o644)
  const { code, stdout } = await capture([await ensureBuilt(), "doctor"], { cwd, env: {} })
  expect(code).toBe(0)
  expect(stdout).toContain(`-> chmod 600 ${join(cwd, "data.db")}`)
  expect(stdout).toContain("lets other users in; run: chmod 600")
})

test("a database folder that is not there is a failure", async () => {
  const { code, findings } = await installation('listen_port = 0\ndatabase_url = "sqlite://nowhere/data.db"')
  expect(code).toBe(1)
  expect(about(findings, "database")).toMatchObject([
    { state: "fail", says: expect.stringContaining("nowhere does not exist") },
  ])
  expect(about(findings, "server")).toMatchObject([{ state: "warn", says: expect.stringContaining("--server URL") }])
})

test("every problem of a broken configuration is a failure of its own", async () => {
  const { code, findings } = await installation('listen_port = "x"\nloglevel = "loud"')
  expect(code).toBe(1)
  expect(about(findings, "configuration").map(({ state }) => state)).toEqual(["fail", "fail"])
  expect(about(findings, "server")).toMatchObject([
    { state: "warn", says: "not looked at: the configuration is wrong" },
  ])
})

test("what has outlived its use in the file is pointed out", async () => {
  const key = (name: string, expires: string) =>
    `[[keys]]\nname = "${name}"\nsha256 = "${new Bun.CryptoHasher("sha256").update(name).digest("hex")}"\nexpires = ${expires}\n`
  const keys = key("past", "2020-01-01T00:00:00Z") + key("future", "2099-01-01T00:00:00Z")
  const { code, findings } = await installation(
    `listen_port = 0\nprevious_encryption_keys = ["${"2e".repeat(32)}"]`,
    keys,
  )
  expect(about(findings, "encryption")).toMatchObject([{ state: "warn", cure: expect.stringContaining("--finish") }])
  expect(about(findings, "client keys")).toMatchObject([
    { state: "warn", says: "expired: past", cure: "pollux key revoke past" },
  ])
  expect(code).toBe(0)
})

test("an upstream out of reach is a warning, and a proxy is named without its password", async () => {
  const port = await freePort()
  const password = secret("proxy-password-1")
  const proxy = `[providers.defaults]\nproxy = "http://user:${password}@127.0.0.1:${port}"`
  const { code, findings } = await installation("listen_port = 0", proxy)
  const found = about(findings, "upstream of codex")
  expect(found).toMatchObject([{ state: "warn" }])
  expect(found[0]?.says).toContain(`through the proxy http://***@127.0.0.1:${port}: the connection is refused`)
  expect(JSON.stringify(findings)).not.toContain(password)
  expect(code).toBe(0)
})

test("a proxy of the environment is pointed out, since it does not count", async () => {
  const { findings } = await installation("listen_port = 0", "", { HTTPS_PROXY: "http://127.0.0.1:1" })
  expect(about(findings, "proxy")).toMatchObject([
    { state: "warn", says: expect.stringContaining("HTTPS_PROXY is set") },
  ])
  expect(about(findings, "upstream of codex")[0]?.state).toBe("ok")
})

test("a clock that is off is a failure", async () => {
  const date = new Date(Date.now() - 3_600_000).toUTCString()
  using late = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("", { headers: { date } }) })
  const cwd = mkdtempSync(join(world.pollux.cwd, "clock-"))
  mkdirSync(join(cwd, "empty"))
  const url = `http://127.0.0.1:${late.port}`
  const provider = (name: string) => `[providers.${name}]\napi_url = "${url}"\ntoken_url = "${url}/token"\n`
  const text = `[basic]\npollux_key = "0123456789abcdef"\nlisten_port = 0\n${provider("codex")}${provider("geminicli")}`
  writeFileSync(join(cwd, "config.toml"), text, { mode: 0o600 })
  const { code, stdout } = await capture([await ensureBuilt(), "doctor", "--json"], { cwd, env: {} })
  expect(code).toBe(1)
  expect(about(report(stdout).findings, "clock")).toMatchObject([
    { state: "fail", says: expect.stringMatching(/^is (1 h|59 min \d+ s|1 h .*) ahead of http:/) },
  ])
  rmSync(cwd, { recursive: true })
})
