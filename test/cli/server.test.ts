import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Type } from "@sinclair/typebox"
import type { Input } from "../../src/cli/command.ts"
import { connect, findTarget, refused, ServerError } from "../../src/cli/server.ts"
import { freePort } from "../support/ports.ts"
import { secret } from "../support/secrets.ts"

const KEY = secret("key-of-the-server-under-test")
const Shape = Type.Object({ ok: Type.Boolean() })
const target = (url: string) => ({ url, key: KEY, keyFrom: "POLLUX_KEY", config: null })

/** What a server error says and ends with, or null when there was none. */
async function failure(work: Promise<unknown>): Promise<{ message: string; exitCode: number } | null> {
  try {
    await work
    return null
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    return { message: error.message, exitCode: error.exitCode }
  }
}

describe("a server that answers", () => {
  const seen: { readonly authorization: string | null; readonly body: string }[] = []
  let server: Bun.Server<undefined>
  let url = ""
  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      async fetch(request) {
        seen.push({ authorization: request.headers.get("authorization"), body: await request.text() })
        switch (new URL(request.url).pathname) {
          case "/good":
            return Response.json({ ok: true, more: 1 })
          case "/other":
            return Response.json({ hello: "world" })
          case "/page":
            return new Response("<html>", { headers: { "content-type": "text/html" } })
          case "/away":
            return new Response(null, { status: 302, headers: { location: `${url}/good` } })
          case "/slow":
            return new Promise<Response>(() => undefined)
          default:
            return Response.json({ error: { code: "NOT_FOUND", message: "no \x1b[31msuch" } }, { status: 404 })
        }
      },
    })
    url = `http://127.0.0.1:${server.port}`
  })
  afterAll(() => server.stop(true))

  test("is sent the key, and is believed when its answer has the right shape", async () => {
    expect(await connect(target(url)).get("/good", Shape)).toMatchObject({ ok: true })
    expect(seen.at(-1)?.authorization).toBe(`Bearer ${KEY}`)
    expect(await connect(target(url)).post("/good", { a: 1 }, Shape)).toMatchObject({ ok: true })
    expect(seen.at(-1)?.body).toBe('{"a":1}')
  })
  test("is not believed when it answers something else", async () => {
    for (const path of ["/other", "/page"]) {
      const failed = await failure(connect(target(url)).get(path, Shape))
      expect(failed).toMatchObject({ exitCode: 69 })
      expect(failed?.message).toContain("is not Pollux")
    }
  })
  test("sends the key nowhere else", async () => {
    const before = seen.length
    expect(await failure(connect(target(url)).get("/away", Shape))).toMatchObject({ exitCode: 69 })
    expect(seen).toHaveLength(before + 1)
  })
  test("is given up on after a while", async () => {
    const failed = await failure(connect(target(url)).get("/slow", Shape, { timeoutMs: 100 }))
    expect(failed).toMatchObject({ exitCode: 69 })
    expect(failed?.message).toContain("did not answer within")
  })
  test("is left when the command is", async () => {
    const stop = new AbortController()
    const asked = connect(target(url)).get("/slow", Shape, { signal: stop.signal })
    stop.abort(new Error("enough"))
    await expect(asked).rejects.toThrow("enough")
  })
  test("says why not, without power over the terminal", async () => {
    const failed = await failure(connect(target(url)).get("/none", Shape))
    expect(failed).toEqual({ message: "pollux: no \\x1b[31msuch", exitCode: 1 })
  })
})

test("where nobody listens, the person is told how to start one", async () => {
  const url = `http://127.0.0.1:${await freePort()}`
  expect(await failure(connect(target(url)).get("/good", Shape))).toEqual({
    message: `pollux: no server answers at ${url}: start it with \`pollux\`, or name another with --server`,
    exitCode: 69,
  })
})

describe("a refusal ends with the code of its kind:", () => {
  const body = (error: unknown) => JSON.stringify({ error })
  const cases: readonly (readonly [string, number, string, number, string])[] = [
    ["a wrong key", 401, body({ code: "UNAUTHORIZED", message: "x" }), 77, "refused the key (POLLUX_KEY)"],
    ["a wrong key at a stranger's", 401, "no", 77, "refused the key"],
    ["a key without the right", 403, body({ message: "admin only", type: "x", code: null }), 77, "admin only"],
    [
      "a bad request",
      400,
      body({ code: 400, message: "id: expected", status: "INVALID_ARGUMENT" }),
      65,
      "id: expected",
    ],
    ["too many", 429, body({ code: "RATE_LIMITED", message: "too many logins" }), 69, "too many logins"],
    ["draining", 503, body({ code: "DRAINING", message: "shutting down" }), 69, "shutting down"],
    ["a conflict", 409, body({ code: "FAILED", message: "it is dead" }), 1, "it is dead"],
    ["a stranger", 404, "<html>", 69, "is not Pollux"],
  ]
  for (const [what, status, text, exitCode, message] of cases) {
    test(what, () => {
      const error = refused(status, text, { url: "http://127.0.0.1:8188", keyFrom: "POLLUX_KEY" })
      expect(error.exitCode).toBe(exitCode)
      expect(error.message).toContain(message)
      expect(error.status).toBe(status)
    })
  }
})

describe("the server is found", () => {
  const cwd = mkdtempSync(join(tmpdir(), "pollux-server-"))
  afterAll(() => rmSync(cwd, { recursive: true, force: true }))
  const input = (options: Readonly<Record<string, string>> = {}): Input => ({
    args: [],
    option: (name) => options[name] ?? null,
    has: () => false,
  })
  const configure = (lines: string) =>
    writeFileSync(join(cwd, "config.toml"), `[basic]\npollux_key = "${KEY}"\n${lines}\n`, { mode: 0o600 })
  const problem = (options: Readonly<Record<string, string>>, env: Record<string, string> = {}) => {
    try {
      return { found: findTarget(input(options), { env, cwd }) }
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      return { message: error.message, exitCode: error.exitCode }
    }
  }

  test("by the configuration", () => {
    configure(`listen_addr = "0.0.0.0"\nlisten_port = 9000`)
    const found = findTarget(input(), { env: {}, cwd })
    expect(found).toMatchObject({ url: "http://127.0.0.1:9000", key: KEY })
    expect(found.config?.basic.listenPort).toBe(9000)
  })
  test("with the admin key, where there is one", () => {
    configure(`admin_key = "${secret("admin-key-of-the-server")}"`)
    expect(findTarget(input(), { env: {}, cwd })).toMatchObject({ key: "admin-key-of-the-server" })
  })
  test("by --server, with the configuration's key", () => {
    configure("")
    expect(findTarget(input({ server: "localhost:9001" }), { env: {}, cwd })).toMatchObject({
      url: "http://localhost:9001",
      key: KEY,
    })
  })
  test("by --server and the environment alone", () => {
    const options = { server: "https://pollux.example.com", config: join(cwd, "none.toml") }
    expect(problem(options, { POLLUX_KEY: KEY })).toMatchObject({
      found: { url: "https://pollux.example.com", key: KEY, keyFrom: "POLLUX_KEY", config: null },
    })
    expect(problem(options)).toMatchObject({ exitCode: 78, message: expect.stringContaining("set POLLUX_KEY") })
  })
  test("not without a configuration, not by a broken one, not on a port that only the system knows", () => {
    expect(problem({ config: join(cwd, "none.toml") })).toMatchObject({ exitCode: 78 })
    configure("listen_port = true")
    expect(problem({})).toMatchObject({ exitCode: 78, message: expect.stringContaining("listen_port") })
    configure("listen_port = 0")
    expect(problem({})).toMatchObject({ exitCode: 78, message: expect.stringContaining("--server URL") })
    expect(problem({ server: "ftp://x" })).toMatchObject({ exitCode: 64 })
  })
})
