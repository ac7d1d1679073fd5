import { afterEach, beforeEach, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { expiryOf, identify, identityOf } from "../../../src/providers/codex/identity.ts"
import { classifyRefusal } from "../../../src/providers/codex/refresh-rules.ts"
import { type FakeAccount, type FakeOpenAI, startFakeOpenAI } from "../../fakes/openai.ts"
import { codexFor, NOW } from "./support.ts"

let fake: FakeOpenAI
let account: FakeAccount
let codex: ReturnType<typeof codexFor>
const signal = () => new AbortController().signal

beforeEach(() => {
  fake = startFakeOpenAI({ accounts: 0 })
  account = fake.addAccount({ plan: "plus" })
  codex = codexFor(fake)
})
afterEach(() => fake.stop())

const REDIRECT = "http://localhost:1455/auth/callback"
const VERIFIER = "v".repeat(64)
const challenge = createHash("sha256").update(VERIFIER).digest("base64url")

async function visit(): Promise<URL> {
  fake.visit(account)
  const url = codex.oauth.authorizeUrl({ state: "s".repeat(32), challenge, redirectUri: REDIRECT })
  const response = await fetch(url, { redirect: "manual" })
  return new URL(response.headers.get("location") ?? "http://nowhere.invalid")
}

test("the authorize URL has what the page asks for, spaces as %20", async () => {
  const url = codex.oauth.authorizeUrl({ state: "s".repeat(32), challenge, redirectUri: REDIRECT })
  expect(url.href).not.toContain("+")
  expect(url.href).toContain("scope=openid%20profile%20email%20offline_access")
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    client_id: "app_EMoamEEZ73f0CkXaXp7hrann",
    response_type: "code",
    code_challenge_method: "S256",
    redirect_uri: REDIRECT,
    originator: "codex_cli_rs",
    id_token_add_organizations: "true",
    codex_cli_simplified_flow: "true",
  })
  expect(codex.oauth).toMatchObject({
    callbackPaths: ["/auth/callback", "/codex/auth/callback"],
    loopbackPorts: [1455, 1457],
    redirectPath: "/auth/callback",
  })
})

test("a login's code becomes tokens with an identity", async () => {
  const back = await visit()
  const code = back.searchParams.get("code") ?? ""
  const exchanged = await codex.oauth.exchange({ code, verifier: VERIFIER, redirectUri: REDIRECT }, signal())
  if (exchanged.kind !== "ok") throw new Error(exchanged.message)
  expect(await codex.refresher.identify(exchanged.tokens, null, signal())).toEqual({
    kind: "ok",
    who: { sub: account.sub, account: account.accountId, email: account.email, plan: "plus" },
  })
  const again = await codex.oauth.exchange({ code, verifier: VERIFIER, redirectUri: REDIRECT }, signal())
  expect(again).toMatchObject({ kind: "failed", code: "TOKEN_EXCHANGE_FAILED" })
})

test("an exchange says what is missing in its answer", async () => {
  const exchange = async (fields: Record<string, null>) => {
    const code = (await visit()).searchParams.get("code") ?? ""
    fake.tokenFault({ kind: "fields", fields })
    return codex.oauth.exchange({ code, verifier: VERIFIER, redirectUri: REDIRECT }, signal())
  }
  expect(await exchange({ refresh_token: null })).toMatchObject({ code: "MISSING_REFRESH_TOKEN" })
  expect(await exchange({ id_token: null })).toMatchObject({ code: "MISSING_ID_TOKEN" })
  expect(await exchange({ access_token: null })).toMatchObject({ code: "TOKEN_EXCHANGE_FAILED" })
})

test("a refused login is explained", () => {
  expect(codex.oauth.explain("access_denied", "missing_codex_entitlement")).toContain("no access to Codex")
  expect(codex.oauth.explain("access_denied", null)).toContain("refused")
  expect(codex.oauth.explain("server_error", null)).toBeNull()
})

test("the device login waits for the person, then gives tokens", async () => {
  const { device } = codex.oauth
  if (device === null) throw new Error("no device flow")
  const start = await device.start(signal())
  if ("kind" in start) throw new Error(start.message)
  expect(start).toMatchObject({ verificationUrl: `${fake.url}/codex/device`, intervalMs: 5_000, expiresInMs: 900_000 })
  expect(await device.poll(start.handle, signal())).toEqual({ kind: "pending" })
  expect(fake.approveDevice(start.userCode, account)).toBeTrue()
  expect(await device.poll(start.handle, signal())).toMatchObject({ kind: "ok" })
  expect(await device.poll(start.handle, signal())).toMatchObject({ kind: "failed" })
  expect(await device.poll("nonsense", signal())).toMatchObject({ kind: "failed" })
})

test("a refresh is JSON without a scope, rotates the token, and tells plan and e-mail anew", async () => {
  const old = account.refreshToken
  account.plan = "pro"
  account.email = "new@example.com"
  const refreshed = await codex.refresher.refresh(old, signal())
  if (refreshed.kind !== "ok") throw new Error(refreshed.kind)
  expect(refreshed.tokens.refreshToken).toBe(account.refreshToken)
  expect(refreshed.tokens.refreshToken).not.toBe(old)
  expect(refreshed.who).toEqual({ email: "new@example.com", plan: "pro" })
  const lifetime = refreshed.tokens.expiresAt - Date.now()
  expect(lifetime).toBeWithin(863_900_000, 864_001_000)
  const request = fake.requestsTo("/oauth/token").at(-1)
  expect(request?.json).toEqual({
    client_id: "app_EMoamEEZ73f0CkXaXp7hrann",
    grant_type: "refresh_token",
    refresh_token: old,
  })
  expect(request?.headers).toMatchObject({ originator: "codex_cli_rs", version: "0.155.0" })
})

test("an answer without a new refresh token or id token keeps the old ones", async () => {
  fake.tokenFault({ kind: "fields", fields: { refresh_token: null, id_token: null, expires_in: 60 } })
  const old = account.refreshToken
  const refreshed = await codex.refresher.refresh(old, signal())
  if (refreshed.kind !== "ok") throw new Error(refreshed.kind)
  expect(refreshed.tokens.refreshToken).toBe(old)
  expect(refreshed.tokens.idToken).toBeNull()
  // The access token's own claims still tell who it is.
  expect(refreshed.who).toEqual({ email: account.email, plan: "plus" })
  expect(refreshed.tokens.expiresAt - Date.now()).toBeLessThanOrEqual(60_000)
})

test("reuse of a spent token is final, and takes the family with it", async () => {
  const old = account.refreshToken
  expect(await codex.refresher.refresh(old, signal())).toMatchObject({ kind: "ok" })
  expect(await codex.refresher.refresh(old, signal())).toMatchObject({
    kind: "permanent",
    reason: "refresh_token_reused",
    ban: false,
  })
  expect(await codex.refresher.refresh(account.refreshToken, signal())).toMatchObject({
    kind: "permanent",
    reason: "refresh_token_invalidated",
  })
})

test("only what surely never left is called transient; what was sent and not answered is ambiguous", async () => {
  fake.tokenFault({ kind: "drop_after" })
  expect(await codex.refresher.refresh(account.refreshToken, signal())).toMatchObject({ kind: "ambiguous" })
  fake.tokenFault({ kind: "drop_before" })
  expect(await codex.refresher.refresh(account.refreshToken, signal())).toMatchObject({ kind: "ambiguous" })
  fake.tokenFault({ kind: "delay", ms: 500 })
  expect(await codex.refresher.refresh(account.refreshToken, AbortSignal.timeout(50))).toMatchObject({
    kind: "ambiguous",
  })
  fake.tokenFault({ kind: "fields", fields: { access_token: null } })
  expect(await codex.refresher.refresh(account.refreshToken, signal())).toMatchObject({ kind: "ambiguous" })

  const nowhere = codexFor(null)
  expect(await nowhere.refresher.refresh("rt", signal())).toMatchObject({ kind: "transient", reason: "connect" })
  expect(await codex.refresher.refresh("rt", AbortSignal.abort())).toMatchObject({
    kind: "transient",
    reason: "aborted",
  })
})

/** Spec codex 1.8. */
const refusals: readonly (readonly [
  status: number,
  body: unknown,
  headers: Record<string, string>,
  expected: object,
])[] = [
  [
    401,
    { error: { code: "refresh_token_expired" } },
    {},
    { kind: "permanent", reason: "refresh_token_expired", ban: false },
  ],
  [
    400,
    { error: "invalid_grant", error_description: "gone" },
    {},
    { kind: "permanent", reason: "invalid_grant", detail: "gone" },
  ],
  [401, { error_code: "app_session_terminated" }, {}, { kind: "permanent", reason: "app_session_terminated" }],
  [401, { error: { code: "account_deactivated" } }, {}, { kind: "permanent", ban: true }],
  [401, "", {}, { kind: "permanent", reason: "status_401" }],
  [401, { error: { code: "never_heard_of" } }, {}, { kind: "permanent", reason: "never_heard_of" }],
  [400, { error: "invalid_client" }, {}, { kind: "ours" }],
  [400, { error: { code: "unsupported_grant_type" } }, {}, { kind: "ours" }],
  [
    403,
    "<html><title>Just a moment...</title>",
    { "cf-mitigated": "challenge" },
    { kind: "transient", reason: "challenge", retryAfterMs: 60_000 },
  ],
  [401, "<html>odd</html>", {}, { kind: "transient", reason: "challenge" }],
  [429, "", { "retry-after": "90" }, { kind: "transient", retryAfterMs: 90_000 }],
  [429, "", {}, { kind: "transient", retryAfterMs: 60_000 }],
  [500, { error: { code: "server_error" } }, {}, { kind: "transient", retryAfterMs: null }],
  [503, { error: "invalid_grant" }, {}, { kind: "transient" }],
  [502, "<html><h1>502 Bad Gateway</h1></html>", {}, { kind: "transient", reason: "status_502", retryAfterMs: null }],
  [503, "<html>", { "cf-mitigated": "challenge" }, { kind: "transient", reason: "challenge", retryAfterMs: 60_000 }],
  [400, { error: { code: "never_heard_of" } }, {}, { kind: "transient" }],
  [404, "", {}, { kind: "transient" }],
]

for (const [status, body, headers, expected] of refusals) {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  test(`a refresh refused with ${status} ${text.slice(0, 60)}`, () => {
    expect(classifyRefusal(status, new Headers(headers), text, NOW)).toMatchObject(expected)
  })
}

const jwt = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`
const auth = { chatgpt_account_id: "acc", chatgpt_plan_type: "team" }

test("identity comes from the id token, else from the access token", () => {
  const id = jwt({ sub: "s", email: "a@example.com", "https://api.openai.com/auth": auth })
  const access = jwt({
    sub: "s2",
    "https://api.openai.com/auth": { chatgpt_account_id: "acc2" },
    "https://api.openai.com/profile": { email: "b@example.com" },
  })
  expect(identityOf(id, access)).toEqual({ sub: "s", account: "acc", email: "a@example.com", plan: "team" })
  expect(identityOf(null, access)).toEqual({ sub: "s2", account: "acc2", email: "b@example.com" })
  expect(identityOf("garbage", "garbage")).toEqual({})
})

test("tokens without a workspace are refused in words, not guessed at", () => {
  const tokens = { accessToken: "opaque", refreshToken: "r", expiresAt: 0, idToken: jwt({ sub: "s" }) }
  expect(identify(tokens)).toMatchObject({ kind: "refused", reason: "no_identity" })
  expect(identify({ ...tokens, idToken: null })).toMatchObject({ kind: "refused" })
})

test("expiry is the earlier of the token's own and the answer's", () => {
  const token = jwt({ exp: NOW / 1000 + 1_000 })
  expect(expiryOf(token, 864_000, NOW)).toBe(NOW + 1_000_000)
  expect(expiryOf(token, 10, NOW)).toBe(NOW + 10_000)
  expect(expiryOf(token, undefined, NOW)).toBe(NOW + 1_000_000)
  expect(expiryOf("opaque", "60", NOW)).toBe(NOW + 60_000)
  expect(expiryOf("opaque", null, NOW)).toBe(NOW + 3_600_000)
})

test("a challenge page at the token endpoint changes nothing about the credential", async () => {
  expect(classifyRefusal(403, new Headers(), "<html>", NOW)).toMatchObject({ kind: "transient" })
  fake.tokenFault({ kind: "status", status: 403, body: "<html>", headers: { "cf-mitigated": "challenge" } })
  expect(await codex.refresher.refresh(account.refreshToken, signal())).toMatchObject({ kind: "transient" })
  expect(fake.isLive(account.refreshToken)).toBeTrue()
})
