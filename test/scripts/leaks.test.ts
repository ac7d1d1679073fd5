import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { findLeaks, searchLeaks } from "../support/leaks.ts"

test("registered secrets and everything shaped like one are found, and not repeated in full", () => {
  const text = [
    "ok",
    "key-abcdefgh in a line",
    "token 1//0gabcdefghijkl",
    "ya29.a0abcdefgh",
    "eyJhbGciOiJub25l.eyJzdWIiOiIxIn0.",
    "who: jo@example.com",
  ].join("\n")
  const leaks = findLeaks(text, ["key-abcdefgh", "not-in-there"])
  expect(leaks).toHaveLength(5)
  for (const value of ["key-abcdefgh", "1//0gabcdefghijkl", "ya29.a0abcdefgh", "jo@example.com"]) {
    expect(leaks.join("\n")).not.toContain(value)
  }
})

test("masked forms are no leak", () => {
  expect(findLeaks("j***@example.com ya29… 1//0… Bearer <redacted> key … rt_… eyJ…", ["a-real-secret"])).toEqual([])
})

test("a secret that one process registered is found in what another one's Pollux wrote", () => {
  const record = mkdtempSync(join(tmpdir(), "pollux-record-"))
  try {
    writeFileSync(join(record, "secrets-1.jsonl"), '"hidden-value"\n"other-value"\n')
    writeFileSync(join(record, "pollux-7.log"), "fine\n")
    writeFileSync(join(record, "pollux-8.log"), "oh: hidden-value\n")
    const { leaks, ...counts } = searchLeaks(record)
    expect(counts).toEqual({ logs: 2, secrets: 2 })
    expect(leaks).toHaveLength(1)
    expect(leaks[0]).toStartWith("pollux-8: ")
  } finally {
    rmSync(record, { recursive: true, force: true })
  }
})
