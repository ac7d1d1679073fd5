import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parseConfig } from "../../src/config/parse.ts"
import { renderExample, renderInit, renderReference } from "../../src/config/render.ts"
import { PLACEHOLDER_HEX, shared } from "../../src/config/schema.ts"
import { SECTIONS } from "../../src/config/sections.ts"

const NOTHING = { polluxKey: null, adminKey: null, encryptionKey: null }

function load(text: string) {
  const parsed = parseConfig(text, "config.toml", NOTHING)
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"))
  return parsed
}

/** The text with every commented assignment and header made real. */
function uncommented(text: string): string {
  return text.replaceAll(/^# (?=\w+ = |\[\[)/gm, "")
}

const allKeys = SECTIONS.flatMap((section) => Object.values(section.fields).map((field) => [section, field] as const))

describe("config.toml.example", () => {
  test("is what the schema renders", () => {
    const file = readFileSync(join(import.meta.dir, "../../config.toml.example"), "utf8")
    expect(file).toBe(renderExample())
  })

  test("loads, with HTTP/1.1, and warns about the key that everyone knows", () => {
    const { config, warnings } = load(renderExample())
    expect(config.providers.codex.enableMultiplexing).toBe(false)
    expect(config.providers.geminicli.enableMultiplexing).toBe(false)
    expect(warnings.some((warning) => warning.includes("basic.pollux_key: is the key of the example file"))).toBe(true)
  })

  test("shows every key, each with its meaning and default", () => {
    const text = renderExample()
    const prose = text.replaceAll(/\n# /g, " ")
    for (const [section, field] of allKeys) {
      expect(text).toMatch(new RegExp(`^(?:# )?${field.key} = `, "m"))
      expect(prose).toContain(field.means)
      expect(prose).toContain(field.why)
      expect(text).toContain(section.many ? `[[${section.name}]]` : `[${section.name}]`)
    }
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(100)
  })

  test("loads too when every comment is made real, but for the secrets one has to make oneself", () => {
    const text = uncommented(renderExample())
    expect(text).toContain("\n[[keys]]\nname")
    const parsed = parseConfig(text, "config.toml", NOTHING)
    const keys = parsed.ok ? [] : parsed.problems.map((problem) => problem.split(" ")[1])
    expect(keys).toEqual(["basic.encryption_key:", "basic.previous_encryption_keys[0]:", "keys[0].sha256:"])
    const real = text.replaceAll(`"${PLACEHOLDER_HEX}"`, `"${"1f".repeat(32)}"`)
    const { config } = load(real)
    expect(config.keys[0]?.requestsPerMinute).toBe(60)
    expect(config.basic.trustedProxies).toEqual(["127.0.0.1", "10.0.0.0/8"])
  })
})

describe("the first configuration", () => {
  test("listens on this machine only, asks for the key at login, and gives no warning", () => {
    const key = 'k"\\\n'.replace("\n", "") + "x".repeat(30)
    const { config, warnings } = load(renderInit({ key }))
    expect(config.basic.listenAddr).toBe("127.0.0.1")
    expect(config.basic.openLogin).toBe(false)
    expect(config.basic.polluxKey).toBe(key)
    expect(config.providers.codex.enableMultiplexing).toBe(false)
    expect(warnings).toEqual([])
  })
})

describe("the reference", () => {
  test("has a row for every key, with its type, default and what a change takes", () => {
    const rows = renderReference().split("\n")
    for (const [, field] of allKeys) {
      const row = rows.find((line) => line.startsWith(`| \`${field.key}\` |`) && line.includes(field.means))
      expect(row).toContain(field.kind.type)
      expect(row).toContain(`| ${field.live ? "reload" : "restart"} |`)
    }
    expect(rows.filter((row) => row.startsWith("| `"))).toHaveLength(allKeys.length)
  })

  test("is made of tables with as many cells in each row", () => {
    for (const row of renderReference()
      .split("\n")
      .filter((line) => line.startsWith("|"))) {
      expect(row.replaceAll("\\|", "").split("|")).toHaveLength(7)
    }
  })

  test("shows no key in the wrong table: shared keys are listed once", () => {
    for (const field of Object.values(shared)) {
      const rows = renderReference()
        .split("\n")
        .filter((line) => line.startsWith(`| \`${field.key}\` |`))
      expect(rows).toHaveLength(1)
    }
  })
})
