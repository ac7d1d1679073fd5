/** How a pool of Gemini credentials behaves from outside (spec geminicli 11.1, .2, .4 to .6, .15, .18), on the compiled executable. */
import { expect, test } from "bun:test"
import { errors } from "../fakes/google.ts"
import { until } from "../support/wait.ts"
import { contents, GeminiSystem, MODEL, said, textOf } from "./support/gemini.ts"

const HOUR = 3_600_000

test("geminicli 11.1: requests on an expired token wait for one refresh instead of a 503", async () => {
  await using system = await GeminiSystem.start()
  system.google.expire(system.account(0))
  system.google.fault({ on: "token", delayMs: 300 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => system.ask()))
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
  expect(system.google.seen("token")).toHaveLength(1)
})

test("geminicli 11.1: a token is renewed before it expires, without a request", async () => {
  await using system = await GeminiSystem.start({ google: { expiresIn: 8 } })
  const { refreshes } = system.account(0)
  expect((await system.ask()).status).toBe(200)
  await until("a refresh that nobody asked for", () => system.account(0).refreshes > refreshes, 9_000)
  expect((await system.ask()).status).toBe(200)
  expect(system.google.requests.some(({ status }) => status === 401)).toBeFalse()
})

test("geminicli 11.1: a token endpoint in trouble costs a wait, and only invalid_grant parks, with the reason", async () => {
  await using system = await GeminiSystem.start({ accounts: 2 })
  const [first, second] = [system.account(0), system.account(1)]
  system.google.expire(first)
  const troubles = [
    { status: 503, body: { error: "backend_error" } },
    { status: 403, body: "<html>User Rate Limit Exceeded</html>" },
  ]
  for (const trouble of troubles) system.google.fault({ on: "token", account: first, ...trouble })
  for (let i = 0; i < 4; i++) expect((await system.ask()).status).toBe(200)
  expect((await system.list()).map(({ refreshDead }) => refreshDead)).toEqual([null, null])

  system.google.expire(second)
  system.google.revoke(second)
  for (let i = 0; i < 4; i++) await system.ask()
  const dead = await until("the revoked one is parked", async () =>
    (await system.list()).find(({ state }) => state === "parked"),
  )
  expect(dead.reason).toBe("needs_login")
  expect(dead.account).toBe(second.project ?? "")
})

test("geminicli 11.2: a cooldown survives a token refresh and a restart, and its end is shown", async () => {
  await using system = await GeminiSystem.start()
  system.google.limit(system.account(0), MODEL, 0, 11 * HOUR)
  expect((await system.ask()).status).toBe(429)
  const before = await system.only()
  expect(before.cooldowns).toMatchObject([{ scope: MODEL, cause: "quota" }])
  expect(before.cooldowns[0]?.stated).toBeGreaterThan(Date.now() + 10.9 * HOUR)

  expect((await system.verb("refresh", { id: before.id })).status).toBe(200)
  expect((await system.only()).cooldowns[0]?.stated).toBe(before.cooldowns[0]?.stated ?? 0)
  await system.pollux.restart()
  system.google.forget()
  expect((await system.only()).cooldowns).toMatchObject([{ scope: MODEL, cause: "quota" }])
  expect((await system.ask()).status).toBe(429)
  expect(system.google.seen("generateContent")).toBeEmpty()
  expect((await system.ask("other", { model: "gemini-2.5-flash" })).status).toBe(200)
})

test("geminicli 11.2: a shorter limit that is told later does not shorten a longer one", async () => {
  await using system = await GeminiSystem.start()
  system.google.fault({ on: "generate", delayMs: 300, status: 429, body: errors.rateLimited(MODEL, "2s") })
  system.google.fault({ on: "generate", status: 429, body: errors.quotaExhausted(MODEL, 2 * HOUR) })
  await Promise.all([system.ask(), system.ask()])
  expect((await system.only()).cooldowns[0]?.stated).toBeGreaterThan(Date.now() + 1.9 * HOUR)
})

test("geminicli 11.2: a model that an account lacks is remembered over a restart, and is not asked for again", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const preview = "gemini-3-pro-preview"
  const { id } = await system.add({ models: [MODEL] })
  await system.add()
  for (let i = 0; i < 3; i++) expect((await system.ask("x", { model: preview })).status).toBe(200)
  const lacking = (await system.list()).find((shown) => shown.id === id)
  expect(lacking?.lacks).toMatchObject([{ model: preview }])
  await system.pollux.restart()
  system.google.forget()
  for (let i = 0; i < 3; i++) expect((await system.ask("x", { model: preview })).status).toBe(200)
  expect(system.google.requests.some(({ status }) => status === 404)).toBeFalse()
})

test("geminicli 11.4: a fault of the request comes back word for word after one attempt, and parks nobody", async () => {
  await using system = await GeminiSystem.start({ accounts: 3 })
  const body = errors.googleError(
    400,
    "INVALID_ARGUMENT",
    "Unable to submit request because it has an empty inlineData.",
    [
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        fieldViolations: [{ field: "contents", description: "empty" }],
      },
    ],
  )
  system.google.fault({ on: "generate", status: 400, body })
  const response = await system.ask()
  expect(response.status).toBe(400)
  expect(await response.json()).toEqual(body)
  expect(system.google.seen("generateContent")).toHaveLength(1)
  expect((await system.list()).map(({ state }) => state)).toEqual(["ready", "ready", "ready"])
})

test("geminicli 11.4: a token that stays refused is never the client's 401", async () => {
  await using system = await GeminiSystem.start()
  system.google.fault({ on: "generate", status: 401, body: errors.unauthenticated(), times: Number.POSITIVE_INFINITY })
  const response = await system.ask()
  expect(response.status).toBe(503)
  expect(await response.json()).toMatchObject({ error: { code: 503, status: "UNAVAILABLE" } })
  expect(await system.only()).toMatchObject({ state: "parked", reason: "needs_login" })
})

test("geminicli 11.5: a credential's fault moves the request through all of them, each once", async () => {
  await using system = await GeminiSystem.start({ accounts: 6 })
  for (const account of system.google.accounts.slice(0, 5)) system.google.limit(account, MODEL, 0, HOUR)
  for (let i = 0; i < 2; i++) expect((await system.ask()).status).toBe(200)
  const limited = system.google.seen("generateContent").filter(({ status }) => status === 429)
  expect(new Set(limited.map(({ account }) => account?.sub)).size).toBe(limited.length)
})

test("geminicli 11.5: a server's error and a broken connection are answered by another credential", async () => {
  await using system = await GeminiSystem.start({ accounts: 2 })
  const [first] = system.google.accounts
  const faults = [
    { status: 500, body: errors.internal() },
    { status: 503, body: errors.unavailable() },
    { before: "reset" },
    { stream: { kind: "empty" } },
  ] as const
  for (const fault of faults) {
    if (first === undefined) throw new Error("no account")
    system.google.clearFaults()
    system.google.fault({ on: "generate", account: first, times: Number.POSITIVE_INFINITY, ...fault })
    for (let i = 0; i < 2; i++) {
      const response = await system.stream("again")
      expect(response.status).toBe(200)
      expect(await response.text()).toContain("again")
    }
  }
})

test("geminicli 11.5: a client that leaves ends the upstream request, and leaves no slot taken", async () => {
  await using system = await GeminiSystem.start()
  system.google.fault({ on: "generate", before: "hang" })
  const leaving = new AbortController()
  const asked = system.ask("x", { signal: leaving.signal }).catch((error: unknown) => error)
  await until("the request is upstream", () => system.google.seen("generateContent").length === 1)
  leaving.abort()
  await asked
  await until("the upstream sees it end", () => system.google.seen("generateContent")[0]?.aborted, 1_000)
  expect(await system.only()).toMatchObject({ state: "ready", inFlight: 0, lastError: null })
})

test("geminicli 11.6: when all are limited the answer is 429 with the earliest reset, in header and body", async () => {
  await using system = await GeminiSystem.start({ accounts: 2 })
  system.google.limit(system.account(0), MODEL, 0, 40_000)
  system.google.limit(system.account(1), MODEL, 0, 20_000)
  for (let i = 0; i < 2; i++) {
    const response = await system.ask()
    expect(response.status).toBe(429)
    const seconds = Number(response.headers.get("retry-after"))
    expect(seconds).toBeGreaterThan(15)
    expect(seconds).toBeLessThanOrEqual(22)
    const { error } = Object(await response.json())
    expect(error.status).toBe("RESOURCE_EXHAUSTED")
    expect(error.details).toContainEqual({
      "@type": "type.googleapis.com/google.rpc.RetryInfo",
      retryDelay: `${seconds}s`,
    })
  }
})

test("geminicli 11.6: a limit that ends within max_wait is waited for", async () => {
  await using system = await GeminiSystem.start()
  system.google.fault({ on: "generate", status: 429, body: errors.rateLimited(MODEL, "2s") })
  await system.ask()
  expect((await system.only()).cooldowns).toHaveLength(1)
  const response = await system.ask("patience")
  expect(response.status).toBe(200)
  expect(textOf(await response.json())).toBe(said("patience"))
})

test("geminicli 11.6: without any credential the answer is 503, and says so", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  const response = await system.ask()
  expect(response.status).toBe(503)
  expect(await response.json()).toMatchObject({ error: { code: 503, status: "UNAVAILABLE" } })
})

test("geminicli 11.15: a 401 that comes late, for a token already replaced, causes no second refresh", async () => {
  await using system = await GeminiSystem.start()
  const slow = system.ask("slow")
  system.google.fault({ on: "generate", status: 401, body: errors.unauthenticated(), delayMs: 500 })
  const late = system.ask("late")
  await until("both are upstream", () => system.google.seen("generateContent").length === 2)
  system.google.fault({ on: "generate", status: 401, body: errors.unauthenticated() })
  expect((await system.ask("early")).status).toBe(200)
  expect((await slow).status).toBe(200)
  expect((await late).status).toBe(200)
  expect(system.google.seen("token")).toHaveLength(1)
})

test("geminicli 11.15: a rotated refresh token is the one in use after a restart", async () => {
  await using system = await GeminiSystem.start({ google: { rotation: "kill-old" } })
  const handedIn = system.google.seen("token")
  expect(handedIn).toBeEmpty()
  const { id } = await system.only()
  const before = system.account(0).refreshToken
  expect((await system.verb("refresh", { id })).status).toBe(200)
  expect(system.account(0).refreshToken).not.toBe(before)
  await system.pollux.kill()
  await system.pollux.restart()
  expect((await system.verb("refresh", { id })).status).toBe(200)
  expect((await system.ask()).status).toBe(200)
})

test("geminicli 11.18: the less busy credential goes first, and a session stays with its own", async () => {
  await using system = await GeminiSystem.start({ accounts: 2, google: { latencyMs: 150 } })
  const servedBy = (prompt: string) =>
    system.google.requests.findLast(({ body }) => body.includes(prompt))?.account?.sub ?? "nobody"
  await Promise.all(Array.from({ length: 8 }, (_, i) => system.ask(`busy-${i}`)))
  const share = system.google.accounts.map(({ served }) => served.get(MODEL))
  expect(share).toEqual([4, 4])

  const session = { headers: { "session-id": "one-conversation" } }
  for (const prompt of ["turn-1", "noise-1", "turn-2", "noise-2", "noise-3", "turn-3"]) {
    await system.ask(prompt, prompt.startsWith("turn") ? session : {})
  }
  const owner = servedBy("turn-2")
  expect(servedBy("turn-3")).toBe(owner)
  await system.pollux.restart()
  await system.ask("turn-4", session)
  expect(servedBy("turn-4")).toBe(owner)
})

test("geminicli 11.18: a pool under many requests at once answers all of them", async () => {
  await using system = await GeminiSystem.start({ accounts: 3 })
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const response = await system.ask(`n${i}.`, { body: contents(`n${i}.`) })
      return textOf(await response.json())
    }),
  )
  expect(answers).toEqual(Array.from({ length: 60 }, (_, i) => said(`n${i}.`)))
  expect((await system.list()).map(({ inFlight }) => inFlight)).toEqual([0, 0, 0])
})
