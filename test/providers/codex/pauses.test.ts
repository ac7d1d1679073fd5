import { expect, test } from "bun:test"
import { pauseIn } from "../../../src/providers/codex/actions.ts"

test("pauses are read from words", () => {
  expect(pauseIn("Please try again in 11.054s.")).toBe(11_054)
  expect(pauseIn("try again in 250ms")).toBe(250)
  expect(pauseIn("Try again in 2 minutes")).toBe(120_000)
  expect(pauseIn("try again in 30 milliseconds")).toBe(30)
  expect(pauseIn("try again in 3 seconds")).toBe(3_000)
  expect(pauseIn("try again later")).toBeNull()
  expect(pauseIn(null)).toBeNull()
})
