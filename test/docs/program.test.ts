/** What README.md says of endpoints, snippets and examples, tried on the executable. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { README_SERVER } from "../../scripts/lib/docs/parts.ts"
import { SNIPPETS } from "../../src/cli/snippets.ts"
import { type Running, startPollux } from "../support/binary.ts"
import { ensureBuilt } from "../support/build.ts"
import { freshKey } from "../support/secrets.ts"
import { codeIn, README, rows, section } from "./readme.ts"

const client = freshKey()
const admin = freshKey()
let pollux: Running

beforeAll(async () => {
  const sha256 = new Bun.CryptoHasher("sha256").update(client).digest("hex")
  pollux = await startPollux({ config: { basic: { admin_key: admin }, keys: [{ name: "client", sha256 }] } })
})
afterAll(async () => {
  await pollux?.[Symbol.asyncDispose]()
})

interface Endpoint {
  readonly method: string
  readonly path: string
  readonly access: string
}

/** Rows of the table, with something in place of what is in braces. */
const ENDPOINTS: readonly Endpoint[] = rows(section("HTTP endpoints")).flatMap(
  ([method = "", path = "", access = ""]) => {
    const [shown = ""] = codeIn(path)
    const providers = shown.includes("{provider}") ? ["geminicli", "codex"] : [""]
    return providers.map((provider) => ({
      method,
      access,
      path: shown.replace("{provider}", provider).replace("{model}", "gemini-2.5-pro").replace("{id}", "none"),
    }))
  },
)

/** Some of these begin logins: /codex/auth listens on port 1455 or 1457 until the process ends. */
async function status(
  endpoint: Endpoint,
  key: string | null,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers: Record<string, string> = { "content-type": "application/json" }
  if (key !== null) headers.authorization = `Bearer ${key}`
  const leaving = new AbortController()
  const body = endpoint.method === "POST" ? { body: "null" } : {}
  const response = await fetch(pollux.url + endpoint.path, {
    method: endpoint.method,
    headers,
    redirect: "manual",
    signal: leaving.signal,
    ...body,
  })
  const isFeed = response.headers.get("content-type")?.startsWith("text/event-stream") === true
  const text = isFeed ? "" : await response.text()
  leaving.abort()
  return { status: response.status, text }
}

describe("the endpoints of README.md", () => {
  test("are many", () => {
    expect(ENDPOINTS.length).toBeGreaterThan(40)
  })

  for (const endpoint of ENDPOINTS) {
    test(`${endpoint.method} ${endpoint.path} is there, and opened by: ${endpoint.access}`, async () => {
      const opened = (key: string | null) => status(endpoint, key).then((answer) => ![401, 403].includes(answer.status))
      const isCallback = endpoint.path.includes("callback")
      const { status: code, text } = await status(endpoint, admin)
      expect(text).not.toContain("nothing at this path")
      expect(code).not.toBe(405)
      if (endpoint.access === "none") {
        if (!isCallback) expect(await opened(null)).toBeTrue()
        return
      }
      const who = { any: [true, true, true], operator: [false, true, true], admin: [false, false, true] }[
        endpoint.access
      ]
      expect(await opened(null)).toBeFalse()
      expect([await opened(client), await opened(pollux.key), await opened(admin)]).toEqual(who ?? [])
    })
  }
})

describe("the snippets of README.md", () => {
  for (const name of Object.keys(SNIPPETS)) {
    test(`for ${name} are what \`pollux client ${name}\` prints`, async () => {
      const binary = await ensureBuilt()
      const printed = Bun.spawnSync([binary, "client", name, "--server", README_SERVER, "--json"], {
        cwd: pollux.cwd,
        env: { PATH: process.env.PATH ?? "" },
      })
      expect(printed.exitCode).toBe(0)
      const { parts } = JSON.parse(printed.stdout.toString())
      expect(parts.length).toBeGreaterThan(1)
      for (const { kind, text } of parts) if (kind !== "key") expect(README).toContain(text)
    })
  }
})

test("the example of a configuration mistake is what the program says", async () => {
  const binary = await ensureBuilt()
  const folder = mkdtempSync(join(tmpdir(), "pollux-docs-"))
  try {
    writeFileSync(join(folder, "config.toml"), `[basic]\npollux_key = "${freshKey()}"\nlisten_prot = 1\n`, {
      mode: 0o600,
    })
    const ran = Bun.spawnSync([binary, "check"], { cwd: folder, env: { PATH: process.env.PATH ?? "" } })
    expect(ran.exitCode).toBe(78)
    expect(README).toContain(`${ran.stdout.toString()}${ran.stderr.toString()}`.trim())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
