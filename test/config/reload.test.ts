import { describe, expect, test } from "bun:test"
import { parseConfig } from "../../src/config/parse.ts"
import { diffReload } from "../../src/config/reload.ts"
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
})
