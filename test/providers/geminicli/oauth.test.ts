import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import fc from "fast-check"
import { systemClock } from "../../../src/observe/clock.ts"
import { claimsOf, userinfoUrl } from "../../../src/providers/geminicli/identity.ts"
import { createGeminicli } from "../../../src/providers/geminicli/index.ts"
import { readAnswer } from "../../../src/providers/geminicli/oauth.ts"
import { createUpstreams } from "../../../src/relay/fetcher.ts"
import { rig, settingsFor, silent } from "./support.ts"

const signal = () => new AbortController().signal
const VERIFIER = "v".repeat(43)
const challenge = createHash("sha256").update(VERIFIER).digest("base64url")
const redirectUri = "http://localhost:8188/oauth2callback"

/** Follows the browser to the callback. */
async function consent(module: ReturnType<typeof rig>["module"], state = "the-state") {
  const url = module.oauth.authorizeUrl({ state, challenge, redirectUri })
  const response = await fetch(url, { redirect: "manual" })
  return { url, back: new URL(response.headers.get("location") ?? "http://none.test/") }
}

describe("a login in the browser", () => {
  test("asks for what the official client asks for, with PKCE, and gets tokens for the code", async () => {
    const { google, module } = rig()
    const account = google.addAccount()
    const { url, back } = await consent(module)
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      response_type: "code",
      access_type: "offline",
      prompt: "consent",
      state: "the-state",
      code_challenge_method: "S256",
      redirect_uri: redirectUri,
      scope: ["cloud-platform", "userinfo.email", "userinfo.profile"]
        .map((name) => `https://www.googleapis.com/auth/${name}`)
        .join(" "),
    })
    expect(back.searchParams.get("state")).toBe("the-state")
    const code = back.searchParams.get("code") ?? ""
    const before = Date.now()
    const result = await module.oauth.exchange({ code, verifier: VERIFIER, redirectUri }, signal())
    if (result.kind !== "ok") throw new Error(result.message)
    expect(claimsOf(result.tokens.idToken)).toEqual({ sub: account.sub, email: account.email })
    expect(result.tokens.expiresAt).toBeGreaterThan(before + 3_500_000)
    const again = await module.oauth.exchange({ code, verifier: VERIFIER, redirectUri }, signal())
    expect(again).toMatchObject({ kind: "failed", code: "TOKEN_EXCHANGE_FAILED" })
  })

  test("fails with a reason for a wrong verifier, no refresh token, an unreachable or broken endpoint", async () => {
    const { google, module } = rig()
    google.addAccount()
    const code = async () => (await consent(module)).back.searchParams.get("code") ?? ""
    const exchange = async (verifier = VERIFIER) =>
      module.oauth.exchange({ code: await code(), verifier, redirectUri }, signal())
    expect(await exchange("w".repeat(43))).toMatchObject({
      code: "TOKEN_EXCHANGE_FAILED",
      message: expect.stringContaining("invalid_grant"),
    })
    google.fault({ on: "token", status: 200, body: { access_token: "a", expires_in: 1 } })
    expect(await exchange()).toMatchObject({ code: "MISSING_REFRESH_TOKEN" })
    google.fault({ on: "token", status: 502, body: "<html>" })
    expect(await exchange()).toMatchObject({ code: "TOKEN_EXCHANGE_FAILED", message: expect.stringContaining("502") })
    google.fault({ on: "token", before: "reset" })
    expect(await exchange()).toMatchObject({ code: "TOKEN_EXCHANGE_FAILED" })
  })

  test("explains what Google's page says", () => {
    const { module } = rig()
    expect(module.oauth.explain("access_denied", null)).toContain("refused")
    expect(module.oauth.explain("toString", null)).toBeNull()
  })
})

describe("a refresh", () => {
  test("keeps the old refresh token, or takes the new one", async () => {
    for (const rotation of ["none", "keep-old", "kill-old"] as const) {
      const { google, module } = rig({ rotation })
      const account = google.addAccount()
      const before = account.refreshToken
      const result = await module.refresher.refresh(before, signal())
      if (result.kind !== "ok") throw new Error(result.kind)
      expect(result.tokens.refreshToken).toBe(account.refreshToken)
      expect(result.tokens.refreshToken === before).toBe(rotation === "none")
      expect(result.who).toEqual({ email: account.email })
    }
  })

  test("sends the client in the form, as the official one does", async () => {
    const { google, module } = rig()
    await module.refresher.refresh(google.addAccount().refreshToken, signal())
    const [request] = google.seen("token")
    expect(request?.headers.authorization).toBeUndefined()
    expect(request?.headers["content-type"]).toBe("application/x-www-form-urlencoded")
    expect(Object.keys(request?.json ?? {}).toSorted()).toEqual([
      "client_id",
      "client_secret",
      "grant_type",
      "refresh_token",
    ])
  })

  const oauth = (error: unknown, more: object = {}) => ({
    error,
    error_description: "Token has been expired or revoked.",
    ...more,
  })
  test.each([
    ["a revoked token", 400, oauth("invalid_grant"), { kind: "permanent", reason: "invalid_grant", ban: false }],
    ["a token of another client", 401, oauth("unauthorized_client"), { kind: "permanent" }],
    ["a refusal", 403, oauth("access_denied"), { kind: "permanent" }],
    ["a wrong client", 401, oauth("invalid_client"), { kind: "ours", reason: "invalid_client" }],
    ["a malformed request", 400, oauth("invalid_request"), { kind: "ours" }],
    ["a code that nobody knows", 400, oauth("quantum_flux"), { kind: "transient" }],
    [
      "words that sound final under a passing code",
      400,
      oauth("slow_down", { error_description: "invalid_grant" }),
      { kind: "transient" },
    ],
    ["a 5xx with an OAuth code", 500, oauth("invalid_grant"), { kind: "transient", reason: "http_500" }],
    ["too many requests", 429, oauth("invalid_grant"), { kind: "transient" }],
    ["an error object", 403, oauth({ code: 403, message: "User Rate Limit Exceeded" }), { kind: "transient" }],
    ["HTML", 403, "<html>User Rate Limit Exceeded</html>", { kind: "transient" }],
    ["a 200 without a token", 200, {}, { kind: "transient" }],
    ["a 200 that is no JSON", 200, "ok", { kind: "transient" }],
    ["a redirect", 302, "", { kind: "transient" }],
  ])("%s", async (_, status, body, expected) => {
    const { google, module } = rig()
    const account = google.addAccount()
    google.fault({ on: "token", status, body, headers: { "retry-after": "9" } })
    const result = await module.refresher.refresh(account.refreshToken, signal())
    expect(result).toMatchObject(expected)
    expect(JSON.stringify(result)).not.toContain(account.refreshToken)
  })

  test("a passing failure says when to come back", async () => {
    const { google, module } = rig()
    google.fault({ on: "token", status: 429, body: "", headers: { "retry-after": "9" } })
    expect(await module.refresher.refresh("1//x", signal())).toMatchObject({ kind: "transient", retryAfterMs: 9_000 })
  })

  test("is ambiguous when it was sent and not answered, and is not when it was not sent", async () => {
    const { google, module } = rig()
    const { refreshToken } = google.addAccount()
    google.fault({ on: "token", before: "reset" })
    expect((await module.refresher.refresh(refreshToken, signal())).kind).toBe("ambiguous")
    google.fault({ on: "token", before: "hang" })
    expect((await module.refresher.refresh(refreshToken, AbortSignal.timeout(50))).kind).toBe("ambiguous")
    const settings = { current: settingsFor("http://127.0.0.1:1") }
    const upstreams = createUpstreams({ settings, log: silent })
    const nowhere = createGeminicli({ settings, ...upstreams, clock: systemClock, random: Math.random, log: silent })
    expect(await nowhere.refresher.refresh(refreshToken, signal())).toMatchObject({
      kind: "transient",
      reason: "network",
    })
  })

  test("only a code in a 4xx answer is ever final, whatever the body", () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), fc.oneof(fc.string(), fc.json()), (status, body) => {
        const answer = readAnswer(status, new Headers(), body, 0)
        if (answer.kind === "refused") expect(status >= 400 && status < 500).toBe(true)
      }),
    )
  })
})

describe("whose tokens they are", () => {
  test("an id_token that cannot be read names nobody", () => {
    for (const token of [
      null,
      "",
      "a.b.c",
      "x",
      `${"a".repeat(1000)}.${"b".repeat(1000)}.c`,
      "eyJhbGciOiJub25lIn0.eyJzdWIiOjV9.",
    ])
      expect(claimsOf(token)).toBeNull()
    fc.assert(fc.property(fc.string(), (token) => void claimsOf(token)))
  })

  test("userinfo stands beside the token endpoint, Google's own apart from it", () => {
    expect(userinfoUrl("https://oauth2.googleapis.com/token")).toBe("https://www.googleapis.com/oauth2/v2/userinfo")
    expect(userinfoUrl("http://127.0.0.1:9/token")).toBe("http://127.0.0.1:9/oauth2/v2/userinfo")
  })

  test("projects of a seed are read in both spellings", () => {
    const { module } = rig()
    expect(module.seedAccount({ project_id: " p " })).toBe("p")
    expect(module.seedAccount({ projectId: "q" })).toBe("q")
    // Not passed over: it is refused later, with a word on what to give instead.
    expect(module.seedAccount({ project_id: 123456789012 })).toBe("123456789012")
    for (const item of [{}, { project_id: "" }, { project_id: true }, { projectId: null }])
      expect(module.seedAccount(item)).toBeNull()
  })
})
