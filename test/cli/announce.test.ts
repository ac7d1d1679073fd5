import { describe, expect, test } from "bun:test"
import { type Announced, classify, report } from "../../src/cli/announce.ts"
import type { Io } from "../../src/cli/command.ts"
import { reloadText } from "../../src/cli/reload.ts"
import { ServerError } from "../../src/cli/server.ts"

const URL_ = "http://127.0.0.1:8188"

describe("a reload that failed", () => {
  const cases: readonly (readonly [what: string, error: ServerError, url: string, kind: Announced["kind"]])[] = [
    ["nobody listens", new ServerError(`pollux: no server answers at ${URL_}: start it`, 69), URL_, "absent"],
    [
      "the connection broke",
      new ServerError(`pollux: no server answers at ${URL_} (ECONNRESET): start it`, 69),
      URL_,
      "unknown",
    ],
    [
      "no answer in time",
      new ServerError(`pollux: the server at ${URL_} did not answer within 120 s`, 69),
      URL_,
      "unknown",
    ],
    ["the key is refused", new ServerError("pollux: refused", 77, 401), URL_, "refused"],
    ["it is draining", new ServerError("pollux: not now", 69, 503, "UNAVAILABLE"), URL_, "refused"],
    ["there was no address to ask", new ServerError("pollux: name the server with --server URL", 78), "", "unknown"],
  ]
  for (const [what, error, url, kind] of cases) {
    test(`because ${what} is ${kind}`, () => {
      const announced = classify(error, url)
      expect(announced.kind).toBe(kind)
      expect("why" in announced && announced.why).not.toStartWith("pollux:")
    })
  }
})

describe("a changed file", () => {
  function told(announced: Parameters<typeof report>[0]) {
    const lines: string[] = []
    const io: Pick<Io, "err"> = { err: (text) => void lines.push(text) }
    return { code: report(announced, io, "keys", "It opens until then"), text: lines.join("") }
  }

  test("is in force when the server saw that very change", () => {
    const reloaded = { kind: "reloaded", url: URL_, encryptionKeyId: null } as const
    expect(told({ ...reloaded, changed: ["keys"] })).toEqual({
      code: 0,
      text: `The server at ${URL_} has taken the change.\n`,
    })
    expect(told({ ...reloaded, changed: ["basic.loglevel"] })).toEqual({
      code: 1,
      text: expect.stringContaining("another configuration"),
    })
  })

  test("waits for the next start when no server runs, and is a failure when one runs on without it", () => {
    expect(told({ kind: "absent", why: "No server answers" })).toEqual({
      code: 0,
      text: "No server answers: the next start takes the change.\n",
    })
    for (const kind of ["refused", "unknown"] as const) {
      const { code, text } = told({ kind, why: "why not" })
      expect(code).toBe(1)
      expect(text).toContain("has not taken it: why not\nIt opens until then; then run `pollux reload`")
    }
  })
})

test("what a reload did is told in lines, names free of control characters", () => {
  expect(reloadText({ changed: [], needsRestart: [] })).toBe("Reloaded; nothing has changed.\n")
  expect(reloadText({ changed: ["a", "b\n"], needsRestart: [] })).toBe("Reloaded. Now in use:\n  a\n  b\\n\n")
  expect(reloadText({ changed: [], needsRestart: ["c"] })).toBe("Reloaded.\nNeeds a restart:\n  c\n")
})
