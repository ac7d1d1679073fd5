/** Authorize, token and userinfo endpoints. */
import { createHash } from "node:crypto"
import { unauthenticated } from "./errors.ts"
import type { FakeAccount } from "./types.ts"
import type { World } from "./world.ts"

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** Hashes of the public installed-app client, so that the fake does not believe the code under test. */
const CLIENT_ID_SHA256 = "636d7183f3ca4ad92c7803811a3f635643f1da657a22eeedf280283161cb6e17"
const CLIENT_SECRET_SHA256 = "6a5f78b8b99dd4025e41ba11bf54c304c6af29f924c5569cc7865b2428ce03a9"

export const SCOPES = ["cloud-platform", "userinfo.email", "userinfo.profile"].map(
  (name) => `https://www.googleapis.com/auth/${name}`,
)

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

const oauthError = (status: number, error: string, description: string): Answer => ({
  status,
  body: { error, error_description: description },
})

/** Sends the browser back with a code, as Google does after consent. */
export function authorize(world: World, query: URLSearchParams): Answer {
  const page = (text: string): Answer => ({
    status: 400,
    headers: { "content-type": "text/html; charset=utf-8" },
    body: `<!doctype html><title>Error 400</title><h1>Access blocked: Authorization Error</h1><p>${text}</p>`,
  })
  if (sha256(query.get("client_id") ?? "") !== CLIENT_ID_SHA256) return page("invalid_client")
  const redirect = query.get("redirect_uri") ?? ""
  if (!URL.canParse(redirect)) return page("invalid_request")
  const target = new URL(redirect)
  if (target.protocol !== "http:" || !["localhost", "127.0.0.1", "[::1]"].includes(target.hostname))
    return page("redirect_uri_mismatch")
  if (query.get("response_type") !== "code") return page("unsupported_response_type")
  const scopes = (query.get("scope") ?? "").split(" ")
  if (!SCOPES.every((scope) => scopes.includes(scope))) return page("invalid_scope")
  const state = query.get("state")
  if (state !== null) target.searchParams.set("state", state)
  const who = world.browser ?? world.accounts[0] ?? world.add({})
  if ("error" in who) {
    target.searchParams.set("error", who.error)
    if (who.description !== undefined) target.searchParams.set("error_description", who.description)
  } else {
    const challenge = query.get("code_challenge")
    if (challenge !== null && query.get("code_challenge_method") !== "S256") return page("invalid_request")
    const code = world.unique("4/fake-code-")
    world.codes.set(code, {
      account: who,
      redirectUri: redirect,
      challenge,
      consented: query.get("access_type") === "offline" && query.get("prompt") === "consent",
    })
    target.searchParams.set("code", code)
    target.searchParams.set("scope", scopes.join(" "))
  }
  return { status: 302, headers: { location: target.href }, body: "" }
}

/** @param form null when the body was not form-urlencoded */
export function token(world: World, form: URLSearchParams | null): Answer {
  if (form === null) return oauthError(400, "invalid_request", "Could not parse the request body.")
  if (
    sha256(form.get("client_id") ?? "") !== CLIENT_ID_SHA256 ||
    sha256(form.get("client_secret") ?? "") !== CLIENT_SECRET_SHA256
  )
    return oauthError(401, "invalid_client", "The OAuth client was not found.")
  switch (form.get("grant_type")) {
    case "refresh_token": {
      const account = world.byRefresh(form.get("refresh_token") ?? "")
      if (account === null) return oauthError(400, "invalid_grant", "Token has been expired or revoked.")
      account.refreshes++
      return tokens(world, account, world.rotate(account))
    }
    case "authorization_code": {
      const code = form.get("code") ?? ""
      const entry = world.codes.get(code)
      world.codes.delete(code)
      if (entry === undefined) return oauthError(400, "invalid_grant", "Malformed auth code.")
      if (form.get("redirect_uri") !== entry.redirectUri) return oauthError(400, "redirect_uri_mismatch", "Bad Request")
      const verifier = form.get("code_verifier") ?? ""
      if (entry.challenge !== null && createHash("sha256").update(verifier).digest("base64url") !== entry.challenge)
        return oauthError(400, "invalid_grant", "Invalid code verifier.")
      return tokens(world, entry.account, entry.consented ? (world.rotate(entry.account, "keep-old") ?? null) : null)
    }
    default:
      return oauthError(400, "unsupported_grant_type", "Invalid grant_type.")
  }
}

function tokens(world: World, account: FakeAccount, refreshToken: string | null): Answer {
  return {
    status: 200,
    body: {
      access_token: world.issue(account),
      expires_in: world.options.expiresIn ?? 3599,
      ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
      scope: SCOPES.join(" "),
      token_type: "Bearer",
      ...(account.idToken ? { id_token: idToken(account) } : {}),
    },
  }
}

function idToken(account: FakeAccount): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const now = Math.floor(Date.now() / 1000)
  return `${part({ alg: "RS256", kid: "fake", typ: "JWT" })}.${part({
    iss: "https://accounts.google.com",
    sub: account.sub,
    email: account.email,
    email_verified: true,
    iat: now,
    exp: now + 3599,
  })}.${Buffer.from("not a signature").toString("base64url")}`
}

export function userinfo(account: FakeAccount | null): Answer {
  return account === null
    ? { status: 401, body: unauthenticated() }
    : { status: 200, body: { id: account.sub, email: account.email, verified_email: true, name: "Example User" } }
}
