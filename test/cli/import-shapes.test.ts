import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { candidates, type Recognised, recognise } from "../../src/cli/import-shapes.ts"
import { PROVIDERS, type ProviderName } from "../../src/cli/shapes.ts"

const GOOGLE = "1//0fake-google-refresh-token"
const OPENAI = "rt_fake-openai-refresh-token"
const OWN_CLIENT = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"

const login = (provider: ProviderName, format: string, token: string, project: string | null = null): Recognised => ({
  kind: "login",
  provider,
  format,
  token,
  project,
})

describe("a login is recognised in", () => {
  const cases: readonly (readonly [string, unknown, Recognised])[] = [
    [
      "the auth.json of Codex CLI",
      {
        auth_mode: "chatgpt",
        OPENAI_API_KEY: null,
        tokens: { id_token: "eyJ.a.b", access_token: "eyJ.c.d", refresh_token: OPENAI, account_id: "acc" },
        last_refresh: "2026-11-01T00:00:00Z",
      },
      login("codex", "Codex CLI", OPENAI),
    ],
    [
      "the oauth_creds.json of Gemini CLI",
      {
        access_token: "ya29.x",
        refresh_token: GOOGLE,
        scope: "https://www.googleapis.com/auth/cloud-platform",
        token_type: "Bearer",
        id_token: "eyJ.a.b",
        expiry_date: 1_790_000_000_000,
      },
      login("geminicli", "Gemini CLI", GOOGLE),
    ],
    [
      "a codex file of CLIProxyAPI, whatever its token begins with",
      { type: "codex", refresh_token: "opaque-refresh-token-1", email: "a@example.com", expired: "2026-11-01" },
      login("codex", "CLIProxyAPI", "opaque-refresh-token-1"),
    ],
    [
      "a gemini file of CLIProxyAPI",
      {
        type: "gemini",
        token: { access_token: "ya29.x", refresh_token: GOOGLE, client_id: OWN_CLIENT },
        project_id: "my-project",
        email: "a@example.com",
        auto: true,
        checked: true,
      },
      login("geminicli", "CLIProxyAPI", GOOGLE, "my-project"),
    ],
    [
      "a file of gcli2api",
      {
        client_id: OWN_CLIENT,
        client_secret: "s",
        token: "ya29.x",
        refresh_token: GOOGLE,
        scopes: ["https://www.googleapis.com/auth/cloud-platform"],
        token_uri: "https://oauth2.googleapis.com/token",
        project_id: "my-project",
        expiry: "2026-11-01T00:00:00+00:00",
      },
      login("geminicli", "gcli2api", GOOGLE, "my-project"),
    ],
    ["a resource:add entry", { refresh_token: ` ${OPENAI} ` }, login("codex", "refresh token", OPENAI)],
    [
      "a resource:add entry in the other spelling",
      { refreshToken: GOOGLE, projectId: "p-1" },
      login("geminicli", "refresh token", GOOGLE, "p-1"),
    ],
    [
      "an entry whose neighbours tell whose it is",
      { refresh_token: "opaque-refresh-token-1", project_id: "p-1" },
      login("geminicli", "refresh token", "opaque-refresh-token-1", "p-1"),
    ],
    ["a bare token of Google", GOOGLE, login("geminicli", "refresh token", GOOGLE)],
    ["a bare token of OpenAI", OPENAI, login("codex", "refresh token", OPENAI)],
  ]
  for (const [what, value, expected] of cases) test(what, () => expect(recognise(value, null)).toEqual(expected))

  test("a bare token that does not tell, once the provider is named", () => {
    expect(recognise("v1.0123456789abcdef", "codex")).toEqual(login("codex", "refresh token", "v1.0123456789abcdef"))
  })
})

describe("the reason is told for", () => {
  const cases: readonly (readonly [string, unknown, ProviderName | null, string])[] = [
    ["a Codex CLI with a key only", { OPENAI_API_KEY: "sk-x", tokens: null }, null, "no ChatGPT login"],
    [
      "a login of somebody else's service",
      { type: "claude", access_token: "x", refresh_token: "y" },
      null,
      "of claude",
    ],
    ["a service account", { type: "service_account", private_key: "x" }, null, "service account"],
    [
      "another OAuth client",
      { type: "authorized_user", client_id: "764086051850-x", refresh_token: GOOGLE },
      null,
      "another OAuth client",
    ],
    ["an access token alone", { access_token: "ya29.x" }, null, "no refresh token"],
    ["an access token in the place of a refresh token", { refresh_token: "ya29.x" }, null, "access token"],
    ["an API key", { refresh_token: "sk-proj-1" }, null, "API key"],
    ["an empty token", { refresh_token: " " }, null, "no refresh token"],
    ["a token that is a number", { refresh_token: 12 }, null, "no text"],
    ["two tokens that differ", { refresh_token: OPENAI, refreshToken: `${OPENAI}x` }, null, "two different"],
    ["a token of the other provider", { type: "codex", refresh_token: GOOGLE }, null, "its token is of geminicli"],
    ["a login of the provider that was not asked for", { refresh_token: OPENAI }, "geminicli", "of codex"],
    ["a token that does not tell whose it is", { refresh_token: "opaque-refresh-token-1" }, null, "--provider"],
    ["a token beyond any length", { refresh_token: `rt_${"x".repeat(9_000)}` }, null, "longer than"],
    ["a token with a line break", { refresh_token: `${OPENAI}\n${OPENAI}` }, null, "no token has"],
  ]
  for (const [what, value, wanted, why] of cases) {
    test(what, () => {
      const found = recognise(value, wanted)
      expect(found.kind === "unusable" ? found.why : found).toContain(why)
    })
  }
})

test("what has nothing to do with logins is none of them", () => {
  for (const value of [
    null,
    1,
    true,
    [],
    {},
    { theme: "dark" },
    "hello",
    "a sentence of some words",
    "",
    { type: "x" },
  ]) {
    expect(recognise(value, null)).toEqual({ kind: "unknown" })
  }
  expect(recognise("https://example.com/a/very/long/address1", null)).toEqual({ kind: "unknown" })
})

test("several logins are found in arrays, in the usual containers and in maps of objects", () => {
  const a = { refresh_token: OPENAI }
  const b = { refresh_token: GOOGLE }
  expect(candidates([a, [b]])).toEqual([a, b])
  expect(candidates({ accounts: [a, b] })).toEqual([a, b])
  expect(candidates({ "one.json": a, "two.json": b })).toEqual([a, b])
  expect(candidates({ tokens: { refresh_token: OPENAI } })).toEqual([{ tokens: { refresh_token: OPENAI } }])
})

/** Any JSON, and objects that look much like logins. */
const names = fc.constantFrom(
  "type",
  "tokens",
  "token",
  "refresh_token",
  "refreshToken",
  "client_id",
  "project_id",
  "access_token",
  "__proto__",
  "toString",
)
const value = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(GOOGLE, OPENAI, "codex", "gemini", "", null, 7, OWN_CLIENT),
)
const item = fc.dictionary(names, fc.oneof(value, fc.dictionary(names, value)))
const anything = fc.oneof(value, item, fc.array(item))
const wanted = fc.constantFrom<ProviderName | null>(null, ...PROVIDERS)

test("nothing makes it throw, and what it takes for a login the server will take", () => {
  fc.assert(
    fc.property(anything, wanted, (input, provider) => {
      for (const candidate of candidates(input)) {
        const found = recognise(candidate, provider)
        if (found.kind !== "login") continue
        expect(found.token).toMatch(/^[\x20-\x7e]{1,8192}$/)
        expect(found.token).toBe(found.token.trim())
        if (provider !== null) expect(found.provider).toBe(provider)
        if (found.provider === "codex") expect(found.project).toBeNull()
      }
    }),
    { numRuns: 400 },
  )
})

test("no reason repeats a token", () => {
  const token = fc.stringMatching(/^[A-Za-z0-9_-]{12,60}$/)
  fc.assert(
    fc.property(token, item, wanted, (secret, more, provider) => {
      for (const candidate of [{ ...more, refresh_token: secret }, { ...more, type: secret, token: secret }, secret]) {
        const found = recognise(candidate, provider)
        // Short words are shown where a shape says whose file it is.
        if (found.kind === "unusable" && secret.length > 20) expect(found.why).not.toContain(secret)
      }
    }),
  )
})
