import { describe, expect, test } from "bun:test"
import { clientKey, KEY, testConfig } from "./support/config.ts"
import { bench, posted } from "./support/edge.ts"

const withKey = (key: string, more: Record<string, string> = {}) => ({ headers: { "x-goog-api-key": key, ...more } })

describe("who gets in", () => {
  test("nobody without a key, and every wrong key is told the same (B13)", async () => {
    const { bare } = bench()
    const missing = await bare("/toy/v1/models")
    expect(missing.status).toBe(401)
    expect(missing.headers.get("www-authenticate")).toBe('Bearer realm="pollux"')
    expect(await missing.json()).toEqual({ toy: "unauthorized", message: "Missing API key" })

    const wrong = ["", "x", KEY.slice(0, -1), `${KEY}x`, "\u00ff\u00fe", "k".repeat(10_000)]
    const bodies = new Set<string>()
    for (const key of wrong) {
      const response = await bare("/toy/v1/models", withKey(key))
      expect(response.status).toBe(401)
      bodies.add(await response.text())
    }
    expect([...bodies]).toEqual(['{"toy":"unauthorized","message":"Invalid API key"}'])
  })

  test("whoever has the key, in any of its three places; the first one present decides (B13)", async () => {
    const { bare } = bench()
    const status = async (path: string, headers: Record<string, string> = {}) => (await bare(path, { headers })).status
    expect(await status("/toy/v1/models", { "x-goog-api-key": KEY })).toBe(200)
    expect(await status("/toy/v1/models", { authorization: `Bearer ${KEY}` })).toBe(200)
    expect(await status(`/toy/v1/models?key=${KEY}`)).toBe(200)
    expect(await status(`/toy/v1/models?key=${KEY}`, { "x-goog-api-key": "wrong" })).toBe(401)
    expect(await status("/toy/v1/models", { "x-goog-api-key": "", authorization: `Bearer ${KEY}` })).toBe(401)
    expect(await status("/toy/v1/models?key=wrong", { authorization: `Bearer ${KEY}` })).toBe(200)
  })

  test("60 wrong keys a minute and address are answered, more are not; a right key always is (B14)", async () => {
    const { bare } = bench()
    const statuses: number[] = []
    for (let n = 0; n < 100; n++) statuses.push((await bare("/toy/v1/models", withKey(`guess-${n}`))).status)
    expect(statuses.filter((status) => status === 401)).toHaveLength(60)
    const last = await bare("/toy/v1/models", withKey("guess"))
    expect(last.status).toBe(429)
    expect(Number(last.headers.get("retry-after"))).toBeWithin(1, 61)
    expect((await bare("/toy/v1/models", withKey(KEY))).status).toBe(200)
    expect((await bare("/toy/v1/models", withKey("guess"), "10.0.0.9")).status).toBe(401)
    // Nothing was guessed by a request without a key.
    expect((await bare("/toy/v1/models")).status).toBe(401)
  })

  test("X-Forwarded-For moves the count only when a trusted proxy sent it (B14)", async () => {
    const guess = async ({ bare }: ReturnType<typeof bench>) => {
      let last = 0
      for (let n = 0; n < 62; n++) {
        last = (await bare("/toy/v1/models", withKey("guess", { "x-forwarded-for": `198.51.100.${n}` }))).status
      }
      return last
    }
    expect(await guess(bench())).toBe(429)
    expect(await guess(bench({ config: testConfig({ trustedProxies: ["127.0.0.0/8"] }) }))).toBe(401)
  })

  test("a whole IPv6 subscriber network counts as one address", async () => {
    const { bare } = bench()
    let last = 0
    for (let n = 0; n < 62; n++) last = (await bare("/toy/v1/models", withKey("guess"), `2001:db8::${n}`)).status
    expect(last).toBe(429)
    expect((await bare("/toy/v1/models", withKey("guess"), "2001:db8:0:1::1")).status).toBe(401)
  })

  test("a changed configuration holds from the next request on", async () => {
    const { bare, live } = bench()
    live.current = testConfig({ polluxKey: "another-key" })
    expect((await bare("/toy/v1/models", withKey(KEY))).status).toBe(401)
    expect((await bare("/toy/v1/models", withKey("another-key"))).status).toBe(200)
  })
})

describe("a client key", () => {
  const keys = [
    clientKey("mate", "mate-key", { models: ["small"], requestsPerMinute: 3 }),
    clientKey("old", "old-key", { expiresAt: 1 }),
  ]
  const make = () => bench({ config: testConfig({}, keys) })

  test("serves API calls under its own name, and no operator's verb", async () => {
    const { bare } = make()
    const models = await bare("/toy/v1/models", withKey("mate-key"))
    expect(await models.json()).toEqual({ key: "mate" })
    const add = await bare("/toy/resource:add", {
      ...posted([{ refresh_token: "a" }]),
      ...withKey("mate-key", { "content-type": "application/json" }),
    })
    expect(add.status).toBe(403)
    expect((await bare("/metrics", withKey("mate-key"))).status).toBe(403)
  })

  test("is limited to its requests a minute, and told when to come back", async () => {
    const { bare, relay } = make()
    const run = () => bare("/toy/v1/run/small", { method: "POST", ...withKey("mate-key") })
    expect([(await run()).status, (await run()).status, (await run()).status]).toEqual([200, 200, 200])
    const over = await run()
    expect(over.status).toBe(429)
    expect(Number(over.headers.get("retry-after"))).toBeWithin(1, 61)
    expect(relay.served).toHaveLength(3)
    expect((await bare("/toy/v1/run/small", { method: "POST", ...withKey(KEY) })).status).toBe(200)
  })

  test("may use its models only, whichever route asks for another", async () => {
    const { bare, relay } = make()
    const other = await bare("/toy/v1/run/large", { method: "POST", ...withKey("mate-key") })
    expect(other.status).toBe(403)
    expect(await other.json()).toMatchObject({ toy: "forbidden" })
    expect(relay.served).toHaveLength(0)
  })

  test("is refused once it has expired", async () => {
    expect((await make().bare("/toy/v1/models", withKey("old-key"))).status).toBe(401)
  })
})

describe("an operator's verb", () => {
  const add = (headers: Record<string, string>) => ({
    ...posted([{ refresh_token: "a" }]),
    headers: { "content-type": "application/json", ...headers },
  })

  test("needs the admin key once there is one; resource:add takes either", async () => {
    const { bare } = bench({ config: testConfig({ adminKey: "boss" }) })
    const list = (key: string) => bare("/toy/resource:list", withKey(key))
    expect((await list(KEY)).status).toBe(403)
    expect((await list("boss")).status).toBe(200)
    expect((await bare("/reload", { method: "POST", ...withKey(KEY) })).status).toBe(403)
    expect((await bare("/toy/resource:add", add({ "x-goog-api-key": KEY }))).status).toBe(202)
    expect((await bare("/toy/resource:add", add({ "x-goog-api-key": "boss" }))).status).toBe(202)
  })

  test("takes no key from the query string of another site's request", async () => {
    const { bare, pool } = bench()
    const path = `/toy/resource:add?key=${KEY}`
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
      { referer: "https://evil.example/" },
    ]) {
      expect((await bare(path, add(headers))).status).toBe(403)
    }
    expect(pool.hints).toHaveLength(0)
    expect((await bare(path, add({}))).status).toBe(202)
    // A key in a header cannot have been put there by another site, and API calls are not an operator's.
    expect(
      (await bare("/toy/resource:add", add({ "x-goog-api-key": KEY, origin: "https://evil.example" }))).status,
    ).toBe(202)
    expect((await bare(`/toy/v1/models?key=${KEY}`, { headers: { origin: "https://app.example" } })).status).toBe(200)
  })
})

describe("every answer", () => {
  test("carries the request's id, the caller's own where it is fit", async () => {
    const { ask, bare } = bench()
    const own = { headers: { "x-request-id": "mine-1" } }
    for (const path of ["/toy/v1/models", "/toy/none", "/none", "/healthz", "/toy/resource:list", "/toy/auth"]) {
      expect((await ask(path, own)).headers.get("x-request-id")).toBe("mine-1")
      expect((await bare(path)).headers.get("x-request-id")).toMatch(/^[\w-]{16}$/)
    }
  })

  test("says nothing of the defect that caused it, which the log has under the same id", async () => {
    const { ask, logged } = bench()
    const response = await ask("/toy/v1/defect", { method: "POST" })
    expect(response.status).toBe(500)
    const body = await response.text()
    expect(body).not.toContain("secret-of-the-inside")
    const id = response.headers.get("x-request-id") ?? ""
    expect(body).toContain(id)
    expect(logged).toContainEqual({
      event: "request failed by a defect",
      fields: expect.objectContaining({ request_id: id, error: expect.stringContaining("secret-of-the-inside") }),
    })
  })

  test("in the API's own shape when a handler refuses", async () => {
    const response = await bench().ask("/toy/v1/refuse", { method: "POST" })
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ toy: "invalid_request", message: "no such thing" })
  })

  test("is the relay's to log with the client's address, a trusted proxy's word considered", async () => {
    const request = {
      method: "POST",
      headers: { authorization: `Bearer ${KEY}`, "x-forwarded-for": "203.0.113.9, 10.1.2.3" },
    }
    const seen = async (proxies: readonly string[], peer: string) => {
      const { bare, relay } = bench({ config: testConfig({ trustedProxies: proxies }) })
      await bare("/toy/v1/run/m", request, peer)
      return relay.served[0]?.inbound.address
    }
    expect(await seen([], "::ffff:10.0.0.7")).toBe("10.0.0.7")
    expect(await seen(["10.0.0.0/8"], "10.0.0.7")).toBe("203.0.113.9")
  })

  test("is in the access log, unless the relay has taken the request", async () => {
    const { ask, bare, access } = bench()
    await ask("/toy/v1/models?key=not-for-the-log", { headers: { "user-agent": "agent/1" } })
    await bare("/none", {}, "::ffff:10.0.0.7")
    await ask("/toy/v1/run/m", { method: "POST" })
    expect(access).toMatchObject([
      {
        method: "GET",
        path: "/toy/v1/models",
        status: 200,
        fault: null,
        principal: "default",
        address: "127.0.0.1",
        userAgent: "agent/1",
      },
      {
        method: "GET",
        path: "/none",
        status: 404,
        fault: "not_found",
        principal: null,
        address: "10.0.0.7",
        userAgent: "",
      },
    ])
  })
})
