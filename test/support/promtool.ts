/** Prometheus's own judgement of rules and expressions. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { type Captured, capture } from "../../scripts/lib/capture.ts"
import { findPromtool } from "../../scripts/lib/needs.ts"

const root = resolve(import.meta.dir, "../..")

export async function promtool(...args: readonly string[]): Promise<Captured> {
  const path = findPromtool(root)
  if (path === null)
    throw new Error("promtool is not here: scripts/test gets it, or Debian's package prometheus has it")
  return capture([path, ...args], { cwd: root, timeout: 30_000 })
}

/** What is wrong with expressions, all of them at once; an empty text where nothing is. */
export async function judgeExpressions(expressions: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "pollux-rules-"))
  try {
    const rules = expressions.map((expr, index) => ({ record: `judged:${index}`, expr }))
    const path = join(folder, "rules.yml")
    // JSON is YAML too.
    writeFileSync(path, JSON.stringify({ groups: [{ name: "judged", rules }] }))
    const { code, output } = await promtool("check", "rules", path)
    return code === 0 ? "" : output
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
