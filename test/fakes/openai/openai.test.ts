import { afterEach, beforeEach, expect, test } from "bun:test"
import { type FakeAccount, type FakeOpenAI, startFakeOpenAI } from "../openai.ts"
import { CLIENT_ID } from "./accounts.ts"

let fake: FakeOpenAI
let account: FakeAccount

beforeEach(() => {
  fake = startFakeOpenAI({ accounts: 0 })
  account = fake.addAccount()
})
afterEach(() => fake.stop())

const refresh = (refresh_token: string, more: object = {}) =>
  fetch(fake.tokenUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id: CLIENT_ID, grant_type: "refresh_token", refresh_token, ...more }),
  })

const good = {
  model: "gpt-5.2-codex",
  instructions: "",
  store: false,
  stream: true,
  input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] }],
}

function send(body: object, changes: Record<string, string | null> = {}) {
  const headers = new Headers({
    authorization: `Bearer ${fake.login(account).access_token}`,
    "chatgpt-account-id": account.accountId,
    "content-type": "application/json",
    originator: "codex_cli_rs",
    version: "0.155.0",
    "user-agent": "codex_cli_rs/0.155.0 (x)",
  })
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) headers.delete(name)
    else headers.set(name, value)
  }
  return fetch(`${fake.apiUrl}/responses`, { method: "POST", headers, body: JSON.stringify(body) })
}

test("every refresh rotates the token, and reuse kills the family", async () => {
  const first = account.refreshToken
  expect((await refresh(first)).status).toBe(200)
  const second = account.refreshToken
  expect(second).not.toBe(first)
  expect(fake.isLive(second)).toBeTrue()
  const reused = await refresh(first)
  expect(reused.status).toBe(401)
  expect(Object(await reused.json()).error.code).toBe("refresh_token_reused")
  expect(fake.isLive(second)).toBeFalse()
  expect(Object(await (await refresh(second)).json()).error.code).toBe("refresh_token_invalidated")
})

test("a refresh must be the official client's, without a scope", async () => {
  expect((await refresh(account.refreshToken, { client_id: "other" })).status).toBe(400)
  expect((await refresh(account.refreshToken, { scope: "openid" })).status).toBe(400)
  expect((await refresh("unheard-of")).status).toBe(401)
  expect(fake.isLive(account.refreshToken)).toBeTrue()
})

test("a request that is right gets a stream whose last event has no output", async () => {
  const text = await (await send(good)).text()
  const last = text.slice(text.lastIndexOf("data: ") + 6)
  expect(Object(JSON.parse(last)).response).toMatchObject({ status: "completed", output: [] })
})

test("what the real backend refuses is refused", async () => {
  const user = (content: unknown, more: object = {}) => ({ ...good, input: [{ role: "user", content, ...more }] })
  const part = [{ type: "input_text", text: "x" }]
  const refused: readonly (readonly [body: object, status: number, says: string])[] = [
    [{ ...good, store: true }, 400, "Store must be set to false"],
    [{ ...good, stream: false }, 400, "Stream must be set to true"],
    [{ ...good, instructions: undefined }, 400, "Instructions are required"],
    [{ ...good, temperature: 1 }, 400, "Unsupported parameter: temperature"],
    [{ ...good, input: "hi" }, 400, "Input must be a list"],
    [user(part, { role: "system" }), 400, "System messages are not allowed"],
    [user(part, { role: "assistant" }), 400, "input_text"],
    [user(part, { type: "message", id: "item_1" }), 404, "Item with id"],
    [{ ...good, input: [{ type: "item_reference", id: "msg_1" }] }, 404, "Item with id"],
    [{ ...good, input: [{ type: "reasoning", encrypted_content: "other" }] }, 400, "invalid_encrypted_content"],
    [{ ...good, model: "unheard-of" }, 404, "Model not found"],
    [{ ...good, model: "gpt-9-future" }, 400, "requires a newer version of Codex"],
    [{ ...good, service_tier: "auto" }, 400, "service_tier"],
    [{ ...good, include: ["nonsense"] }, 400, "nonsense"],
    [{ ...good, tools: [{ type: "web_search_preview" }] }, 400, "web_search_preview"],
  ]
  for (const [body, status, says] of refused) {
    const response = await send(body)
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(says)])
  }
  expect((await send(good, { version: null })).status).toBe(400)
  expect((await send(good, { authorization: "Bearer nobody" })).status).toBe(401)
  expect((await send(good, { "chatgpt-account-id": "other" })).status).toBe(401)
  expect((await send(good, { "content-type": "text/plain" })).status).toBe(415)
  expect((await send(good, { "x-forwarded-for": "1.2.3.4" })).status).toBe(418)
})

test("tokens expire and are revoked on demand", async () => {
  const { access_token } = fake.login(account)
  const code = async () => {
    const response = await send(good, { authorization: `Bearer ${access_token}` })
    return response.status === 200 ? "ok" : Object(await response.json()).error.code
  }
  expect(await code()).toBe("ok")
  fake.expireAccess(account)
  expect(await code()).toBe("token_expired")
  fake.revoke(account)
  expect(fake.isLive(account.refreshToken)).toBeFalse()
  expect(await code()).toBe("token_invalidated")
})
