import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { HttpError } from "../../src/http/ports.ts"
import { parseSeeds } from "../../src/http/seed-list.ts"

const none = () => null
const tokens = (value: unknown) => parseSeeds(value, none).hints.map((hint) => hint.refreshToken)

function refusal(value: unknown): string {
  try {
    parseSeeds(value, none)
  } catch (error) {
    if (error instanceof HttpError) return error.message
  }
  return "none"
}

describe("resource:add", () => {
  test("reads refresh_token and refreshToken, trimmed, and nothing else", () => {
    expect(tokens([{ refresh_token: " a " }, { refreshToken: "b\n", other: 1 }])).toEqual(["a", "b"])
  })

  test("drops and counts blanks and duplicates, the first one stays", () => {
    const value = [
      { refresh_token: "a", project_id: "one" },
      { refresh_token: "" },
      { refresh_token: null },
      {},
      { refreshToken: "a", project_id: "two" },
      { refresh_token: "  " },
    ]
    const list = parseSeeds(value, (item) => String(item.project_id))
    expect(list).toEqual({ hints: [{ refreshToken: "a", account: "one" }], blanks: 4, duplicates: 1 })
  })

  test("takes both spellings at once only if they agree", () => {
    expect(tokens([{ refresh_token: "a", refreshToken: "a" }])).toEqual(["a"])
    expect(tokens([{ refresh_token: "", refreshToken: "a" }])).toEqual(["a"])
    expect(refusal([{ refresh_token: "a", refreshToken: "b" }])).toContain(
      "entry 0: refresh_token and refreshToken differ",
    )
  })

  test("refuses what is no array", () => {
    for (const value of [{}, { refresh_token: "a" }, "a", 1, null, true]) {
      expect(refusal(value)).toContain("expected a JSON array of objects")
    }
  })

  test("names each bad entry by its place, and takes none of the good ones (B21)", () => {
    const message = refusal([
      { refresh_token: "good" },
      "x",
      { refresh_token: 5 },
      [1],
      { refreshToken: "x".repeat(8_193) },
      null,
    ])
    for (const place of [
      "entry 1: expected an object",
      "entry 2: refresh_token must be a string",
      "entry 3",
      "entry 4: refresh_token is longer",
      "entry 5",
    ]) {
      expect(message).toContain(place)
    }
    expect(message).not.toContain("good")
    expect(refusal(Array(1_000).fill(1))).toEndWith("; and 980 more")
  })

  test("refuses characters that would break a header or a form", () => {
    for (const token of ["a\nb", "a\u0000b", "tök"]) expect(refusal([{ refresh_token: token }])).toContain("characters")
  })

  test("reads no inherited member", () => {
    expect(tokens([JSON.parse('{"__proto__":{"refresh_token":"sneaky"}}')])).toEqual([])
  })

  test("takes 10,000 entries", () => {
    expect(tokens(Array.from({ length: 10_000 }, (_, n) => ({ refresh_token: `rt-${n}` })))).toHaveLength(10_000)
  })

  test("never fails by anything but a refusal, and never makes up a token", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        try {
          for (const token of tokens(JSON.parse(text))) expect(text).toContain(JSON.stringify(token).slice(1, -1))
        } catch (error) {
          expect(error).toBeInstanceOf(HttpError)
        }
      }),
    )
  })
})
