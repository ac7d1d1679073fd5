import { describe, expect, test } from "bun:test"
import { promptId } from "../../../src/providers/geminicli/prompt-id.ts"
import { Wrapper } from "../../../src/providers/geminicli/wrapper.ts"
import { bytes, text, textIn } from "./support.ts"

const request = bytes('{"contents":[]}')
const head = (model: string, project: string) => ({ model, project, promptId: bytes("id") })

describe("the envelope of a request", () => {
  test("names the model and the project, whatever they are made of", () => {
    const wrapper = new Wrapper()
    for (const name of ["plain", 'a "quote"', "back\\slash", "日本", "line\nend"]) {
      for (const _ of [1, 2]) {
        expect(JSON.parse(textIn(wrapper.request(head(name, `${name}-p`), request)))).toEqual({
          model: name,
          project: `${name}-p`,
          user_prompt_id: "id",
          request: { contents: [] },
        })
      }
    }
  })

  test("is the account's own, however many there are", () => {
    const wrapper = new Wrapper()
    const projects = Array.from({ length: 5_000 }, (_, i) => `project-${i}`)
    for (const project of [...projects, ...projects.slice(0, 10)])
      expect(textIn(wrapper.request(head("m", project), request))).toBe(
        `{"model":"m","project":"${project}","user_prompt_id":"id","request":{"contents":[]}}`,
      )
  })

  test("of a count holds the request alone", () => {
    expect(textIn(new Wrapper().count(request))).toBe('{"request":{"contents":[]}}')
  })
})

test("a prompt's id is 32 hex digits out of the random source", () => {
  expect(text(promptId(() => 0))).toBe("0".repeat(32))
  expect(text(promptId(() => 1 - Number.EPSILON))).toBe("f".repeat(32))
  expect(text(promptId(Math.random))).toMatch(/^[0-9a-f]{32}$/)
  expect(text(promptId(Math.random))).not.toBe(text(promptId(Math.random)))
})
