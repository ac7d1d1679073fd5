import { describe, expect, test } from "bun:test"
import { SeedsFull } from "../../src/scheduler/seeds-full.ts"
import { bench, posted } from "./support/edge.ts"
import { credential } from "./support/pool.ts"

const asJson = (value: unknown) => ({
  ...posted(value),
  headers: { "content-type": "application/json", accept: "application/json" },
})

describe("resource:add", () => {
  test("answers 202 Success once the seeds are stored", async () => {
    const { ask, pool } = bench()
    const response = await ask(
      "/toy/resource:add",
      posted([{ refresh_token: " a ", project_id: "p" }, { refreshToken: "b" }]),
    )
    expect(response.status).toBe(202)
    expect(await response.text()).toBe("Success")
    expect(pool.hints).toEqual([
      { refreshToken: "a", account: "p" },
      { refreshToken: "b", account: null },
    ])
  })

  test("answers 202 Success to an empty list too", async () => {
    const response = await bench().ask("/toy/resource:add", posted([]))
    expect([response.status, await response.text()]).toEqual([202, "Success"])
  })

  test("gives the seeds' ids to who accepts JSON, and never the tokens", async () => {
    const { ask } = bench()
    const response = await ask(
      "/toy/resource:add",
      asJson([{ refresh_token: "rt-secret" }, {}, { refresh_token: "rt-secret" }]),
    )
    expect(response.status).toBe(202)
    const body = await response.text()
    expect(body).not.toContain("rt-secret")
    expect(JSON.parse(body)).toEqual({
      accepted: 1,
      blanks: 1,
      duplicates: 1,
      seeds: [{ id: "seed-0", status: "pending" }],
    })
  })

  test("waits for the outcomes when asked to, and masks what it tells", async () => {
    const { ask, pool } = bench()
    pool.settle = (id) =>
      id === "seed-0"
        ? { kind: "adopted", id, credential: 3, email: "jane@example.com" }
        : { kind: "failed", id, reason: "invalid_grant", detail: "revoked, was Bearer abcdefgh", url: null }
    const response = await ask("/toy/resource:add?wait=true", posted([{ refresh_token: "a" }, { refresh_token: "b" }]))
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({
      seeds: [
        { id: "seed-0", status: "adopted", credential: 3, email: "j***@example.com" },
        { id: "seed-1", status: "failed", reason: "invalid_grant", detail: "revoked, was Bearer ***" },
      ],
    })
  })

  test("is 503 when nothing could be stored, without saying it was", async () => {
    const { ask, pool } = bench()
    pool.broken = new Error("disk full, token rt-secret")
    const response = await ask("/toy/resource:add", posted([{ refresh_token: "a" }]))
    expect(response.status).toBe(503)
    const body = await response.text()
    expect(body).not.toContain("Success")
    expect(body).not.toContain("rt-secret")
  })

  test("is 503 with a time when too many seeds wait, and says why", async () => {
    const { ask, pool } = bench()
    pool.broken = new SeedsFull(199_999, 2)
    const response = await ask("/toy/resource:add", posted([{ refresh_token: "a" }, { refresh_token: "b" }]))
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "60"])
    expect(await response.text()).toContain(
      "199999 seeds wait already and 2 more would make it more than 200000; none was taken",
    )
  })

  test("refuses other content types, other shapes, broken JSON and bad waits with 400, and stores nothing", async () => {
    const { ask, pool } = bench()
    const refused: readonly RequestInit[] = [
      { method: "POST", body: "[]", headers: { "content-type": "text/plain" } },
      { method: "POST", body: "[]", headers: { "content-type": "application/x-www-form-urlencoded" } },
      { method: "POST", body: "[{]", headers: { "content-type": "application/json" } },
      { method: "POST", body: "", headers: { "content-type": "application/json" } },
      posted({ refresh_token: "a" }),
      posted("a"),
      posted([{ refresh_token: "a" }, 5]),
    ]
    for (const init of refused) expect((await ask("/toy/resource:add", init)).status).toBe(400)
    expect((await ask("/toy/resource:add?wait=forever", posted([{ refresh_token: "a" }]))).status).toBe(400)
    expect(pool.hints).toHaveLength(0)
  })

  test("takes 10,000 entries (B21)", async () => {
    const { ask, pool } = bench()
    const response = await ask(
      "/toy/resource:add",
      posted(Array.from({ length: 10_000 }, (_, n) => ({ refresh_token: `rt-${n}` }))),
    )
    expect(response.status).toBe(202)
    expect(pool.hints).toHaveLength(10_000)
  })
})

describe("resource:list", () => {
  test("shows credentials, seeds and totals, masked", async () => {
    const { ask, pool } = bench()
    pool.credentials = [credential(1, "jane@example.com")]
    pool.seeds([{ refreshToken: "rt-secret", account: null }])
    const response = await ask("/toy/resource:list")
    const body = await response.text()
    expect(body).not.toContain("jane@example.com")
    expect(body).not.toContain("rt-secret")
    expect(JSON.parse(body)).toMatchObject({
      provider: "toy",
      counts: { ready: 1 },
      credentials: [{ id: 1, email: "j***@example.com" }],
      seeds: [{ id: "seed-0", status: "adopted", createdAt: 1 }],
    })
    expect(response.headers.get("cache-control")).toBe("no-store")
  })
})

describe("a verb on one credential", () => {
  const verbs = ["remove", "disable", "enable", "clear", "refresh"]

  test.each(verbs)("resource:%s acts on the credential named by its id", async (verb) => {
    const { ask, pool } = bench()
    pool.credentials = [credential(4)]
    const response = await ask(`/toy/resource:${verb}`, posted({ id: 4 }))
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ ok: true, credential: { id: 4, email: "j***@example.com" } })
    expect(pool.asked).toEqual([`${verb} 4`])
  })

  test.each(verbs)("resource:%s is 404 for an unknown id, and 400 for what is none", async (verb) => {
    const { ask, pool } = bench()
    expect((await ask(`/toy/resource:${verb}`, posted({ id: 99 }))).status).toBe(404)
    for (const body of [{}, { id: "4" }, { id: 0 }, { id: 1.5 }, { id: 2 ** 60 }, [4], 4, null]) {
      expect((await ask(`/toy/resource:${verb}`, posted(body))).status).toBe(400)
    }
    expect(pool.asked.filter((asked) => !asked.endsWith(" 99"))).toEqual([])
  })

  test("says why it failed", async () => {
    const response = await bench().ask("/toy/resource:refresh", posted({ id: 13 }))
    expect(response.status).toBe(409)
    expect(await response.json()).toEqual({ error: { code: "FAILED", message: "the token endpoint did not answer" } })
  })
})

describe("resource:explain", () => {
  test("says of each credential whether it would serve", async () => {
    const { ask, pool } = bench()
    pool.credentials = [credential(4)]
    const response = await ask("/toy/resource:explain", posted({ model: "m", session: "s" }))
    expect(await response.json()).toMatchObject({
      model: "m",
      session: "s",
      credentials: [{ id: 4, usable: true, email: "j***@example.com" }],
    })
    expect(pool.asked).toEqual(["explain m s"])
  })

  test("needs a model", async () => {
    const { ask } = bench()
    for (const body of [{}, { model: 5 }, { model: "" }, { model: "x".repeat(300) }]) {
      expect((await ask("/toy/resource:explain", posted(body))).status).toBe(400)
    }
  })

  test("names the member that is wrong", async () => {
    const { ask } = bench()
    for (const [name, body] of Object.entries({
      model: { model: 5 },
      session: { model: "m", session: "x".repeat(257) },
    })) {
      const response = await ask("/toy/resource:explain", posted(body))
      expect(response.status).toBe(400)
      expect(await response.text()).toContain(`"${name}: expected a name of at most 256 characters"`)
    }
  })
})
