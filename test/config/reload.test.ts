import { describe, expect, test } from "bun:test"
import { parseConfig } from "../../src/config/parse.ts"
import { applyReload, diffReload } from "../../src/config/reload.ts"
import { SECTIONS } from "../../src/config/sections.ts"
import type { Config } from "../../src/config/types.ts"

const NOTHING = { polluxKey: null, adminKey: null, encryptionKey: null }

function config(basic: string, rest = ""): Config {
  const parsed = parseConfig(`[basic]\npollux_key = "k"\n${basic}\n${rest}`, "config.toml", NOTHING)
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"))
  return parsed.config
}

describe("a reload", () => {
  test("that changes nothing says so", () => {
    expect(diffReload(config(""), config(""))).toEqual({ live: [], restart: [] })
  })

  test("tells what it applies from what needs a restart", () => {
    const before = config("")
    const after = config(
      'listen_port = 1\nlisten_addr = "::1"\ndatabase_url = "sqlite://x"\nloglevel = "debug"\nadmin_key = "hunter2"',
      '[providers.defaults]\nproxy = "http://u:hunter2@h:1"\n[providers.geminicli]\nclient_version = "1.2.3"\n[providers.codex]\nmodel_list = ["m"]',
    )
    const diff = diffReload(before, after)
    expect(diff).toEqual({
      live: [
        "basic.loglevel",
        "basic.admin_key",
        "providers.geminicli.proxy",
        "providers.geminicli.client_version",
        "providers.codex.proxy",
        "providers.codex.model_list",
      ],
      restart: ["basic.listen_addr", "basic.listen_port", "basic.database_url"],
    })
    expect(JSON.stringify(diff)).not.toContain("hunter2")
  })

  test("names the client keys as one", () => {
    const key = `[[keys]]\nname = "a"\nsha256 = "${"0".repeat(64)}"`
    expect(diffReload(config(""), config("", key)).live).toEqual(["keys"])
  })

  test("leaves in use what needs a restart, so that it is named until there was one, or the file is as before", () => {
    const running = config("")
    const next = config(
      'listen_port = 1\nlisten_addr = "::1"\ndatabase_url = "sqlite://x"\nlog_format = "text"\ndrain_timeout = 7',
    )
    const { restart } = diffReload(running, next)
    const fields = SECTIONS.flatMap(({ name, fields }) => Object.values(fields).map((field) => ({ name, ...field })))
    const notLive = fields.filter(({ live }) => !live).map(({ name, key }) => `${name}.${key}`)
    expect(restart.toSorted()).toEqual(notLive.toSorted())
    const used = applyReload(running, next)
    expect(diffReload(running, used)).toEqual({ live: ["basic.drain_timeout"], restart: [] })
    expect(diffReload(used, next)).toEqual({ live: [], restart })
  })
})
