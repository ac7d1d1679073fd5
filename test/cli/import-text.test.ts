import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { readLogins } from "../../src/cli/import-text.ts"

const GOOGLE = "1//0fake-google-refresh-token"
const OPENAI = "rt_fake-openai-refresh-token"

const tokens = (text: string) =>
  readLogins(text, null).entries.map(({ place, found }) => [place, found.kind === "login" ? found.token : found.why])

describe("logins are found in", () => {
  test("one JSON object, also behind a byte order mark", () => {
    expect(tokens(`\ufeff{"refresh_token":"${OPENAI}"}\n`)).toEqual([[null, OPENAI]])
  })
  test("a JSON array of objects and bare tokens", () => {
    expect(tokens(JSON.stringify([{ refresh_token: OPENAI }, GOOGLE]))).toEqual([
      [1, OPENAI],
      [2, GOOGLE],
    ])
  })
  test("JSON lines, whatever ends the lines", () => {
    const text = `{"refresh_token":"${OPENAI}"}\r\n\r\n{"refreshToken":"${GOOGLE}"}`
    expect(tokens(text)).toEqual([
      [1, OPENAI],
      [2, GOOGLE],
    ])
  })
  test("tokens one a line, with comments", () => {
    expect(tokens(`# mine\n${OPENAI}\n\n  ${GOOGLE}  \n`)).toEqual([
      [1, OPENAI],
      [2, GOOGLE],
    ])
  })
})

describe("what is wrong with a text is said of", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["an empty one", " \n", "it is empty"],
    ["one object that breaks off", '{\n  "tokens": {\n    "refresh_token": "rt_abc', "it is damaged JSON"],
    ["one without logins", '{"theme":"dark"}', "it holds no login"],
    ["prose", "dear reader\nhow are you", "it holds no login"],
    ["lines of which one is damaged", `{"refresh_token":"${OPENAI}"}\n{"refresh`, "1 of its lines are damaged JSON"],
  ]
  for (const [what, text, problem] of cases) test(what, () => expect(readLogins(text, null).problem).toBe(problem))
})

test("a hundred thousand entries are read", () => {
  const all = Array.from({ length: 100_000 }, (_, i) => ({ refresh_token: `${OPENAI}${i}` }))
  expect(readLogins(`${JSON.stringify(all)}`, null).entries).toHaveLength(100_000)
  expect(readLogins(`${JSON.stringify(all.slice(0, 2))}\n${JSON.stringify(all)}`, null).entries).toHaveLength(100_002)
})

test("deep nesting is no danger", () => {
  expect(readLogins("[".repeat(100_000), null).problem).not.toBeNull()
  expect(readLogins(`${"[".repeat(5_000)}${"]".repeat(5_000)}`, null).problem).toBe("it holds no login")
})

test("no text makes it throw", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("{", "}", "[", '"', "\n", ":", ",", "refresh_token", OPENAI, GOOGLE),
  )
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const { entries, problem } = readLogins(pieces.join(""), null)
      expect(entries.length > 0 || problem !== null).toBe(true)
    }),
  )
})
