/** The whole application in this process, in front of a fake Google. Everything is stopped after the test. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type App, startApp } from "../../../src/app.ts"
import { loadConfig } from "../../../src/config/load.ts"
import { createLog } from "../../../src/observe/log.ts"
import type { AccountOptions, FakeAccount, FakeGoogle, FakeGoogleOptions } from "../../fakes/google.ts"
import { cleanup, rig } from "./support.ts"

const KEY = "the-key-of-these-tests"

export interface Running {
  readonly google: FakeGoogle
  readonly app: App
  readonly log: readonly string[]
  /** A request with the key; an object is sent as JSON. */
  ask(path: string, body?: unknown, init?: RequestInit): Promise<Response>
  add(options?: AccountOptions, projectId?: string): Promise<FakeAccount>
  credentials(): Promise<readonly Record<string, unknown>[]>
}

export async function start(
  options: FakeGoogleOptions = {},
  config: Parameters<FakeGoogle["config"]>[0] = {},
): Promise<Running> {
  const { google } = rig(options)
  const folder = mkdtempSync(join(tmpdir(), "pollux-"))
  cleanup(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, "config.toml")
  const models = ["gemini-2.5-pro", "gemini-3-pro-preview", "odd-model"]
  const basic = `[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\npollux_key = "${KEY}"\ndatabase_url = "sqlite://${join(folder, "data.db")}"\n`
  const keys = `[[keys]]\nname = "narrow"\nsha256 = "${new Bun.CryptoHasher("sha256").update("narrow-key").digest("hex")}"\nmodels = ["odd-model"]\n`
  writeFileSync(
    path,
    `${basic}${google.config({ model_list: models, max_wait: 0, oauth_tps: 1000, ...config })}\n${keys}`,
  )
  const reload = () => loadConfig({ explicitPath: path, env: {}, cwd: folder })
  const loaded = reload()
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"))
  const log: string[] = []
  const rootLog = createLog({ level: "debug", format: "json", write: (line) => void log.push(line) })
  const app = await startApp({
    config: { ...loaded.config, basic: { ...loaded.config.basic, drainTimeoutMs: 0 } },
    log: rootLog,
    version: "0.0.0",
    reload,
  })
  cleanup(() => app.stop("test over"))
  const ask: Running["ask"] = (route, body, init = {}) =>
    fetch(`${app.url.replace(/\/$/, "")}${route}`, {
      ...(body === undefined ? {} : { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...init,
      headers: {
        "x-goog-api-key": KEY,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...init.headers,
      },
    })
  return {
    google,
    app,
    log,
    ask,
    async add(account = {}, projectId) {
      const added = google.addAccount(account)
      const seed = { refresh_token: added.refreshToken, ...(projectId === undefined ? {} : { project_id: projectId }) }
      const response = await ask("/geminicli/resource:add?wait=true", [seed], {
        headers: { accept: "application/json" },
      })
      const told = await response.json()
      if (typeof told?.seeds?.[0]?.credential !== "number") throw new Error(`no credential: ${JSON.stringify(told)}`)
      return added
    },
    async credentials() {
      const told = await (await ask("/geminicli/resource:list")).json()
      return told.credentials ?? told.resources ?? told
    },
  }
}
