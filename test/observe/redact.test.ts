import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { evident, maskEmail, redact } from "../../src/observe/redact.ts"

const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
const HEX = "0123456789abcdef"

function string(alphabet: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength })
}

const opaque = (minLength: number) => string(BASE64URL, minLength, minLength + 60)
const jwt = fc
  .tuple(opaque(20), opaque(30), opaque(43))
  .map(([head, body, signature]) => `eyJ${head}.${body}.${signature}`)

/** Secrets by their own shape: recognised wherever they stand. */
const shaped = fc.oneof(
  jwt,
  opaque(20).map((rest) => `ya29.${rest}`),
  opaque(20).map((rest) => `1//${rest}`),
  opaque(20).map((rest) => `4/0${rest}`),
  opaque(20).map((rest) => `AIza${rest}`),
  opaque(20).map((rest) => `rt_${rest}`),
  opaque(20).map((rest) => `oaistb_rt_${rest}`),
  opaque(20).map((rest) => `sk-${rest}`),
  opaque(40),
  string(HEX, 32, 64),
)
/** Recognised by what stands before them, however short or plain they are. */
const word = string("abcdefghijklmnopqrstuvwxyz0123456789", 6, 20).map((text) => `x${text}9`)
const before = fc.constantFrom(
  "Authorization: Bearer ",
  "authorization: ",
  "x-goog-api-key: ",
  "X-Api-Key: ",
  "cookie: session=",
  "Set-Cookie: id=",
  "?key=",
  "&code=",
  "&state=",
  "token=",
  "refresh_token=",
  "access_token=",
  "client_secret=",
  "code_verifier=",
  'refresh_token":"',
  '{"refresh_token":"',
  '{"access_token": "',
  '{\\"id_token\\":\\"',
  '{"refreshToken":"',
  '"pollux_key":"',
  "bearer ",
  "http://user:",
)
const after: Readonly<Record<string, string>> = { "http://user:": "@proxy.example:8080" }
const prose = fc.constantFrom(
  "",
  "refused: ",
  "GET /auth/callback ",
  "upstream said ",
  "(",
  "日本 ",
  "https://example.com/path ",
)
const tail = fc.constantFrom("", " failed", ")", "\n", '"', "; retrying", "&x=1")

describe("redact", () => {
  test("lets no secret of a known shape survive, wherever it stands", () => {
    fc.assert(
      fc.property(prose, shaped, tail, (head, secret, rest) => {
        expect(redact(`${head}${secret}${rest}`)).not.toContain(secret)
      }),
      { numRuns: 3000 },
    )
  })

  test("lets no secret survive behind a name that announces one", () => {
    fc.assert(
      fc.property(prose, before, fc.oneof(word, shaped), tail, (head, name, secret, rest) => {
        expect(redact(`${head}${name}${secret}${after[name] ?? ""}${rest}`)).not.toContain(secret)
      }),
      { numRuns: 5000 },
    )
  })

  test("keeps no long piece of a token either", () => {
    fc.assert(
      fc.property(prose, shaped, tail, (head, secret, rest) => {
        const clean = redact(`${head}${secret}${rest}`)
        for (let at = 0; at + 12 <= secret.length; at++) expect(clean).not.toContain(secret.slice(at, at + 12))
      }),
      { numRuns: 500 },
    )
  })

  test("masks addresses, plain and percent-encoded, and keeps their domain", () => {
    fc.assert(
      fc.property(
        fc.emailAddress().filter((email) => (email.split("@")[0] ?? "").length > 1),
        (email) => {
          expect(redact(`account ${email} added`)).not.toContain(email)
        },
      ),
    )
    expect(redact("for jane.doe@example.com now")).toBe("for j***@example.com now")
    expect(redact("login_hint=jane%40example.com")).not.toContain("jane")
    expect(redact('{"email":"jane@example.com"}')).toBe('{"email":"j***@example.com"}')
    expect(maskEmail("j@example.com")).toBe("j***@example.com")
    expect(maskEmail("no address")).toBe("***")
  })

  test("changes nothing when it is applied twice to text with ordinary addresses", () => {
    const address = string("abcdefghij.", 2, 12).map((local) => `${local}@example.com`)
    fc.assert(
      fc.property(fc.array(fc.oneof(prose, before, shaped, word, tail, address), { maxLength: 6 }), (parts) => {
        const once = redact(parts.join(""))
        expect(redact(once)).toBe(once)
      }),
      { numRuns: 3000 },
    )
  })

  test("never throws, whatever the text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => typeof redact(text) === "string"))
  })

  test("finishes soon on texts made to be slow", () => {
    for (const unit of ["a", "-", "a-", "aB", '"', "\\", "eyJ", "a@", "key=", "Bearer ", "1//"]) {
      const started = performance.now()
      redact(unit.repeat(20_000 / unit.length))
      expect(performance.now() - started).toBeLessThan(2000)
    }
  })

  test.each([
    "/geminicli/v1beta/models/gemini-2.5-pro:streamGenerateContent",
    "https://cloudcode-pa.googleapis.com/v1internal:streamGenerateContent",
    "/codex/v1/responses/compact",
    "gemini-2.5-flash-lite-preview-06-17",
    "claude-opus-4-20250514-thinking-extended",
    "codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)",
    "GeminiCLI/0.61.0/gemini-2.5-pro (linux; x64)",
    "AbCdEfGhIjKl-_90",
    "550e8400-e29b-41d4-a716-446655440000",
    "getaddrinfo ENOTFOUND cloudcode-pa.googleapis.com",
    "ENOENT: no such file or directory, open /usr/lib/systemd/system-preset/pollux",
    "no credential is ready; start_time_of_next_attempt in 4 s",
    "2026-11-22T11:20:11.704Z",
    "refresh token expired; bearer tokens are refused",
    "@google/genai 2.32.0",
    "pkg@1.2.3",
  ])("leaves %p as it is", (text) => {
    expect(redact(text)).toBe(text)
  })

  test("keeps the path of a file of ours, whose folder has a random part", () => {
    for (const path of ["/tmp/pollux-Xk29fQ/a1B2c3D4/config.toml", "/var/folders/zz/zyxvpxvq6csfxvn0/T/data.db-wal"]) {
      for (const text of [`run: chmod 600 ${path}`, `${path}: holds a key`, `"${path}"`])
        expect(redact(text)).toBe(text)
    }
  })

  test("masks what only looks like a path of a file", () => {
    const long = "aB3dE5gH7jK9mN1pQ3sT5vW7"
    for (const text of [
      `x /tmp/${long}/config.toml`,
      "x /aB3dE5gH7jK9/mN1pQ3sT5vW7",
      "x /aB3dE5gH7jK9/mN1pQ3sT5vW7.zz9",
      "x /aB3dE5gH7jK9/mN1pQ3sT5vW7.tomlaB3dE5gH",
      "token=/aB3dE5gH7jK9/mN1pQ3sT5vW7.toml",
      "Bearer /aB3dE5gH7jK9/mN1pQ3sT5vW7.toml",
      "x1/aB3dE5gH7jK9/mN1pQ3sT5vW7.toml",
    ]) {
      expect(redact(text)).toContain("***")
      expect(redact(text)).not.toContain("aB3dE5gH7jK9")
    }
  })

  test("keeps error codes of upstream bodies readable", () => {
    const body = '{"error":{"code":"usage_limit_reached","message":"The usage limit has been reached","type":"x"}}'
    expect(redact(body)).toBe(body)
  })
})

describe("a text that is evidently harmless", () => {
  test("is left as it is, and needs neither quotes nor escapes", () => {
    const parts = fc.constantFrom("sk", "rt", "ac", "t", "c", "k", "_", "-", "+", "oaistb", "x1", "ya29", "eyJ", "AIza")
    const candidate = fc.oneof(
      string(`${BASE64URL}+`, 0, 30),
      fc.array(parts, { maxLength: 12 }).map((list) => list.join("")),
      fc.tuple(fc.array(parts, { maxLength: 4 }), string(BASE64URL, 0, 12)).map(([list, rest]) => list.join("") + rest),
      fc.string({ unit: "binary", maxLength: 25 }),
    )
    fc.assert(
      fc.property(candidate, (text) => {
        if (!evident(text)) return
        expect(redact(text)).toBe(text)
        expect(JSON.stringify(text)).toBe(`"${text}"`)
      }),
      { numRuns: 5000 },
    )
  })

  test("is what most ids and words are, and never a secret", () => {
    for (const text of ["", "POST", "complete", "gemini-pro", "0SHEpGKDshwJOf6x", "a_b-c+d"]) {
      expect(evident(text)).toBe(true)
    }
    for (const text of ["a b", "a.b", 'a"', "a\\", "é", "\n", "sk-", "rt_", "ac_", "x".repeat(24)]) {
      expect(evident(text)).toBe(false)
    }
    fc.assert(fc.property(shaped, (secret) => !evident(secret)))
  })
})
