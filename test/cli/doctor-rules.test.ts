import { describe, expect, test } from "bun:test"
import { findingsText } from "../../src/cli/doctor.ts"
import {
  clockFinding,
  credentialFinding,
  diskFinding,
  type Finding,
  failureText,
  modeFinding,
  shownUrl,
} from "../../src/cli/doctor-rules.ts"
import { createPaint } from "../../src/cli/paint.ts"
import type { Credential, List } from "../../src/cli/shapes.ts"

const MIB = 1024 * 1024

describe("the clock", () => {
  const cases: readonly (readonly [offMs: number, state: Finding["state"], says: string])[] = [
    [0, "ok", "agrees with the server"],
    [59_999, "ok", "agrees with the server"],
    [-60_000, "warn", "is 1 min behind the server"],
    [61_000, "warn", "is 1 min 1 s ahead of the server"],
    [300_000, "fail", "is 5 min ahead of the server"],
    [-86_400_000, "fail", "is 1 d behind the server"],
  ]
  for (const [off, state, says] of cases) {
    test(`${off} ms off: ${state}`, () => expect(clockFinding("the server", off)).toMatchObject({ state, says }))
  }
})

describe("the disk", () => {
  test("is well with room for the database to be written anew", () => {
    expect(diskFinding("/d", 3 * 1024 * MIB)).toEqual({
      check: "disk",
      state: "ok",
      says: "3.0 GiB free in /d",
      cure: null,
    })
    expect(diskFinding("/d", 512 * MIB).state).toBe("ok")
  })
  test("is looked at when scarce, and fails when the log would not fit", () => {
    expect(diskFinding("/d", 511 * MIB)).toMatchObject({ state: "warn", says: "511 MiB free in /d" })
    expect(diskFinding("/d", 32 * MIB).state).toBe("warn")
    expect(diskFinding("/d", 31 * MIB).state).toBe("fail")
    expect(diskFinding("/d", 0).cure).toContain("renewed token")
  })
})

test("a file is its owner's alone, or it is said how to make it so", () => {
  expect(modeFinding("database", "/d/data.db", 0o100600)).toMatchObject({ state: "ok", cure: null })
  expect(modeFinding("database", "/d/data.db", 0o100400).state).toBe("ok")
  expect(modeFinding("database", "/d/data.db", 0o100640)).toMatchObject({ state: "warn", cure: "chmod 600 /d/data.db" })
  expect(modeFinding("database", "/d/data.db", 0o100604).says).toContain("mode 0604")
})

describe("credentials", () => {
  const credential = (id: number, state: string, reason: string | null = null): Credential => ({
    ...{ id, email: null, account: "a", plan: null, state, reason, detail: null, url: null, until: null, inFlight: 0 },
    ...{ expiresAt: null, refreshDead: null, ambiguousRefresh: false, cooldowns: [], lacks: [], quotas: [] },
    ...{ lastError: null, lastLeasedAt: null },
  })
  const list = (...credentials: Credential[]): List => {
    const counts: Record<string, number> = {}
    for (const { state } of credentials) counts[state] = (counts[state] ?? 0) + 1
    return { provider: "codex", counts, models: {}, credentials, seeds: [] }
  }
  const cases: readonly (readonly [what: string, list: List, state: Finding["state"], says: string])[] = [
    ["none at all", list(), "warn", "there is none"],
    ["one ready", list(credential(1, "ready")), "ok", "1 ready"],
    ["one ready, one cooling", list(credential(1, "ready"), credential(2, "cooling")), "ok", "1 ready, 1 cooling"],
    [
      "one ready, one parked",
      list(credential(1, "ready"), credential(2, "parked", "needs_login")),
      "warn",
      "1 ready, 1 parked",
    ],
    ["all cooling", list(credential(1, "cooling")), "warn", "none is ready: 1 cooling"],
    ["all parked", list(credential(2, "parked", "ineligible")), "fail", "none can serve: 1 parked"],
    ["all disabled", list(credential(2, "disabled")), "fail", "none can serve: 1 disabled"],
  ]
  for (const [what, given, state, says] of cases) {
    test(`${what}: ${state}`, () => expect(credentialFinding(given)).toMatchObject({ state, says }))
  }

  test("that wait for the operator are named with the reason", () => {
    expect(credentialFinding(list(credential(2, "parked", "needs_login"), credential(7, "parked"))).cure).toBe(
      "see to codex:2 (needs_login), codex:7 (parked): pollux status tells how",
    )
  })
})

test("a proxy is shown without its password", () => {
  expect(shownUrl("http://user:hunter2@proxy.test:8080/")).toBe("http://***@proxy.test:8080")
  expect(shownUrl("http://proxy.test:8080")).toBe("http://proxy.test:8080")
  expect(shownUrl("user:hunter2")).not.toContain("hunter2")
})

test("a failed connection is told in words, never with what the error says of the URL", () => {
  const refused = Object.assign(new Error("connect http://u:hunter2@x"), { code: "ConnectionRefused" })
  expect(failureText(refused)).toBe("the connection is refused")
  expect(failureText(Object.assign(new Error("x"), { name: "TimeoutError" }))).toBe("no answer in time")
  expect(failureText(new Error("http://u:hunter2@x"))).toBe("it failed")
  expect(failureText("hunter2")).toBe("it failed")
})

test("findings are one line each, what to do below, and a line of counts", () => {
  const text = findingsText(
    [
      { check: "key", state: "ok", says: "opens the server", cure: null },
      { check: "server", state: "fail", says: "does not answer", cure: "start it" },
    ],
    createPaint(false),
  )
  expect(text).toBe(
    "ok    key     opens the server\nFAIL  server  does not answer\n              -> start it\n\n1 ok, 0 to look at, 1 failed\n",
  )
})
