import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ensureBuilt } from "../support/build.ts"

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "pollux-init-"))
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

test("`pollux init` takes an empty POLLUX_CONFIG for none, as every other command does", async () => {
  const made = Bun.spawnSync([await ensureBuilt(), "init"], { cwd, env: { POLLUX_CONFIG: "" } })
  expect({ code: made.exitCode, said: made.stderr.toString(), files: readdirSync(cwd) }).toEqual({
    code: 0,
    said: "",
    files: ["config.toml"],
  })
})
