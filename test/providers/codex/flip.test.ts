import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { flipped } from "../../../src/providers/codex/flip.ts"

describe("a flag in a text", () => {
  test.each([
    ['{"stream":false}', '{"stream":true}'],
    ['{"a":[false],"stream" :\n\t false , "b":false}', '{"a":[false],"stream" :\n\t true , "b":false}'],
    ['{"input":"say \\"stream\\" or \\n","stream":false}', '{"input":"say \\"stream\\" or \\n","stream":true}'],
    ['{"stream":false,"input":"ü 日本 \\ud83d"}', '{"stream":true,"input":"ü 日本 \\ud83d"}'],
    ['{"streams":false,"stream":false}', '{"streams":false,"stream":true}'],
  ])("%s is turned over where it stands", (text, turned) => {
    expect(flipped(text, "stream", false)).toBe(turned)
  })

  test.each([
    ["twice", '{"stream":false,"stream":false}'],
    ["deeper inside as well", '{"tools":[{"stream":true}],"stream":false}'],
    ["as a value as well", '{"stream":false,"model":"stream"}'],
    ["at a text's end as well", '{"input":"an \\"stream","stream":false}'],
    ["in other words", '{"\\u0073tream":false}'],
    ["in other words, and as a value", '{"model":"stream","\\u0073tream":false}'],
  ])("that is named %s is left to a writer", (_, text) => {
    expect(flipped(text, "stream", false)).toBeNull()
  })

  test("says what a writer would say, whatever stands around it", () => {
    const word = fc.constantFrom("stream", "store", '"stream"', "\\", "false", "true", ":", "s\u0000", "é")
    const value = fc.oneof(word, fc.boolean(), fc.dictionary(word, fc.oneof(word, fc.boolean()), { maxKeys: 2 }))
    const space = fc.constantFrom(0, 1, "\t")
    let turned = 0
    fc.assert(
      fc.property(fc.dictionary(word, value, { maxKeys: 3 }), fc.boolean(), space, (others, stream, indent) => {
        const body = { ...others, stream }
        const text = flipped(JSON.stringify(body, null, indent), "stream", stream)
        if (text === null) return
        turned++
        expect(JSON.parse(text)).toEqual({ ...body, stream: !stream })
      }),
      { numRuns: 2_000 },
    )
    expect(turned).toBeGreaterThan(100)
  })
})
