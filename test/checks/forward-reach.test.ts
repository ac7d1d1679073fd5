/** Where a request can be made to go, and who can make a browser send one: redirects, other sites, frames, sizes. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Running, startPollux } from "../support/binary.ts"
import { memoryOf } from "../support/memory.ts"
import { type RawWorld, reply, startRawUpstream, startRawWorld, streamed } from "../support/raw-upstream.ts"
import { freshKey } from "../support/secrets.ts"

const MIB = 1024 * 1024
/** The largest event (64 MiB), as often as it may lie in memory until the garbage is collected (F20 in the README). */
const MOST = 6 * 64 * MIB

let world: RawWorld
beforeAll(async () => {
  world = await startRawWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const json = { "content-type": "application/json" }
const APIS = {
  codex: { path: "/codex/v1/responses", body: JSON.stringify({ model: "gpt-5.2-codex", input: "hi", stream: true }) },
  geminicli: {
    path: "/geminicli/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: "hi" }] }] }),
  },
} as const
const ask = (api: keyof typeof APIS, pollux: Running = world.pollux) =>
  pollux.api(APIS[api].path, { method: "POST", headers: json, body: APIS[api].body, redirect: "manual" })

async function revive(): Promise<void> {
  for (const provider of ["codex", "geminicli"]) {
    for (const verb of ["clear", "enable"]) {
      await world.pollux.api(`/${provider}/resource:${verb}`, { method: "POST", headers: json, body: '{"id":1}' })
    }
  }
}

for (const api of ["codex", "geminicli"] as const) {
  test(`${api}: a redirect of the upstream is followed nowhere, and its address is told to nobody`, async () => {
    const trap = await startRawUpstream()
    trap.answer(() => streamed({}, [Buffer.from('data: {"type":"response.completed","response":{"id":"trap"}}\n\n')]))
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        world.upstream.answer(() =>
          reply(status, { location: `${trap.url}/steal`, refresh: `0;url=${trap.url}` }, "moved"),
        )
        const response = await ask(api)
        expect({ status, got: response.status }).toEqual({ status, got: 502 })
        expect(response.headers.get("location")).toBeNull()
        expect(await response.text()).not.toContain(trap.url)
        await revive()
      }
      expect(trap.requests).toEqual([])
    } finally {
      await trap.stop()
    }
  })

  test(`${api}: links and pages in an answer are text to us: nothing is fetched but what the configuration names`, async () => {
    const trap = await startRawUpstream()
    try {
      world.upstream.answer(() =>
        reply(
          403,
          { "content-type": "text/html", link: `<${trap.url}>; rel=preload` },
          `<html><script src="${trap.url}/x.js"></script>`,
        ),
      )
      const response = await ask(api)
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(response.headers.get("content-type")).toStartWith("application/json")
      expect(await response.text()).not.toContain("<script")
      expect(trap.requests).toEqual([])
    } finally {
      await trap.stop()
      await revive()
    }
  })
}

test("no path answers a request of another origin, its preflight included, with leave to read", async () => {
  const { pollux } = world
  const origin = {
    origin: "https://evil.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
  }
  const paths = [
    "/codex/v1/responses",
    "/geminicli/v1beta/models",
    "/codex/resource:add",
    "/geminicli/resource:list",
    "/metrics",
    "/healthz",
    "/geminicli/auth",
    "/usage",
    "/nowhere",
  ]
  for (const path of paths) {
    for (const method of ["OPTIONS", "GET", "POST"]) {
      for (const key of [true, false]) {
        const response = await fetch(`${pollux.url}${path}`, {
          method,
          redirect: "manual",
          headers: key ? { ...origin, authorization: `Bearer ${pollux.key}` } : origin,
        })
        const cors = [...response.headers.keys()].filter((name) => name.startsWith("access-control-"))
        expect({ path, method, cors }).toEqual({ path, method, cors: [] })
        if (method === "OPTIONS") expect(response.status).toBeGreaterThanOrEqual(400)
        await response.body?.cancel()
      }
    }
  }
})

test("a browser on another site cannot use a key in the query for what an operator does, and nothing reads a key from a cookie", async () => {
  const { pollux } = world
  const query = `key=${encodeURIComponent(pollux.key)}`
  const verbs: readonly (readonly [string, string])[] = [
    ["POST", "/codex/resource:add"],
    ["GET", "/codex/resource:list"],
    ["POST", "/codex/resource:remove"],
    ["POST", "/codex/resource:disable"],
    ["POST", "/codex/resource:refresh"],
    ["POST", "/codex/resource:clear"],
    ["POST", "/codex/resource:explain"],
    ["POST", "/geminicli/login"],
    ["GET", "/geminicli/login/xyz"],
    ["GET", "/geminicli/resource:watch"],
    ["GET", "/usage"],
    ["GET", "/metrics"],
    ["POST", "/reload"],
  ]
  const foreign: readonly Record<string, string>[] = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "https://evil.example" },
    { origin: "null" },
    { referer: "https://evil.example/page" },
  ]
  for (const [method, path] of verbs) {
    for (const headers of foreign) {
      const body = method === "POST" ? { body: '{"id":1}' } : {}
      const response = await fetch(`${pollux.url}${path}?${query}`, {
        method,
        headers: { ...headers, ...json },
        ...body,
      })
      expect({ path, status: response.status }).toEqual({ path, status: 403 })
      expect(await response.text()).not.toContain(pollux.key)
    }
  }
  const cookie = await fetch(`${pollux.url}/codex/resource:list`, {
    headers: { cookie: `key=${pollux.key}; x-goog-api-key=${pollux.key}` },
  })
  expect(cookie.status).toBe(401)
  // A program, and a person's own address bar.
  for (const headers of [{}, { "sec-fetch-site": "none" }]) {
    expect((await fetch(`${pollux.url}/codex/resource:list?${query}`, { headers })).status).toBe(200)
  }
})

test("every page that a browser sees runs nothing, loads nothing, is framed by nobody and kept nowhere", async () => {
  await using pollux = await startPollux({ config: { basic: { open_login: false } } })
  const html = { accept: "text/html" }
  for (const path of [
    "/geminicli/auth",
    "/codex/auth",
    "/oauth2callback?code=a&state=b",
    "/auth/callback?error=access_denied",
    "/oauth2callback",
  ]) {
    const response = await fetch(`${pollux.url}${path}`, { headers: html, redirect: "manual" })
    if (response.status === 307) continue
    const policy = response.headers.get("content-security-policy") ?? ""
    for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"])
      expect(policy).toContain(rule)
    expect(policy).not.toMatch(/script-src|unsafe/)
    expect(response.headers.get("x-content-type-options")).toBe("nosniff")
    expect(response.headers.get("x-frame-options")).toBe("DENY")
    expect(response.headers.get("referrer-policy")).toBe("no-referrer")
    expect(response.headers.get("cache-control")).toBe("no-store")
    const text = await response.text()
    expect(text).not.toMatch(/<script|<img|<iframe|<link|\son\w+=|javascript:/i)
  }
})

test("with an admin key, the key that clients hold opens nothing of an operator's but resource:add", async () => {
  const admin = freshKey()
  await using pollux = await startPollux({ config: { basic: { admin_key: admin } } })
  const as = (key: string, method: string, path: string) =>
    fetch(`${pollux.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...json },
      ...(method === "POST" ? { body: "[]" } : {}),
    })
  for (const [method, path] of [
    ["GET", "/codex/resource:list"],
    ["GET", "/codex/resource:watch"],
    ["POST", "/codex/resource:remove"],
    ["POST", "/codex/login"],
    ["GET", "/usage"],
    ["POST", "/reload"],
  ] as const) {
    expect((await as(pollux.key, method, path)).status).toBe(403)
  }
  expect((await as(pollux.key, "POST", "/codex/resource:add")).status).toBe(202)
  expect((await as(admin, "GET", "/codex/resource:list")).status).toBe(200)
})

test("what one answer may occupy is bounded: an endless error page, an endless line, an endless head", async () => {
  const { pollux } = world
  const filler = Buffer.alloc(MIB, "a")
  const endless = {
    "an error page of 200 MiB": () => ({
      pieces: [
        { bytes: `HTTP/1.1 500 No\r\ncontent-type: text/html\r\ncontent-length: ${200 * MIB}\r\n\r\n` },
        ...Array.from({ length: 200 }, () => ({ bytes: filler })),
      ],
      close: true,
    }),
    "a line of 100 MiB in a stream": () =>
      streamed({}, [Buffer.from("data: "), ...Array.from({ length: 100 }, () => filler)]),
    "a whole answer of 200 MiB that is no JSON": () => ({
      pieces: [
        { bytes: `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${200 * MIB}\r\n\r\n` },
        ...Array.from({ length: 200 }, () => ({ bytes: filler })),
      ],
      close: true,
    }),
    "a header of 10 MiB": () => ({
      pieces: [
        { bytes: "HTTP/1.1 200 OK\r\nx-long: " },
        ...Array.from({ length: 10 }, () => ({ bytes: filler })),
        { bytes: "\r\n\r\n" },
      ],
      close: true,
    }),
  }
  for (const [name, answer] of Object.entries(endless)) {
    for (const api of ["codex", "geminicli"] as const) {
      world.upstream.answer(answer)
      const before = memoryOf(pollux.pid).rss
      let most = before
      const watch = setInterval(() => {
        most = Math.max(most, memoryOf(pollux.pid).rss)
      }, 10)
      const response = await ask(api)
      const text = await response.text().catch((error: unknown) => String(error))
      clearInterval(watch)
      // Either refused, or a stream that ends in an error event; never passed on as good.
      if (response.status === 200)
        expect({ name, api, text: text.slice(-2_000) }).toEqual({ name, api, text: expect.stringMatching(/error/i) })
      else expect(response.status).toBeGreaterThanOrEqual(500)
      expect({ name, api, bounded: most - before < MOST }).toEqual({ name, api, bounded: true })
      await revive()
    }
  }
  world.upstream.answer(() =>
    streamed({}, [Buffer.from('data: {"type":"response.completed","response":{"id":"r"}}\n\n')]),
  )
  expect((await ask("codex")).status).toBe(200)
}, 60_000)
