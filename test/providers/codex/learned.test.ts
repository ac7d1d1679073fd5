import { expect, test } from "bun:test"
import { LearnedParameters } from "../../../src/providers/codex/learned.ts"
import { NOW } from "./support.ts"

test("a refused parameter is left out for its model, for a day", () => {
  const learned = new LearnedParameters()
  learned.learn("a", "top_k", NOW)
  expect(learned.unsupported("a", () => NOW + 1)).toEqual(["top_k"])
  expect(learned.unsupported("b", () => NOW + 1)).toEqual([])
  expect(learned.unsupported("a", () => NOW + 24 * 3_600_000)).toEqual([])
})

test("what was learned stays bounded", () => {
  const learned = new LearnedParameters()
  for (let i = 0; i < 10_000; i++) learned.learn("a", `p${i}`, NOW)
  expect(learned.unsupported("a", () => NOW).length).toBeLessThanOrEqual(256)
  learned.learn("a", "last", NOW)
  expect(learned.unsupported("a", () => NOW)).toContain("last")
})
