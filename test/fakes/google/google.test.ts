import { afterEach, describe, expect, test } from "bun:test"
import { type AccountOptions, type FakeAccount, type FakeGoogle, startFakeGoogle } from "../google.ts"

let google: FakeGoogle
afterEach(() => google.stop())

const hello = [{ role: "user", parts: [{ text: "hi" }] }]
const call = { functionCall: { name: "f", args: {} } }

function begin(options: AccountOptions = {}): FakeAccount {
  google = startFakeGoogle()
  return google.addAccount(options)
}

async function post(method: string, body: unknown, account: FakeAccount, headers: Record<string, string> = {}) {
  const response = await fetch(`${google.url}/v1internal:${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${google.issue(account)}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

describe("the fake Google refuses what the real one refuses", () => {
  const envelope = (request: object, more: object = {}) => ({
    model: "gemini-3-pro-preview",
    project: "companion-1",
    user_prompt_id: "x",
    request,
    ...more,
  })

  test.each([
    ["a member it does not know in the envelope", envelope({ contents: hello }, { contents: [] }), 400],
    ["a member it does not know in the request", envelope({ contents: hello, model: "x" }), 400],
    ["snake case", envelope({ contents: hello, system_instruction: {} }), 400],
    ["a text as system instruction", envelope({ contents: hello, systemInstruction: "s" }), 400],
    ["no contents", envelope({ contents: [] }), 400],
    ["no role", envelope({ contents: [{ parts: [{ text: "hi" }] }] }), 400],
    ["no parts", envelope({ contents: [{ role: "user", parts: [] }] }), 400],
    ["an empty part", envelope({ contents: [{ role: "user", parts: [{}] }] }), 400],
    ["a call without a signature", envelope({ contents: [...hello, { role: "model", parts: [call] }] }), 400],
    [
      "a made-up signature",
      envelope({ contents: [...hello, { role: "model", parts: [{ ...call, thoughtSignature: "eA==" }] }] }),
      400,
    ],
    ["a foreign project", envelope({ contents: hello }, { project: "other" }), 403],
    ["no project", { model: "m", request: { contents: hello } }, 403],
  ])("%s", async (_, body, status) => {
    const refused = await post("generateContent", body, begin())
    expect([refused.status, refused.body.error.code]).toEqual([status, status])
  })

  test("a model that was not released to the account, a wrong token, a wrong content type", async () => {
    const account = begin({ models: ["m"] })
    const body = envelope({ contents: hello })
    expect((await post("generateContent", body, account)).status).toBe(404)
    expect((await post("generateContent", body, account, { authorization: "Bearer no" })).status).toBe(401)
    expect((await post("generateContent", body, account, { "content-type": "text/plain" })).status).toBe(400)
  })

  test("a project given to a free tier's onboarding", async () => {
    const account = begin({ tier: "free-tier", onboarded: false })
    const body = { tierId: "free-tier", cloudaicompanionProject: "companion-1", metadata: {} }
    expect((await post("onboardUser", body, account)).body.error.message).toBe("Precondition Failed")
  })

  test("tokens of nobody, JSON instead of a form, a wrong client", async () => {
    const { refreshToken } = begin()
    const ask = async (body: string, type = "application/x-www-form-urlencoded") => {
      const response = await fetch(`${google.url}/token`, { method: "POST", headers: { "content-type": type }, body })
      return [response.status, (await response.json()).error]
    }
    expect(await ask(`grant_type=refresh_token&refresh_token=${refreshToken}&client_id=x&client_secret=y`)).toEqual([
      401,
      "invalid_client",
    ])
    expect(await ask(JSON.stringify({ grant_type: "refresh_token" }), "application/json")).toEqual([
      400,
      "invalid_request",
    ])
  })
})

describe("the fake Google does wrong what it is told to", () => {
  test("once, for the account it was told of", async () => {
    const account = begin()
    const other = google.addAccount()
    google.fault({ on: "generate", account, status: 503, body: { error: {} }, headers: { "retry-after": "1" } })
    const body = (of: FakeAccount) => ({ model: "m", project: of.project, request: { contents: hello } })
    const answers = [await post("generateContent", body(other), other)]
    for (let i = 0; i < 2; i++) answers.push(await post("generateContent", body(account), account))
    expect(answers.map(({ status }) => status)).toEqual([200, 503, 200])
    expect(google.seen("generateContent").map((request) => request.account?.sub)).toEqual([
      other.sub,
      account.sub,
      account.sub,
    ])
  })
})
