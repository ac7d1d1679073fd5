import { afterAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runSuites } from "../../scripts/lib/runner.ts"
import { groupSuites, type Suite } from "../../scripts/lib/suites.ts"

const root = mkdtempSync(join(tmpdir(), "pollux-runner-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const HEAD = 'import { expect, test } from "bun:test"\n'
const FILES: Readonly<Record<string, string>> = {
  "test/good/a.test.ts": 'test("one", () => expect(1).toBe(1)); test("two", () => expect(2).toBe(2))',
  "test/bad/a.test.ts": 'test("one", () => expect(1).toBe(2)); test("two", () => expect(2).toBe(2))',
  "test/gone/a.test.ts": 'test("one", () => process.exit(0))',
  "test/broken/a.test.ts": 'import "./nothing.ts"\ntest("one", () => expect(1).toBe(1))',
  "test/idle/a.test.ts": 'test("one", async () => { expect(1).toBe(1); await Bun.sleep(60_000) }, 90_000)',
  "test/e2e/clients-x.test.ts": 'import "../support/clients.ts"\ntest("one", () => expect(1).toBe(1))',
}
for (const [name, body] of Object.entries(FILES)) {
  mkdirSync(join(root, name, ".."), { recursive: true })
  writeFileSync(join(root, name), HEAD + body)
}

async function run(names: readonly string[], change: (suite: Suite) => Suite = (suite) => suite) {
  const printed: string[] = []
  const files = Object.keys(FILES).filter((file) => names.some((name) => file.includes(name)))
  const suites = groupSuites(files, (file) => FILES[file] ?? "").map(change)
  const total = await runSuites(suites, {
    root,
    jobs: 2,
    env: process.env,
    prepare: async (need) => (need === "clients" ? "no registry in sight" : null),
    print: (text) => printed.push(text),
  })
  return { total, printed: printed.join("\n") }
}

test("counts of all suites are summed, and the output of a failing one is shown", async () => {
  const { total, printed } = await run(["good", "bad"])
  expect(total).toEqual({ passed: 3, failed: 1, skipped: 0 })
  expect(printed).toContain("ok   good: 2 passed, 0 failed")
  expect(printed).toContain("FAIL bad: 1 passed, 1 failed")
  expect(printed).toContain("Expected: 2")
})

test("a test that ends the runner with code 0, and a file that cannot be loaded, are failures", async () => {
  const { total, printed } = await run(["gone", "broken"])
  expect(total).toEqual({ passed: 0, failed: 2, skipped: 0 })
  expect(printed).toContain("left no report")
})

test("a suite that hangs is killed and is a failure", async () => {
  const { total, printed } = await run(["idle"], (suite) => ({ ...suite, suiteTimeoutMs: 500 }))
  expect(total.failed).toBeGreaterThan(0)
  expect(printed).toContain("the test runner was killed")
})

test("suites whose needs cannot be met fail with the reason, and the others run", async () => {
  const { total, printed } = await run(["good", "clients-x"])
  expect(total).toEqual({ passed: 2, failed: 1, skipped: 0 })
  expect(printed).toContain("no registry in sight")
})
