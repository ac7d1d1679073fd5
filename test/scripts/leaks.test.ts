import { expect, test } from "bun:test"
import { findLeaks } from "../support/leaks.ts"

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
