import { afterAll, beforeAll, expect, test } from "bun:test"
import { dashboardQueries, groupingsOf, rules, selectorsOf, variableQueries } from "../support/observability.ts"
import { startWorld, type World } from "../support/world.ts"

/** What Prometheus itself adds to each series. */
const SCRAPED = ["job", "instance"]
const queries = [...dashboardQueries, ...variableQueries, ...rules.map(({ expr }) => expr)]

let world: World
/** Labels of each metric that `/metrics` shows after some traffic. */
const exposed = new Map<string, Set<string>>()
let text = ""

beforeAll(async () => {
  world = await startWorld()
  const { pollux } = world
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    (
      await pollux.api(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      })
    ).text()
  await post("/geminicli/v1beta/models/gemini-2.5-pro:generateContent", {
    contents: [{ role: "user", parts: [{ text: "hello" }] }],
  })
  await post("/codex/v1/responses", { model: "gpt-5.2-codex", input: "hello" })
  await post("/codex/v1/responses", { model: "gpt-5.2-codex", input: "hello" }, { authorization: "Bearer wrong" })
  text = await (await pollux.api("/metrics")).text()
  for (const [, metric = "", labels = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = exposed.get(metric) ?? new Set()
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) known.add(label)
    exposed.set(metric, known)
  }
}, 60_000)
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

test("dashboard and alerts name only metrics that the server shows, by labels that these have", () => {
  expect(exposed.size).toBeGreaterThan(20)
  const wrong = queries.flatMap((query) =>
    selectorsOf(query).flatMap(({ metric, labels }) => {
      const known = exposed.get(metric)
      if (known === undefined) return [`${metric} is not shown: ${query}`]
      return labels
        .filter((label) => !known.has(label) && !SCRAPED.includes(label))
        .map((label) => `${metric} has no label ${label}`)
    }),
  )
  expect(wrong).toEqual([])
})

test("they group only by labels that what they group has", () => {
  const wrong = queries.flatMap((query) => {
    const known = new Set(selectorsOf(query).flatMap(({ metric }) => [...(exposed.get(metric) ?? [])]))
    return groupingsOf(query).filter((label) => !known.has(label) && !SCRAPED.includes(label))
  })
  expect(wrong).toEqual([])
})

test("every metric of our own is on the dashboard", () => {
  const families = [...text.matchAll(/^# TYPE (pollux_\w+) /gm)].map(([, name = ""]) => name)
  const shown = new Set(
    dashboardQueries.flatMap(selectorsOf).map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, "")),
  )
  expect(families.length).toBeGreaterThan(15)
  expect(families.filter((name) => !shown.has(name))).toEqual([])
})

test("words that they look for are words that the server uses", () => {
  const shown = (line: RegExp) => expect(text).toMatch(line)
  shown(/^pollux_credentials\{.*state="parked"\} 0$/m)
  shown(/^pollux_credentials\{.*state="banned"\} 0$/m)
  shown(/^pollux_tokens_total\{.*kind="cached"\}/m)
  shown(/^pollux_refreshes_total\{.*outcome="ok"\}/m)
  shown(/^pollux_attempts_total\{.*cause="ok"\}/m)
  shown(/^pollux_rejected_requests_total\{reason="unauthorized"\} 1$/m)
  shown(/^pollux_ready 1$/m)
})
