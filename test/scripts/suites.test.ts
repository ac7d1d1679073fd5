import { expect, test } from "bun:test"
import { groupSuites } from "../../scripts/lib/suites.ts"

test("a room's files make one suite, an end-to-end file a suite of its own", () => {
  const suites = groupSuites([
    "test/relay/a.test.ts",
    "test/relay/deep/b.test.ts",
    "test/providers/codex/c.test.ts",
    "test/providers/geminicli/d.test.ts",
    "test/e2e/login-codex.test.ts",
    "test/e2e/streams.test.ts",
    "test/checks/faults.test.ts",
  ])
  expect(suites.map(({ name, files }) => [name, files.length])).toEqual([
    ["checks/faults", 1],
    ["e2e/login-codex", 1],
    ["e2e/streams", 1],
    ["providers/codex", 1],
    ["providers/geminicli", 1],
    ["relay", 2],
  ])
})

test("only what runs real clients or a browser waits for their installation", () => {
  const needs = Object.fromEntries(
    groupSuites([
      "test/relay/a.test.ts",
      "test/e2e/streams.test.ts",
      "test/e2e/clients-openai.test.ts",
      "test/e2e/browser-login.test.ts",
    ]).map((suite) => [suite.name, suite.needs]),
  )
  expect(needs).toEqual({
    relay: [],
    "e2e/streams": ["executable"],
    "e2e/clients-openai": ["executable", "clients"],
    "e2e/browser-login": ["executable", "chromium"],
  })
})

test("suites that take the fixed login port hold it, so that they never run side by side", () => {
  const held = groupSuites(["test/e2e/browser-login.test.ts", "test/e2e/login-codex.test.ts", "test/http/a.test.ts"])
  expect(held.map((suite) => suite.holds)).toEqual(["port 1455", "port 1455", "port 1455"])
})
