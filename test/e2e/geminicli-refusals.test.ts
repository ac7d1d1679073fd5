/** What the upstream's refusals do to a credential, in every wrapping (spec geminicli 11.3, 6.3, 6.7), on the compiled executable. */
import { expect, test } from "bun:test"
import { errors } from "../fakes/google.ts"
import { until } from "../support/wait.ts"
import { GeminiSystem, MODEL } from "./support/gemini.ts"

const HOUR = 3_600_000

const VALIDATION = "https://accounts.google.com/signin/continue?sarp=1&plt=fake-validation"

const PARKED: readonly (readonly [what: string, body: unknown, shown: Record<string, unknown>])[] = [
  ["VALIDATION_REQUIRED", errors.validationRequired(VALIDATION), { reason: "needs_verification", url: VALIDATION }],
  ["SERVICE_DISABLED", errors.serviceDisabled("companion-1"), { reason: "service_disabled" }],
  ["CONSUMER_INVALID", errors.consumerInvalid("companion-1"), { reason: "service_disabled" }],
  ["IAM_PERMISSION_DENIED", errors.iamDenied("companion-1"), { reason: "ineligible" }],
  ["SUBSCRIPTION_REQUIRED", errors.subscriptionRequired(), { reason: "ineligible" }],
  ["UNSUPPORTED_CLIENT", errors.unsupportedClient(), { reason: "ineligible" }],
  ["a plain PERMISSION_DENIED", errors.permissionDenied(), { reason: "ineligible" }],
]

for (const [what, body, shown] of PARKED) {
  test(`geminicli 11.3: 403 ${what} parks the credential with the reason and rotates; the client sees 403 only when all refuse`, async () => {
    await using system = await GeminiSystem.start()
    const account = system.account(0)
    const times = Number.POSITIVE_INFINITY
    system.google.fault({ on: "generate", account, status: 403, body, times })
    const alone = await system.ask()
    expect(alone.status).toBe(403)
    const { error } = Object(await alone.json())
    expect(error).toMatchObject({ code: 403, status: "PERMISSION_DENIED" })
    expect(JSON.stringify(error)).not.toContain("companion-1")
    // A project that cannot be used is asked about once more before its credential is parked.
    const parked = await until("it is parked", async () => {
      const credential = await system.only()
      return credential.state === "parked" && credential
    })
    expect(parked).toMatchObject(shown)
    expect(parked.detail).not.toBeEmpty()
    expect(parked.until).toBeGreaterThan(Date.now() + 25 * 60_000)

    await system.add()
    expect((await system.ask()).status).toBe(200)
    await system.pollux.restart()
    expect((await system.list())[0]).toMatchObject({ state: "parked", ...shown })
  })
}

test("geminicli 11.3: what is wrong with a project of the user's own is still shown after it was asked about once more", async () => {
  await using system = await GeminiSystem.start({ accounts: 0 })
  await system.add({ project: null, userProjects: ["my-project-a"] }, "my-project-a")
  system.google.fault({ on: "generate", status: 403, body: errors.serviceDisabled("my-project-a") })
  expect((await system.ask()).status).toBe(403)
  const parked = await until("it is parked", async () => {
    const credential = await system.only()
    return credential.state === "parked" && credential
  })
  expect(parked.detail).toContain("has not been used in project my-project-a before or it is disabled")
})

test("geminicli 11.3: a violation of the terms bans, with the way to appeal, and a re-add is the operator's word", async () => {
  await using system = await GeminiSystem.start()
  system.google.fault({ on: "generate", status: 403, body: errors.tosViolation() })
  expect((await system.ask()).status).toBe(403)
  const banned = await system.only()
  expect(banned).toMatchObject({ state: "banned", reason: "tos_violation" })
  expect(banned.detail).toContain("https://forms.example.test/appeal")
  expect((await system.ask()).status).toBe(503)
  const again = await system.pollux.api("/geminicli/resource:add?wait=true", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([{ refresh_token: system.account(0).refreshToken }]),
  })
  expect(again.status).toBe(202)
  expect((await system.ask()).status).toBe(200)
})

const QUOTA = errors.quotaExhausted(MODEL, 2 * HOUR)
const text = JSON.stringify(QUOTA)

const WRAPPED: readonly (readonly [what: string, body: unknown, headers?: Record<string, string>])[] = [
  ["an object", QUOTA],
  ["a list of one", [QUOTA]],
  ["an event stream's data", `data: ${text}\n\n`, { "content-type": "text/event-stream" }],
  ["plain JSON under the label of an event stream", text, { "content-type": "text/event-stream" }],
  ["JSON inside its own message", errors.googleError(429, "RESOURCE_EXHAUSTED", text)],
  ["JSON with stray commas", text.replaceAll(",", ",,")],
]

for (const [what, body, headers = {}] of WRAPPED) {
  test(`geminicli 11.3: an exhausted quota is understood as ${what}`, async () => {
    await using system = await GeminiSystem.start()
    system.google.fault({ on: "generate", status: 429, body, headers })
    const response = await system.stream()
    expect(response.status).toBe(429)
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(60)
    const [cooldown] = (await system.only()).cooldowns
    expect(cooldown?.stated).toBeGreaterThan(Date.now() + 1.9 * HOUR)
    expect(cooldown?.stated).toBeLessThan(Date.now() + 2.1 * HOUR)
  })
}

const bare = (
  details: readonly Record<string, unknown>[],
  message = "You have exhausted your capacity on this model.",
) => errors.googleError(429, "RESOURCE_EXHAUSTED", message, details)
const info = (metadata: Record<string, string>) => ({
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason: "RATE_LIMIT_EXCEEDED",
  domain: "cloudcode-pa.googleapis.com",
  metadata,
})

const DELAYS: readonly (readonly [what: string, body: unknown, headers?: Record<string, string>])[] = [
  ["a time stamp", bare([info({ quotaResetTimeStamp: new Date(Date.now() + 200_000).toISOString() })])],
  ["a Go duration", bare([info({ quotaResetDelay: "3m20s" })])],
  ["RetryInfo", bare([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "200.5s" }])],
  ["the message", bare([], "You have exhausted your capacity on this model. Your quota will reset after 3m20s.")],
  ["a Retry-After header", bare([]), { "retry-after": "200" }],
]

for (const [what, body, headers = {}] of DELAYS) {
  test(`geminicli 11.3: the time of a limit is read from ${what}`, async () => {
    await using system = await GeminiSystem.start()
    system.google.fault({ on: "generate", status: 429, body, headers })
    const response = await system.ask()
    expect(response.status).toBe(429)
    const seconds = Number(response.headers.get("retry-after"))
    expect(seconds).toBeGreaterThan(185)
    expect(seconds).toBeLessThan(205)
  })
}

test("geminicli 11.3: missing capacity is the model's: a few seconds, at most three credentials, and nobody parked", async () => {
  await using system = await GeminiSystem.start({ accounts: 5 })
  const times = Number.POSITIVE_INFINITY
  system.google.fault({ on: "generate", status: 429, body: errors.capacityExhausted(MODEL), times })
  const response = await system.ask()
  expect(response.status).toBe(429)
  expect(Number(response.headers.get("retry-after"))).toBeLessThan(10)
  expect(system.google.seen("generateContent")).toHaveLength(3)
  for (const { cooldowns } of await system.list()) {
    for (const cooldown of cooldowns) expect(cooldown.until).toBeLessThan(Date.now() + 10_000)
  }
})

test("geminicli 11.3: a location that is not served is told as 403, never as the client's 400", async () => {
  await using system = await GeminiSystem.start()
  const body = errors.googleError(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")
  system.google.fault({ on: "generate", status: 400, body })
  expect((await system.ask()).status).toBe(403)
  expect(await system.only()).toMatchObject({ state: "parked", reason: "ineligible" })
})

test("geminicli 11.3: a 404 of every account is the client's 404, and marks none of them", async () => {
  await using system = await GeminiSystem.start({ accounts: 2 })
  const times = Number.POSITIVE_INFINITY
  system.google.fault({ on: "generate", status: 404, body: errors.notFound(), times })
  const response = await system.ask()
  expect(response.status).toBe(404)
  expect(await response.json()).toMatchObject({ error: { code: 404, status: "NOT_FOUND" } })
  for (const { lacks } of await system.list()) expect(lacks).toBeEmpty()
})
