import { describe, expect, test } from "bun:test"
import { BODY_LIMIT } from "../../src/http/body.ts"
import { bench, posted } from "./support/edge.ts"

describe("a path that does not exist", () => {
  test("is 404 in the API's shape below a provider's prefix, but only for who has the key", async () => {
    const { ask, bare } = bench()
    for (const path of [
      "/toy/",
      "/toy/v1",
      "/toy/v1/nothing",
      "/toy/resource:nothing",
      "/toy/constructor",
      "/toy/%E0%A4%A",
    ]) {
      expect((await bare(path)).status).toBe(401)
      const response = await ask(path)
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ toy: "not_found" })
    }
  })

  test("is 404 in the neutral shape elsewhere", async () => {
    for (const path of ["/", "/nothing", "/toyish/v1/models", "//toy/v1/models"]) {
      const response = await bench().bare(path)
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ error: { code: "NOT_FOUND" } })
    }
  })
})

describe("a wrong method", () => {
  test.each([
    ["PUT", "/toy/v1/models", "GET, HEAD"],
    ["GET", "/toy/v1/echo", "POST"],
    ["GET", "/toy/resource:add", "POST"],
    ["POST", "/toy/resource:list", "GET"],
    ["HEAD", "/toy/resource:watch", "GET"],
    ["GET", "/toy/login", "POST"],
    ["DELETE", "/toy/login/abc", "GET, HEAD"],
    ["POST", "/healthz", "GET, HEAD"],
    ["GET", "/reload", "POST"],
    ["PUT", "/toy/auth", "GET, HEAD, POST"],
    ["PUT", "/toycallback", "GET, HEAD, POST"],
  ])("%s %s is 405 with Allow: %s", async (method, path, allow) => {
    const response = await bench().ask(path, { method })
    expect(response.status).toBe(405)
    expect(response.headers.get("allow")).toBe(allow)
  })

  test("OPTIONS is no invitation to other origins", async () => {
    const { bare } = bench()
    const headers = { origin: "https://app.example", "access-control-request-method": "POST" }
    const known = await bare("/toy/v1/echo", { method: "OPTIONS", headers })
    expect(known.status).toBe(405)
    expect((await bare("/toy/none", { method: "OPTIONS", headers })).status).toBe(404)
    expect([...known.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([])
  })
})

describe("a path", () => {
  test("finds its verb whether the colon is encoded or not", async () => {
    const { ask } = bench()
    expect((await ask("/toy/resource:list")).status).toBe(200)
    expect((await ask("/toy/resource%3Alist")).status).toBe(200)
  })

  test("cannot be smuggled past the key (B12)", async () => {
    const { bare } = bench()
    for (const path of [
      "/toy/../toy/v1/models",
      "/toy/%2e%2e/toy/v1/models",
      "/toy/v1/models/",
      "/toy//v1/models",
      "/toy/v1/models;x",
      "/toy/v1/models%00",
    ]) {
      expect((await bare(path)).status).toBe(401)
    }
  })
})

describe("draining", () => {
  test("answers new requests 503 in their API's shape and asks to close, but is still alive", async () => {
    const { edge, ask, bare } = bench()
    edge.drain()
    const call = await ask("/toy/v1/models")
    expect(call.status).toBe(503)
    expect(call.headers.get("connection")).toBe("close")
    expect(await call.json()).toMatchObject({ toy: "draining" })
    const ready = await bare("/readyz")
    expect(ready.status).toBe(503)
    expect(await ready.json()).toMatchObject({ error: { code: "DRAINING" } })
    expect((await ask("/toy/resource:add", posted([{ refresh_token: "a" }]))).status).toBe(503)
    expect((await bare("/healthz")).status).toBe(200)
    expect((await ask("/metrics")).status).toBe(200)
  })
})

describe("how the process is doing", () => {
  test("/healthz needs no key, the others do", async () => {
    const { bare } = bench()
    expect(await (await bare("/healthz")).text()).toBe("ok\n")
    for (const path of ["/readyz", "/metrics", "/usage"]) expect((await bare(path)).status).toBe(401)
    expect((await bare("/reload", { method: "POST" })).status).toBe(401)
  })

  test("/readyz says why not", async () => {
    expect((await bench().ask("/readyz")).status).toBe(200)
    const { ask } = bench({ deps: { ready: () => ["toy: no usable credential"] } })
    const response = await ask("/readyz")
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({ ready: false, reasons: ["toy: no usable credential"] })
  })

  test("/metrics is what the metrics say, in their own content type", async () => {
    const response = await bench().ask("/metrics")
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4")
    expect(await response.text()).toBe("toy_total 1\n")
  })

  test("/usage takes a grouping and two times", async () => {
    const { ask } = bench()
    expect(await (await ask("/usage")).json()).toEqual({ query: { by: "model", since: null, until: null } })
    expect(await (await ask("/usage?by=day&since=2026-01-01&until=1790000000000")).json()).toEqual({
      query: { by: "day", since: Date.parse("2026-01-01"), until: 1_790_000_000_000 },
    })
    for (const query of ["by=everything", "by=constructor", "since=soon"]) {
      expect((await ask(`/usage?${query}`)).status).toBe(400)
    }
  })

  test("/reload tells what changed, or every problem", async () => {
    expect(await (await bench().ask("/reload", { method: "POST" })).json()).toMatchObject({ ok: true })
    const problems = ["config.toml:1:1 basic: expected a table"]
    const { ask } = bench({ deps: { reload: async () => ({ ok: false, problems }) } })
    const response = await ask("/reload", { method: "POST" })
    expect(response.status).toBe(422)
    expect(await response.json()).toEqual({ ok: false, problems })
  })
})

describe("a body", () => {
  test("reaches the handler decoded, whatever its coding", async () => {
    const { ask } = bench()
    const body = new Uint8Array(Bun.gzipSync(new TextEncoder().encode("hello")))
    const response = await ask("/toy/v1/echo", { method: "POST", body, headers: { "content-encoding": "gzip" } })
    expect(await response.text()).toBe("hello")
  })

  test("that is too large is 413 in the API's shape, and its connection is given up if it is much too large", async () => {
    const { ask } = bench()
    for (const [length, connection] of [
      [BODY_LIMIT + 1, null],
      [4 * BODY_LIMIT + 1, "close"],
    ] as const) {
      const headers = { "content-length": String(length) }
      const response = await ask("/toy/v1/echo", { method: "POST", body: "x", headers })
      expect(response.status).toBe(413)
      expect(response.headers.get("connection")).toBe(connection)
      expect(await response.json()).toMatchObject({ toy: "too_large" })
    }
  })

  test("is not read before the key is known", async () => {
    const { bare } = bench()
    let pulled = 0
    for (const framing of [{ "content-length": "1000000" }, { "transfer-encoding": "chunked" }]) {
      const body = new ReadableStream({ pull: () => void pulled++ }, { highWaterMark: 0 })
      const response = await bare("/toy/v1/echo", { method: "POST", body, headers: framing })
      expect(response.status).toBe(401)
      // What has no declared end may have none.
      expect(response.headers.get("connection")).toBe("content-length" in framing ? null : "close")
    }
    expect(pulled).toBe(0)
  })
})
