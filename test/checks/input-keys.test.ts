/** Keys that are none: B13 and B14. */
import { expect, test } from "bun:test"
import { type Running, startPollux } from "../support/binary.ts"
import { sendRaw, statuses } from "../support/raw.ts"
import { requestText } from "../support/request-text.ts"

const PATHS = ["/geminicli/v1beta/models", "/codex/v1/models", "/geminicli/resource:list", "/metrics", "/readyz"]

const raw = async (pollux: Running, target: string, headers: Record<string, string> = {}) => {
  const answer = await sendRaw(requestText("GET", target, { connection: "close", ...headers }), {
    port: Number(new URL(pollux.url).port),
    ms: 3_000,
  })
  return { status: statuses(answer)[0] ?? 0, body: answer.text.split("\r\n\r\n").slice(1).join("\r\n\r\n") }
}

test("B13: an empty, wrong, long or foreign key is answered 401 with one and the same body, wherever it stands", async () => {
  await using pollux = await startPollux()
  const right = pollux.key
  const wrong: readonly (readonly [string, string, Record<string, string>])[] = [
    ["empty", "", { "x-goog-api-key": "" }],
    ["one character short", "", { "x-goog-api-key": right.slice(0, -1) }],
    ["one character long", "", { "x-goog-api-key": `${right}x` }],
    ["in another case", "", { "x-goog-api-key": right.toUpperCase() }],
    ["12 kB", "", { "x-goog-api-key": "k".repeat(12_000) }],
    ["not ASCII", "", { "x-goog-api-key": "sch\xfcssel" }],
    ["a bearer that is empty", "", { authorization: "Bearer " }],
    ["a bearer that is wrong", "", { authorization: `Bearer ${right}x` }],
    ["not ASCII in the query", "?key=%C3%BC%00", {}],
    ["wrong in the query", `?key=${right}x`, {}],
    ["damaged in the query", "?key=%zz", {}],
    ["wrong in front of a right bearer", "", { "x-goog-api-key": "no", authorization: `Bearer ${right}` }],
    ["empty in front of a right bearer", "", { "x-goog-api-key": "", authorization: `Bearer ${right}` }],
    ["wrong in front of a right query", `?key=${right}`, { authorization: "Bearer no" }],
    ["wrong in front of itself", `?key=no&key=${right}`, {}],
    ["two in one header", "", { "x-goog-api-key": `${right}, ${right}` }],
  ]
  const bodies = new Set<string>()
  for (const [name, query, headers] of wrong) {
    const { status, body } = await raw(pollux, `/geminicli/v1beta/models${query}`, headers)
    expect({ name, status }).toEqual({ name, status: 401 })
    bodies.add(body)
  }
  expect(bodies.size).toBe(1)
  for (const path of PATHS) expect((await raw(pollux, path, { "x-goog-api-key": `${right}x` })).status).toBe(401)
  // Too long to be a header at all.
  expect((await raw(pollux, "/metrics", { "x-goog-api-key": "k".repeat(1_000_000) })).status).toBe(431)
  expect([414, 431]).toContain((await raw(pollux, `/metrics?key=${"k".repeat(1_000_000)}`)).status)

  for (const headers of [
    { "x-goog-api-key": right },
    { authorization: `Bearer ${right}` },
    { authorization: `bearer   ${right}` },
    { "x-goog-api-key": right, authorization: "Bearer no" },
  ]) {
    expect((await raw(pollux, "/geminicli/v1beta/models?key=no", headers)).status).toBe(200)
  }
  expect((await raw(pollux, `/geminicli/v1beta/models?key=${encodeURIComponent(right)}`)).status).toBe(200)
})

test("B14: after 60 wrong keys in a minute an address is told 429, whatever it says of itself, and a right key still serves", async () => {
  await using pollux = await startPollux()
  const codes: number[] = []
  for (let index = 0; index < 100; index++) {
    const headers = {
      "x-goog-api-key": `wrong-${index}`,
      "x-forwarded-for": `203.0.113.${index}`,
      "x-real-ip": `203.0.113.${index}`,
      forwarded: `for=203.0.113.${index}`,
    }
    codes.push((await raw(pollux, "/codex/v1/models", headers)).status)
    if (index % 20 === 0) {
      expect((await raw(pollux, "/codex/v1/models", { "x-goog-api-key": pollux.key })).status).toBe(200)
    }
  }
  expect(codes.slice(0, 60).every((code) => code === 401)).toBe(true)
  expect(codes.slice(60).every((code) => code === 429)).toBe(true)
  expect((await raw(pollux, "/codex/v1/models", { "x-goog-api-key": pollux.key })).status).toBe(200)
  const refused = await pollux.api("/codex/v1/models", { headers: { "x-goog-api-key": "wrong" } })
  expect(refused.status).toBe(429)
  const wait = Number(refused.headers.get("retry-after"))
  expect(wait).toBeGreaterThanOrEqual(1)
  expect(wait).toBeLessThanOrEqual(60)
})

test("B14: behind a trusted proxy, wrong keys count for the address that the proxy names", async () => {
  await using pollux = await startPollux({ config: { basic: { trusted_proxies: ["127.0.0.1"] } } })
  const wrong = async (from: string) =>
    (await raw(pollux, "/codex/v1/models", { "x-goog-api-key": "wrong", "x-forwarded-for": from })).status
  for (let index = 0; index < 60; index++) expect(await wrong("198.51.100.1")).toBe(401)
  expect(await wrong("198.51.100.1")).toBe(429)
  // What stands left of the nearest address is the client's own invention.
  expect(await wrong("203.0.113.9, 198.51.100.1")).toBe(429)
  expect(await wrong("198.51.100.2")).toBe(401)
})
