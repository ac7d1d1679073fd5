import { describe, expect, test } from "bun:test"
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import {
  argument,
  fitsProgram,
  fitsUnit,
  isHidden,
  isUserName,
  renderUnit,
  type UnitOptions,
  word,
} from "../../src/cli/service-unit.ts"
import { analyze, valuesOf } from "../support/systemd.ts"

const plain: UnitOptions = {
  program: "/bin/true",
  config: "/etc/pollux/config.toml",
  configFolder: "/etc/pollux",
  user: "pollux",
  drainTimeoutMs: 300_000,
  port: 8188,
  databaseFolder: null,
}
const forms: Readonly<Record<string, UnitOptions>> = {
  "with a user of its own": plain,
  "with a dynamic user": { ...plain, user: null },
  "on port 443": { ...plain, port: 443 },
  "with a database elsewhere": { ...plain, databaseFolder: "/srv/pollux data" },
}

describe("the unit", () => {
  for (const [form, options] of Object.entries(forms)) {
    test(`${form} is what systemd verifies without a word`, async () => {
      const { code, output } = await analyze(["verify"], renderUnit(options))
      expect(output).toBe("")
      expect(code).toBe(0)
    })

    test(`${form} is rated 2.0 or better by systemd`, async () => {
      const { code, stdout } = await analyze(
        ["security", "--offline=yes", "--threshold=20", "--no-pager"],
        renderUnit(options),
      )
      const rating = /exposure level for pollux\.service: ([\d.]+)/.exec(stdout)?.[1]
      expect(Number(rating)).toBeLessThanOrEqual(2)
      expect(code).toBe(0)
    })
  }

  test("waits longer for the end than streams may take", () => {
    expect(valuesOf(renderUnit({ ...plain, drainTimeoutMs: 1_500 }), "TimeoutStopSec")).toEqual(["32"])
    expect(valuesOf(renderUnit(plain), "TimeoutStopSec")).toEqual(["330"])
  })

  test("gives a capability for a low port only", () => {
    expect(valuesOf(renderUnit(plain), "CapabilityBoundingSet")).toEqual([""])
    expect(valuesOf(renderUnit({ ...plain, port: 0 }), "AmbientCapabilities")).toEqual([""])
    expect(valuesOf(renderUnit({ ...plain, port: 1023 }), "AmbientCapabilities")).toEqual(["CAP_NET_BIND_SERVICE"])
    expect(valuesOf(renderUnit({ ...plain, port: 1024 }), "AmbientCapabilities")).toEqual([""])
  })

  test("hands over each key, and starts where there is no file for it", () => {
    const unit = renderUnit(plain)
    expect(valuesOf(unit, "LoadCredential")).toEqual([
      "pollux_key:/etc/pollux/pollux_key",
      "admin_key:/etc/pollux/admin_key",
      "encryption_key:/etc/pollux/encryption_key",
    ])
    expect(valuesOf(unit, "SetCredential")).toEqual(["pollux_key:\\n", "admin_key:\\n", "encryption_key:\\n"])
  })

  test("says who may write what", () => {
    const unit = renderUnit({ ...plain, databaseFolder: "/srv/db" })
    expect(valuesOf(unit, "ProtectSystem")).toEqual(["strict"])
    expect(valuesOf(unit, "ReadWritePaths")).toEqual(["/srv/db"])
    expect(valuesOf(renderUnit(plain), "ReadWritePaths")).toEqual([])
    expect(valuesOf(renderUnit({ ...plain, user: null }), "DynamicUser")).toEqual(["yes"])
    expect(valuesOf(renderUnit({ ...plain, user: "svc" }), "User")).toEqual(["svc"])
  })
})

test("systemd finds an executable whatever its path is made of", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pollux-word-"))
  try {
    for (const name of ["a b", "50%n", "$HOME", "é日本", "a;b", "{x}", "#h", "a=b"]) {
      const program = join(folder, name, "pollux")
      mkdirSync(join(folder, name))
      copyFileSync("/bin/true", program)
      chmodSync(program, 0o755)
      const config = join(folder, name, "config.toml")
      const { output } = await analyze(
        ["verify"],
        renderUnit({ ...plain, program, config, configFolder: join(folder, name) }),
      )
      expect(`${name}: ${output}`).toBe(`${name}: `)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test("a word of a unit never becomes two, nor a specifier, nor an argument a variable", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      for (const [written, marks] of [
        [word(text), ["%"]],
        [argument(text), ["%", "$"]],
      ] as const) {
        const quoted = /^"([\s\S]*)"$/.exec(written)?.[1]
        if (quoted === undefined) expect(written).not.toMatch(/[\s"'\\;]/)
        let bare = (quoted ?? written).replace(/\\(["\\])/g, "$1")
        for (const mark of marks) {
          expect(bare.replaceAll(mark + mark, "")).not.toContain(mark)
          bare = bare.split(mark + mark).join(mark)
        }
        expect(bare).toBe(text)
      }
    }),
  )
})

test("only names that useradd would take are users", () => {
  for (const good of ["pollux", "_p", "a-b_c9"]) expect(isUserName(good)).toBe(true)
  for (const bad of ["", "Root", "0x", "a b", "a\nUser=root", "%i", "x".repeat(32), "-a"])
    expect(isUserName(bad)).toBe(false)
})

test("paths that a unit or the sandbox cannot have are known", () => {
  expect(isHidden("/home/pollux")).toBe(true)
  expect(isHidden("/tmp")).toBe(true)
  expect(isHidden("/homes/pollux")).toBe(false)
  expect(fitsUnit("/etc/a b")).toBe(true)
  for (const bad of ['/q"uote', "/it's", "/back\\slash", "relative"]) expect(fitsProgram(bad)).toBe(false)
  for (const bad of ["relative", "/a\nUser=root", "/a\u0085b"]) expect(fitsUnit(bad)).toBe(false)
})
