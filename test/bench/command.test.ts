import { describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dir, "../..")
const TOOLS = ["wrk", "nginx", "cc", "openssl"]

async function bench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([join(root, "scripts/bench"), ...args], { stdout: "pipe", stderr: "pipe", stdin: "ignore" })
  const [out, err, code] = await Promise.all([
    Bun.readableStreamToText(child.stdout),
    Bun.readableStreamToText(child.stderr),
    child.exited,
  ])
  return { code, out, err }
}

describe("scripts/bench", () => {
  test("measures every subject in a tiny run, or says which tools it lacks", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pollux-bench-test-"))
    const file = join(folder, "results.json")
    const { code, out, err } = await bench("--quick", "--force", "--only", "rate", "--seconds", "0.2", "--out", file)
    const missing = TOOLS.filter((tool) => Bun.which(tool) === null)
    if (missing.length > 0) {
      expect(code).toBe(69)
      for (const tool of missing) expect(err).toContain(tool)
    } else {
      expect(err).not.toContain("error")
      expect(code).toBe(0)
      expect(out).toContain("**Pollux, geminicli**")
      const { cells } = JSON.parse(readFileSync(file, "utf8"))
      expect(cells.map(({ subject }: { subject: string }) => subject)).toEqual(["direct", "nginx", "pass", "geminicli"])
      for (const { failed, figures } of cells) {
        expect(failed).toBe(0)
        expect(figures.p50.median).toBeGreaterThan(0)
      }
    }
    rmSync(folder, { recursive: true })
  }, 60_000)

  test("explains itself, and refuses sections that it does not know", async () => {
    expect((await bench("--help")).out).toContain("--write-readme")
    const { code, err } = await bench("--only", "unary,nonsense")
    expect(code).toBe(64)
    expect(err).toContain("scheduler")
  })
})
