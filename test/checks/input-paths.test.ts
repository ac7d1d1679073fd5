/** Targets and Hosts that pretend to be something else: B6 and B12. Nothing a client writes names an upstream path. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { sendRaw, statuses } from "../support/raw.ts"
import { requestText } from "../support/request-text.ts"
import { startWorld, type World } from "../support/world.ts"

const PREFIX = "/geminicli/v1beta/models"
const UNARY = `${PREFIX}/gemini-2.5-pro:generateContent`
const BODY = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "hi" }] }] })

let world: World
let port = 0
beforeAll(async () => {
  world = await startWorld()
  port = Number(new URL(world.pollux.url).port)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const send = (text: string) => sendRaw(text, { port, ms: 3_000, until: /\r\n\r\n[\s\S]/ })
const key = () => ({ "x-goog-api-key": world.pollux.key })
const json = { "content-type": "application/json" }

/** What the upstreams were asked since, as `METHOD path`. */
function asked(from: { readonly google: number; readonly openai: number }): readonly string[] {
  const { google, openai } = world
  return [
    ...google.requests.slice(from.google).map(({ method, path }) => `${method} ${path}`),
    ...openai.requests.slice(from.openai).map(({ method, path }) => `${method} ${path}`),
  ]
}
const mark = () => ({ google: world.google.requests.length, openai: world.openai.requests.length })

test.each([
  ["two Hosts", `GET ${PREFIX} HTTP/1.1\r\nHost: localhost\r\nHost: other\r\nKEY\r\n`, [400]],
  ["a Host with a path", `GET /healthz HTTP/1.1\r\nHost: localhost${PREFIX}?\r\nKEY\r\n`, [400]],
  ["a Host with a query", "GET /healthz HTTP/1.1\r\nHost: a?b=c\r\nKEY\r\n", [400]],
  ["a Host with a fragment", "GET /healthz HTTP/1.1\r\nHost: a#\r\nKEY\r\n", [400]],
  ["a Host with a user", "GET /healthz HTTP/1.1\r\nHost: user@localhost\r\nKEY\r\n", [400]],
  [
    "the absolute form of another host",
    `GET http://evil.example${PREFIX} HTTP/1.1\r\nHost: localhost\r\nKEY\r\n`,
    [200],
  ],
  ["the absolute form without a key", `GET http://evil.example${PREFIX} HTTP/1.1\r\nHost: localhost\r\n\r\n`, [401]],
  ["a Host that names an open path", `GET ${PREFIX} HTTP/1.1\r\nHost: healthz\r\n\r\n`, [401]],
  ["an empty Host", `GET ${PREFIX} HTTP/1.1\r\nHost: \r\n\r\n`, [400, 401]],
  ["the asterisk form", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", [400, 404]],
  ["the authority form", "CONNECT internal:443 HTTP/1.1\r\nHost: internal:443\r\n\r\n", [400, 404, 405]],
])("B6: %s opens no door, and changes no path", async (_, text, codes) => {
  const before = mark()
  const answer = await send(text.replace("KEY\r\n", `x-goog-api-key: ${world.pollux.key}\r\n\r\n`))
  expect(codes).toContain(statuses(answer)[0] ?? 0)
  expect(asked(before)).toEqual([])
})

const TRICKS = [
  `${PREFIX}/..%2f..%2fv1internal:generateContent`,
  `${PREFIX}/%2e%2e/%2e%2e/v1internal:generateContent`,
  `${PREFIX}/%2e%2e%2fv1internal:loadCodeAssist`,
  `${PREFIX}//gemini-2.5-pro:generateContent`,
  `//geminicli/v1beta/models/gemini-2.5-pro:generateContent`,
  `${PREFIX}/gemini-2.5-pro;x=y:generateContent`,
  `${PREFIX}/gemini-2.5-pro:generateContent;x=y`,
  `${PREFIX}/gemini-2.5-pro%00:generateContent`,
  `${PREFIX}/gemini-2.5-pro:generateContent%00`,
  `${PREFIX}/gemini-2.5-pro%0d%0aX-Evil:%201:generateContent`,
  `${PREFIX}/gemini-2.5-pro:generateContent%3Falt=sse%26x=`,
  `${PREFIX}/gemini-2.5-pro:generateContent%23`,
  `${PREFIX}/gemini-2.5-pro/x:generateContent`,
  `${PREFIX}/x:gemini-2.5-pro:generateContent`,
  `${PREFIX}/@evil.example:generateContent`,
  `${PREFIX}/https:%2F%2Fevil.example%2F:generateContent`,
  `${PREFIX}/gemini-2.5-pro:v1internal:loadCodeAssist`,
  `${PREFIX}/gemini-2.5-pro:__proto__`,
  `${PREFIX}/gemini-2.5-pro:constructor`,
  `${PREFIX}/gemini-2.5-pro:`,
  `${PREFIX}/:generateContent`,
  `${PREFIX}/${"m".repeat(10_000)}:generateContent`,
  `${PREFIX}/%ff%fe:generateContent`,
  `${PREFIX}/%zz:generateContent`,
  "/geminicli/v1internal:loadCodeAssist",
  "/geminicli/v1beta/tunedModels/x:generateContent",
  "/codex/v1/responses/../../backend-api/codex/responses",
  "/codex/v1/responses/resp_1",
  "/codex/v1/responses%2fcompact",
  "/codex/v1/responses;x",
  "/codex/v1/../backend-api/accounts",
  "/codex/resource:add%2f..",
  "/codex/__proto__",
  "/codex/constructor",
]

test.each(TRICKS.map((target) => [target.length > 90 ? `${target.slice(0, 60)}...` : target, target]))(
  "B12: %s is answered 4xx, and no upstream hears of it",
  async (_, target) => {
    const before = mark()
    const [post, get] = await Promise.all([
      send(requestText("POST", target, { ...key(), ...json }, BODY)),
      send(requestText("GET", target, key())),
    ])
    for (const answer of [post, get]) {
      const [code] = statuses(answer)
      expect([400, 404, 405, 501]).toContain(code ?? 0)
      expect(answer.text).not.toMatch(/^x-evil/im)
    }
    expect(asked(before)).toEqual([])
  },
)

test("B12: a model's spelling in the path never becomes part of the upstream's", async () => {
  const before = mark()
  // As URLs are read everywhere (WHATWG URL 4.4), dots are resolved and a backslash is a slash, before anything is routed.
  const spellings = [
    UNARY,
    UNARY.replace("/gemini-", "/%67emini-"),
    UNARY.replace(":", "%3A"),
    UNARY.replace("/models/", "/models/x/../"),
    UNARY.replace("/models/", "/models\\"),
  ]
  for (const target of spellings) {
    const answer = await send(requestText("POST", `${target}?x=../../y&alt=%0d%0a`, { ...key(), ...json }, BODY))
    expect(statuses(answer)).toEqual([200])
  }
  expect(new Set(asked(before))).toEqual(new Set(["POST /v1internal:generateContent"]))
})

test.each([
  ["a path", "../../v1internal"],
  ["an address", "https://evil.example/"],
  ["line ends", "gpt-5.2-codex\r\nX-Evil: 1"],
  ["10 kB", "m".repeat(10_000)],
  ["a NUL", "gpt-5.2-codex\0"],
  ["a member of every object", "__proto__"],
])("B12: a model in a body that is %s is answered 400, and no upstream hears of it", async (_, model) => {
  const before = mark()
  const body = JSON.stringify({ model, input: "hi" })
  const answer = await send(requestText("POST", "/codex/v1/responses", { ...key(), ...json }, body))
  expect(statuses(answer)).toEqual([400])
  expect(answer.text).not.toMatch(/^x-evil/im)
  expect(asked(before)).toEqual([])
})

test("B12: dot segments that lead to a guarded path meet the guard", async () => {
  for (const target of [
    `/healthz/..${PREFIX}`,
    `/healthz/%2e%2e${PREFIX}`,
    "/oauth2callback/../geminicli/resource:list",
    "/geminicli/auth/../resource:list",
  ]) {
    expect([401, 404]).toContain(statuses(await send(requestText("GET", target)))[0] ?? 0)
  }
})
