import { describe, expect, test } from "bun:test"
import type { Exchanged } from "../../src/http/ports.ts"
import { KEY, testConfig } from "./support/config.ts"
import { type Bench, type BenchOptions, bench } from "./support/edge.ts"
import { type ToyOAuth, toyOAuth } from "./support/toy.ts"

const HTML = { accept: "text/html,application/xhtml+xml" }

interface Visitor extends Bench {
  readonly oauth: ToyOAuth
  /** Begins a login as a browser does: the state, and the cookie it was given. */
  begin(
    headers?: Record<string, string>,
    address?: string,
  ): Promise<{ state: string; cookie: string; location: URL; response: Response }>
  /** Comes back with a code. */
  back(query: string | Record<string, string>, headers?: Record<string, string>): Promise<Response>
}

function visitor(options: BenchOptions = {}): Visitor {
  const oauth = toyOAuth("toy")
  const made = bench({ oauth, ...options })
  return {
    ...made,
    oauth,
    async begin(headers = {}, address) {
      const response = await made.bare("/toy/auth", { headers: { host: "localhost:8188", ...headers } }, address)
      const location = new URL(response.headers.get("location") ?? "http://none.invalid")
      const cookie = response.headers.get("set-cookie")?.split(";", 1)[0] ?? ""
      return { state: location.searchParams.get("state") ?? "", cookie, location, response }
    },
    back: (query, headers = {}) => made.bare(`/toycallback?${new URLSearchParams(query)}`, { headers }),
  }
}

describe("GET /{provider}/auth", () => {
  test("sends the browser to the provider with a state, a PKCE challenge and the way back", async () => {
    const { begin } = visitor()
    const { response, location, state } = await begin()
    expect(response.status).toBe(307)
    expect(location.origin).toBe("http://127.0.0.1:9")
    expect(state).toMatch(/^[\w-]{59}$/)
    expect(location.searchParams.get("code_challenge")).toMatch(/^[\w-]{43}$/)
    expect(location.searchParams.get("redirect_uri")).toBe("http://localhost:8188/toycallback")
    expect(response.headers.get("cache-control")).toBe("no-store")
  })

  test("binds the login to the browser by a cookie that scripts cannot read", async () => {
    const { begin } = visitor()
    const attributes = (await begin()).response.headers.get("set-cookie") ?? ""
    expect(attributes).toMatch(/^pollux_login_toy=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=900$/)
    const elsewhere = (await begin({ host: "pool.example" })).response.headers.get("set-cookie") ?? ""
    expect(elsewhere).toEndWith("; Secure")
    const insecure = visitor({ config: testConfig({ insecureCookie: true }) })
    expect((await insecure.begin({ host: "pool.example" })).response.headers.get("set-cookie")).not.toContain("Secure")
  })

  test("never lets Host choose where the browser comes back to", async () => {
    const { begin } = visitor()
    const way = async (host: string) => (await begin({ host })).location.searchParams.get("redirect_uri")
    expect(await way("127.0.0.1:9000")).toBe("http://127.0.0.1:9000/toycallback")
    expect(await way("[::1]:9000")).toBe("http://[::1]:9000/toycallback")
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil.example"]) {
      expect(await way(host)).toMatch(/^http:\/\/localhost:\d+\/toycallback$/)
    }
  })

  test("asks for the key when open_login is off, by header, by query or by a form", async () => {
    const { bare, begin, access } = visitor({ config: testConfig({ openLogin: false }) })
    expect((await begin()).response.status).toBe(401)
    expect((await begin({ authorization: "Bearer wrong" })).response.status).toBe(401)
    expect((await begin({ authorization: `Bearer ${KEY}` })).response.status).toBe(307)
    expect((await bare(`/toy/auth?key=${KEY}`)).status).toBe(307)
    expect((await bare(`/toy/auth?key=${KEY}`, { headers: { "sec-fetch-site": "cross-site" } })).status).toBe(403)

    const asked = await bare("/toy/auth", { headers: HTML })
    expect(asked.status).toBe(401)
    expect(await asked.text()).toContain('name="key" type="password"')
    const form = (key: string) =>
      bare("/toy/auth", { method: "POST", headers: HTML, body: new URLSearchParams({ key }) })
    expect((await form("wrong")).status).toBe(401)
    const entered = await form(KEY)
    expect(entered.status).toBe(200)
    expect(entered.headers.get("set-cookie")).toStartWith("pollux_login_toy=")
    expect(await entered.text()).toContain('href="http://127.0.0.1:9/authorize?state=')
    expect(JSON.stringify(access)).not.toContain(KEY)
  })

  test("counts the addresses of one IPv6 subscriber as one, since each is given a whole /64", async () => {
    const { begin } = visitor()
    for (let n = 0; n < 16; n++) expect((await begin({}, `2001:db8:0:1::${n}`)).response.status).toBe(307)
    expect((await begin({}, "2001:db8:0:1:ffff::1")).response.status).toBe(429)
    expect((await begin({}, "2001:db8:0:2::1")).response.status).toBe(307)
  })

  test("is limited to 16 logins under way for one address, and to 256 in all", async () => {
    const { begin, ask } = visitor()
    for (let n = 0; n < 16; n++) expect((await begin({}, "10.0.0.1")).response.status).toBe(307)
    const refused = (await begin({}, "10.0.0.1")).response
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get("retry-after"))).toBe(900)
    for (let n = 16; n < 256; n++) expect((await begin({}, `10.0.1.${n}`)).response.status).toBe(307)
    expect((await begin({}, "10.0.2.1")).response.status).toBe(429)
    // Visitors cannot keep the operator out.
    expect((await ask("/toy/login", { method: "POST" })).status).toBe(201)
  })

  test("has room again after 15 minutes", async () => {
    const { begin, time } = visitor()
    for (let n = 0; n < 16; n++) await begin()
    time.advance(15 * 60_000)
    expect((await begin()).response.status).toBe(307)
  })

  test("is refused to HEAD, and is nothing that another method may begin", async () => {
    const { bare, oauth } = visitor()
    expect((await bare("/toy/auth", { method: "HEAD" })).status).toBe(405)
    expect((await bare("/toycallback?code=c&state=s", { method: "HEAD" })).status).toBe(405)
    expect(oauth.exchanged).toHaveLength(0)
  })
})

describe("a browser that comes back", () => {
  test("with its cookie adds the account, and is told Success and who it is, masked", async () => {
    const { begin, back, oauth, pool } = visitor()
    const { state, cookie, location } = await begin()
    const response = await back({ code: "the-code", state }, { cookie: `other=1; ${cookie}` })
    expect(response.status).toBe(202)
    expect(await response.text()).toBe("Success\nj***@example.com is in the pool as credential 7.\n")
    expect(response.headers.get("set-cookie")).toStartWith(
      "pollux_login_toy=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0",
    )
    expect(pool.received).toMatchObject([{ tokens: { refreshToken: "rt-secret" }, account: null }])

    const [exchange] = oauth.exchanged
    expect(exchange).toMatchObject({ code: "the-code", redirectUri: "http://localhost:8188/toycallback" })
    const hash = new Bun.CryptoHasher("sha256").update(exchange?.verifier ?? "").digest("base64url")
    expect(location.searchParams.get("code_challenge")).toBe(hash)
  })

  test("sees a page that runs nothing, loads nothing and cannot be framed", async () => {
    const { begin, back } = visitor()
    const { state, cookie } = await begin()
    const response = await back({ code: "c", state }, { cookie, ...HTML })
    expect(response.status).toBe(202)
    expect(await response.text()).toContain("<h1>Success</h1>")
    const headers = Object.fromEntries(response.headers)
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    })
    expect(headers["content-security-policy"]).toContain("default-src 'none'")
    expect(headers["content-security-policy"]).not.toContain("unsafe")
  })

  test("cannot use a state twice (B17)", async () => {
    const { begin, back, oauth } = visitor()
    const { state, cookie } = await begin()
    const both = await Promise.all([back({ code: "a", state }, { cookie }), back({ code: "b", state }, { cookie })])
    expect(both.map((response) => response.status).sort()).toEqual([202, 403])
    expect((await back({ code: "c", state }, { cookie })).status).toBe(403)
    expect(oauth.exchanged).toHaveLength(1)
  })

  test("cannot use an expired state (B17)", async () => {
    const { begin, back, oauth, time } = visitor()
    const { state, cookie } = await begin()
    time.advance(15 * 60_000)
    const response = await back({ code: "a", state }, { cookie })
    expect(response.status).toBe(403)
    expect(oauth.exchanged).toHaveLength(0)
  })

  test.each([
    ["no state", { code: "c" }, 400, "INVALID_CALLBACK"],
    ["no code", { state: "s" }, 400, "INVALID_CALLBACK"],
    ["nothing", {}, 400, "INVALID_CALLBACK"],
    ["a state twice", "code=c&state=s&state=s", 400, "INVALID_CALLBACK"],
    ["a huge code", { code: "c".repeat(5_000), state: "s" }, 400, "INVALID_CALLBACK"],
    ["a state nobody gave", { code: "c", state: "s".repeat(59) }, 403, "OAUTH_SESSION_MISSING"],
  ])("with %s is refused (B17)", async (_, query, status, code) => {
    const { back, oauth } = visitor()
    const response = await back(query)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { code } })
    expect(oauth.exchanged).toHaveLength(0)
  })

  test("with a state that differs in its last character is refused", async () => {
    const { begin, bare, oauth } = visitor()
    const { state, cookie } = await begin()
    const tampered = `${state.slice(0, -1)}${state.endsWith("A") ? "B" : "A"}`
    expect((await bare(`/toycallback?code=c&state=${tampered}`, { headers: { cookie } })).status).toBe(403)
    expect(oauth.exchanged).toHaveLength(0)
  })

  test("without the login's cookie spends no code, and is offered a form (login CSRF, B17)", async () => {
    const { begin, back, oauth } = visitor()
    const { state } = await begin()
    const other = await begin()
    for (const [cookie, code] of [
      ["", "OAUTH_SESSION_MISSING"],
      [other.cookie, "CSRF_MISMATCH"],
    ] as const) {
      const plain = await back({ code: "c", state }, { cookie })
      expect(plain.status).toBe(403)
      expect(await plain.json()).toMatchObject({ error: { code } })
      const shown = await back({ code: 'c"><script>', state }, { cookie, ...HTML })
      expect(shown.status).toBe(403)
      const html = await shown.text()
      expect(html).not.toContain("<script>")
      expect(html).toContain('<form method="post">')
      expect(shown.headers.get("content-security-policy")).toContain("form-action 'self'")
    }
    expect(oauth.exchanged).toHaveLength(0)
  })

  test("may finish by that form with the Pollux key, and only with it", async () => {
    const { begin, bare, oauth } = visitor()
    const { state } = await begin()
    const submit = (fields: Record<string, string>, headers: Record<string, string> = HTML) =>
      bare("/toycallback", { method: "POST", headers, body: new URLSearchParams(fields) })
    const wrong = await submit({ code: "c", state, key: "wrong" })
    expect(wrong.status).toBe(401)
    expect(await wrong.text()).toContain(`name="state" value="${state}"`)
    expect((await submit({ code: "c", state })).status).toBe(401)
    expect((await submit({ state, key: KEY })).status).toBe(400)
    expect((await submit({ code: "c", state: "unknown", key: KEY })).status).toBe(403)
    expect(oauth.exchanged).toHaveLength(0)
    const right = await submit({ code: "c", state, key: KEY }, {})
    expect(right.status).toBe(202)
    expect(await right.text()).toStartWith("Success")
    expect((await submit({ code: "c", state, key: KEY })).status).toBe(403)
    expect(oauth.exchanged).toHaveLength(1)
  })

  test("that guesses keys in the form is counted like any other", async () => {
    const { begin, bare } = visitor()
    const { state } = await begin()
    let last = 0
    for (let n = 0; n < 61; n++) {
      last = (
        await bare("/toycallback", { method: "POST", body: new URLSearchParams({ code: "c", state, key: `${n}` }) })
      ).status
    }
    expect(last).toBe(429)
  })

  test("with a form that is none, or too large, is refused", async () => {
    const { bare } = visitor()
    const post = (body: string, type: string) =>
      bare("/toycallback", { method: "POST", body, headers: { "content-type": type } })
    expect((await post("{}", "application/json")).status).toBe(415)
    expect((await post("x".repeat(20_000), "application/x-www-form-urlencoded")).status).toBe(413)
  })

  test("with an error is shown it, escaped and explained, and its login is over (B17)", async () => {
    const { begin, back, ask } = visitor()
    const { state, cookie } = await begin()
    const query = { error: "no_seat", error_description: "<b>&\"'</b>", state }
    const page = await back(query, { cookie, ...HTML })
    expect(page.status).toBe(400)
    const html = await page.text()
    expect(html).toContain("This workspace has no seat.")
    expect(html).not.toContain("<b>")
    const later = await back({ code: "c", state }, { cookie })
    expect(later.status).toBe(403)
    const status = await (await ask(`/toy/login/${state.slice(0, 16)}`)).json()
    expect(status).toMatchObject({ status: "failed", reason: "AUTHORIZATION_REFUSED" })

    const unknown = await back({ error: "access_denied" })
    expect(unknown.status).toBe(400)
    expect(await unknown.json()).toEqual({
      error: { code: "AUTHORIZATION_REFUSED", message: "The provider refused the login (access_denied)." },
    })
  })

  test("with an error but without the cookie cannot end somebody else's login", async () => {
    const { begin, back } = visitor()
    const { state, cookie } = await begin()
    expect((await back({ error: "access_denied", state })).status).toBe(400)
    expect((await back({ code: "c", state }, { cookie })).status).toBe(202)
  })

  const failures: readonly (readonly [string, Exchanged | (() => Promise<Exchanged>), string])[] = [
    [
      "refused",
      { kind: "failed", code: "MISSING_REFRESH_TOKEN", message: "no refresh token came" },
      "MISSING_REFRESH_TOKEN",
    ],
    ["not answered", () => Promise.reject(new Error("connect ECONNREFUSED, code=the-code")), "TOKEN_EXCHANGE_FAILED"],
  ]
  for (const [what, result, code] of failures) {
    test(`whose code is ${what} is told so, as 403`, async () => {
      const { begin, back, oauth } = visitor()
      oauth.result = result
      const { state, cookie } = await begin()
      const response = await back({ code: "the-code", state }, { cookie })
      expect(response.status).toBe(403)
      const body = await response.text()
      expect(JSON.parse(body)).toMatchObject({ error: { code } })
      expect(body).not.toContain("the-code")
    })
  }

  test("whose account is refused is told the reason, as 403", async () => {
    const { begin, back, pool } = visitor()
    pool.adopt = async () => ({ kind: "failed", id: "x", reason: "ineligible", detail: "no licence", url: null })
    const { state, cookie } = await begin()
    const response = await back({ code: "c", state }, { cookie })
    expect(response.status).toBe(403)
    expect(await response.json()).toEqual({ error: { code: "ineligible", message: "no licence" } })
  })

  test("waits a minute for the outcome and no longer; the login goes on", async () => {
    const { begin, back, ask, pool, time } = visitor()
    const adopted = Promise.withResolvers<Awaited<ReturnType<typeof pool.adopt>>>()
    pool.adopt = () => adopted.promise
    const { state, cookie } = await begin()
    const waiting = back({ code: "c", state }, { cookie })
    await Bun.sleep(5)
    time.advance(60_000)
    const response = await waiting
    expect(response.status).toBe(202)
    expect(await response.text()).toStartWith("Success\nSigned in. The account is still being set up")
    const path = `/toy/login/${state.slice(0, 16)}`
    expect(await (await ask(path)).json()).toMatchObject({ status: "pending" })
    const status = ask(`${path}?wait=30`)
    adopted.resolve({ kind: "adopted", id: "x", credential: 9, email: null })
    expect(await (await status).json()).toMatchObject({ status: "done", credential: 9 })
  })
})
