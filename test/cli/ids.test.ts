import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { parseId, showId } from "../../src/cli/ids.ts"
import { PROVIDERS } from "../../src/cli/shapes.ts"

const problem = (text: string, provider: string | null = null) => {
  const read = parseId(text, provider)
  return read.ok ? null : read.problem
}

test("an id reads back as it was shown", () => {
  fc.assert(
    fc.property(fc.constantFrom(...PROVIDERS), fc.integer({ min: 1, max: 1e9 }), (provider, id) => {
      expect(parseId(showId(provider, id), null)).toEqual({ ok: true, named: { provider, id } })
      expect(parseId(String(id), provider)).toEqual({ ok: true, named: { provider, id } })
      expect(parseId(String(id), null)).toEqual({ ok: true, named: { provider: null, id } })
    }),
  )
})

describe("what is no credential is refused in words:", () => {
  test("text without a number", () => expect(problem("codex")).toContain("expected one like codex:3"))
  test("zero", () => expect(problem("codex:0")).toContain("counted from 1"))
  test("a provider with a slip", () => expect(problem("codx:3")).toContain('did you mean "codex"?'))
  test("an unknown provider", () => expect(problem("claude:3")).toContain("geminicli, codex"))
  test("two providers at once", () => expect(problem("codex:3", "geminicli")).toContain("contradict"))
  test("a number beyond counting", () => expect(problem("codex:99999999999999999999")).not.toBeNull())
})

test("nothing that is typed makes it throw", () => {
  fc.assert(fc.property(fc.string(), fc.option(fc.string()), (text, provider) => void parseId(text, provider)))
})
