import { expect, test } from "bun:test"
import { groupSuites } from "../../scripts/lib/suites.ts"

/** Suites of files with these texts, by name. */
function group(texts: Readonly<Record<string, string>>) {
  const suites = groupSuites(Object.keys(texts), (file) => texts[file] ?? "")
  return Object.fromEntries(suites.map((suite) => [suite.name, suite]))
}

test("a room's files make one suite, an end-to-end file a suite of its own", () => {
  const suites = group({
    "test/relay/a.test.ts": "",
    "test/relay/deep/b.test.ts": "",
    "test/providers/codex/c.test.ts": "",
    "test/providers/geminicli/d.test.ts": "",
    "test/e2e/login.test.ts": "",
    "test/e2e/streams.test.ts": "",
    "test/checks/faults.test.ts": "",
  })
  expect(Object.values(suites).map(({ name, files, kind }) => [name, files.length, kind])).toEqual([
    ["checks/faults", 1, "e2e"],
    ["e2e/login", 1, "e2e"],
    ["e2e/streams", 1, "e2e"],
    ["providers/codex", 1, "unit"],
    ["providers/geminicli", 1, "unit"],
    ["relay", 2, "unit"],
  ])
})

test("a suite waits only for what its files use", () => {
  const suites = group({
    "test/relay/a.test.ts": 'import { expect } from "bun:test"',
    "test/scripts/b.test.ts": 'import { startPollux } from "../support/binary.ts"',
    "test/e2e/c.test.ts": "",
    "test/e2e/d.test.ts": 'import { runDriver } from "../support/clients.ts"',
    "test/e2e/e.test.ts": 'import { chromium } from "playwright-core"',
  })
  expect(Object.fromEntries(Object.values(suites).map(({ name, needs }) => [name, needs]))).toEqual({
    relay: [],
    scripts: ["executable"],
    "e2e/c": ["executable"],
    "e2e/d": ["executable", "clients"],
    "e2e/e": ["executable", "chromium"],
  })
  expect(suites["e2e/d"]?.kind).toBe("clients")
})

test("suites that take the fixed login ports hold them, so that they never run side by side", () => {
  const suites = group({
    "test/e2e/a.test.ts": 'await api("/codex/auth")',
    "test/http/b.test.ts": "expect(port).toBe(1455)",
    "test/http/c.test.ts": "",
    "test/relay/d.test.ts": "",
  })
  expect(Object.values(suites).map(({ name, holds }) => [name, holds])).toEqual([
    ["e2e/a", "port 1455"],
    ["http", "port 1455"],
    ["relay", null],
  ])
})
