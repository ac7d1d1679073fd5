import { expect, test } from "bun:test"
import { systemClock } from "../../../src/observe/clock.ts"
import { Signatures } from "../../../src/providers/geminicli/signatures.ts"
import { Upstream } from "../../../src/providers/geminicli/upstream.ts"
import type { UpstreamInit } from "../../../src/relay/ports.ts"
import { callOf, hello, leaseOf } from "./support.ts"

test("what is sent follows the settings as they are at the time, the lease and the verb", async () => {
  const sent: { url: string; init: UpstreamInit }[] = []
  const settings = { current: { apiUrl: "https://one.test", clientVersion: "1.0.0" } }
  const upstream = new Upstream({
    settings,
    signatures: new Signatures(systemClock),
    sender: (url, init) => {
      sent.push({ url, init })
      return Promise.resolve(new Response())
    },
  })
  const send = async (token: string, over: Parameters<typeof callOf>[1] = {}) => {
    await upstream.send(leaseOf({ token }), callOf(hello, over), new AbortController().signal)
    const { url, init } = sent.at(-1) ?? { url: "", init: null }
    const agent = init?.shared?.["user-agent"]?.split(" ")[0]
    return [url, init?.headers.authorization, agent, init?.shared?.accept]
  }
  const unary = { verb: "generateContent", form: "unary" } as const
  const one = "https://one.test/v1internal"
  expect(await send("a", unary)).toEqual([
    `${one}:generateContent`,
    "Bearer a",
    "GeminiCLI/1.0.0/gemini-2.5-pro",
    "application/json",
  ])
  expect(await send("b", { model: "m\u00e9" })).toEqual([
    `${one}:streamGenerateContent?alt=sse`,
    "Bearer b",
    "GeminiCLI/1.0.0/m?",
    "text/event-stream",
  ])
  settings.current = { apiUrl: "http://127.0.0.1:1", clientVersion: "2.0.0" }
  for (const token of ["c", "d"])
    expect(await send(token, { verb: "countTokens", form: "unary" })).toEqual([
      "http://127.0.0.1:1/v1internal:countTokens",
      `Bearer ${token}`,
      "GeminiCLI/2.0.0/gemini-2.5-pro",
      "application/json",
    ])
})
