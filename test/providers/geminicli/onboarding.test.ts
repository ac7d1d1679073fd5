import { describe, expect, test } from "bun:test"
import { systemTimers, type Timers } from "../../../src/observe/clock.ts"
import { readSetupAnswer } from "../../../src/providers/geminicli/onboarding.ts"
import { type AccountOptions, errors } from "../../fakes/google.ts"
import { rig } from "./support.ts"

const never = () => new AbortController().signal
const LINK = "https://accounts.google.com/verify"
const ineligible = (reasonCode: string, more: object = {}) => ({
  reasonCode,
  reasonMessage: `because ${reasonCode}`,
  tierId: "free-tier",
  ...more,
})

async function identified(options: AccountOptions, wanted: string | null = null) {
  const { google, module } = rig()
  const account = google.addAccount(options)
  const tokens = { accessToken: google.issue(account), refreshToken: account.refreshToken, expiresAt: 0, idToken: null }
  return { account, google, result: await module.refresher.identify(tokens, wanted, never()) }
}

describe("finding the project of an account", () => {
  test("an onboarded account names it at once, and who it is comes from userinfo without an id_token", async () => {
    const { account, google, result } = await identified({})
    expect(result).toEqual({
      kind: "ok",
      who: { sub: account.sub, email: account.email, account: account.project ?? "", plan: "standard-tier" },
    })
    expect(google.seen("userinfo")).toHaveLength(1)
    expect(google.seen("onboardUser")).toHaveLength(0)
    expect(google.seen("loadCodeAssist")[0]?.json).toEqual({
      metadata: { ideType: "IDE_UNSPECIFIED", platform: "PLATFORM_UNSPECIFIED", pluginType: "GEMINI" },
    })
  })

  test("ineligible tiers beside a current one do not matter", async () => {
    const { result } = await identified({
      ineligible: [ineligible("UNSUPPORTED_CLIENT"), ineligible("VALIDATION_REQUIRED", { validationUrl: LINK })],
    })
    expect(result.kind).toBe("ok")
  })

  test("a user's own project is asked for by id in both places", async () => {
    const { google, result } = await identified({ project: null, userProjects: ["my-project"] }, "my-project")
    expect(result).toMatchObject({ kind: "ok", who: { account: "my-project" } })
    expect(google.seen("loadCodeAssist")[0]?.json).toMatchObject({
      cloudaicompanionProject: "my-project",
      metadata: { duetProject: "my-project" },
    })
  })

  test("a new free account is onboarded without a project, polled by the operation's name", async () => {
    const { account, google, result } = await identified(
      { onboarded: false, tier: "free-tier", pendingPolls: 3 },
      "ignored-here",
    )
    expect(result).toMatchObject({ kind: "ok", who: { account: account.project, plan: "free-tier" } })
    expect(google.seen("onboardUser")).toHaveLength(1)
    expect(google.seen("onboardUser")[0]?.json).not.toHaveProperty("cloudaicompanionProject")
    expect(google.seen("operation").map((request) => [request.method, request.status])).toEqual([
      ["GET", 200],
      ["GET", 200],
      ["GET", 200],
    ])
  })

  test("a new standard account is onboarded with the user's project", async () => {
    const { google, result } = await identified({ onboarded: false, project: null, userProjects: ["mine-1"] }, "mine-1")
    expect(result).toMatchObject({ kind: "ok", who: { account: "mine-1", plan: "standard-tier" } })
    expect(google.seen("onboardUser")[0]?.json).toMatchObject({
      tierId: "standard-tier",
      cloudaicompanionProject: "mine-1",
      metadata: { duetProject: "mine-1" },
    })
  })

  test("a pending answer without a name is asked for again", async () => {
    const { google, result } = await identified({ onboarded: false, namelessPolls: 2, pendingPolls: 1 })
    expect(result.kind).toBe("ok")
    expect(google.seen("onboardUser")).toHaveLength(3)
    expect(google.seen("operation")).toHaveLength(1)
  })

  test("inside a service perimeter the standard tier is assumed", async () => {
    const { google, module } = rig()
    const account = google.addAccount()
    const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "SECURITY_POLICY_VIOLATED" }
    google.fault({
      on: "loadCodeAssist",
      status: 403,
      body: errors.googleError(403, "PERMISSION_DENIED", "perimeter", [info]),
    })
    const tokens = { accessToken: google.issue(account), refreshToken: "r", expiresAt: 0, idToken: null }
    expect(await module.refresher.identify(tokens, "p-in-it", never())).toMatchObject({
      kind: "ok",
      who: { account: "p-in-it", plan: "standard-tier" },
    })
  })
})

describe("an account that cannot serve", () => {
  test.each([
    [
      "has to be verified",
      { onboarded: false, ineligible: [ineligible("VALIDATION_REQUIRED", { validationUrl: LINK })] },
      null,
      "VALIDATION_REQUIRED",
      LINK,
    ],
    [
      "lost its tier",
      { project: null, ineligible: [ineligible("UNSUPPORTED_CLIENT")] },
      null,
      "UNSUPPORTED_CLIENT",
      null,
    ],
    ["needs a project", { project: null }, null, "PROJECT_REQUIRED", null],
    ["was given a project's number", {}, "123456", "PROJECT_NUMERIC", null],
    ["was given a project it may not use", {}, "foreign", "CONSUMER_INVALID", null],
    ["cannot be onboarded without a project", { onboarded: false, project: null }, null, "PROJECT_REQUIRED", null],
    [
      "never had the tier that it would need",
      { onboarded: false, project: null, ineligible: [ineligible("UNSUPPORTED_CLIENT")] },
      null,
      "UNSUPPORTED_CLIENT",
      null,
    ],
  ] as const)("%s", async (_, options, wanted, reason, url) => {
    const { result } = await identified(options, wanted)
    expect(result).toMatchObject({ kind: "refused", reason, url, detail: expect.stringMatching(/^.{10,}$/) })
  })

  test("what Google said to an onboarding without a project is told too", async () => {
    const { result } = await identified({ onboarded: false, project: null })
    const detail = expect.stringMatching(/project_id\. Google said: A Google Cloud project is required/)
    expect(result).toMatchObject({ detail })
    const { google, module } = rig()
    const account = google.addAccount({ onboarded: false, tier: "free-tier" })
    google.fault({ on: "onboardUser", status: 400, body: errors.preconditionFailed() })
    const tokens = { accessToken: google.issue(account), refreshToken: "r", expiresAt: 0, idToken: null }
    // No project may be given to a free tier.
    expect(await module.refresher.identify(tokens, null, never())).toMatchObject({ reason: "FAILED_PRECONDITION" })
  })

  test("passing troubles are told from it", async () => {
    const { google, module } = rig()
    const account = google.addAccount({ onboarded: false })
    const identify = () =>
      module.refresher.identify(
        { accessToken: google.issue(account), refreshToken: "r", expiresAt: 0, idToken: null },
        null,
        never(),
      )
    const provisioning = errors.googleError(
      429,
      "RESOURCE_EXHAUSTED",
      "Quota exceeded for quota metric 'Provision requests' of service 'managedprojects.googleapis.com'",
    )
    for (const fault of [
      { on: "loadCodeAssist", status: 500, body: errors.internal() },
      { on: "onboardUser", status: 429, body: provisioning },
      { on: "onboardUser", status: 403, body: "<html>" },
      { on: "onboardUser", status: 200, body: "[]" },
      { on: "onboardUser", before: "reset" },
      { on: "onboardUser", status: 200, body: { done: true, error: { code: 14, message: "later" } } },
      { on: "userinfo", status: 503, body: "" },
      // The runtime itself sends a GET once more on a kept-alive connection.
      { on: "userinfo", before: "reset", times: 9 },
    ] as const) {
      google.fault(fault)
      expect((await identify()).kind).toBe("transient")
    }
    google.clearFaults()
    google.fault({ on: "onboardUser", status: 200, body: { done: true, error: { code: 7, message: "no" } } })
    expect(await identify()).toMatchObject({ kind: "refused", reason: "ONBOARD_FAILED" })
    google.fault({ on: "loadCodeAssist", status: 401, body: errors.unauthenticated() })
    expect((await identify()).kind).toBe("transient")
    expect(readSetupAnswer("x", 429, new Headers({ "retry-after": "3" }), "", 0)).toMatchObject({
      kind: "transient",
      retryAfterMs: 3_000,
    })
  })

  test("waiting ends at the deadline, and at once when it is given up", async () => {
    const waits: number[] = []
    let now = 0
    const timers: Timers = {
      after: (ms, task) => {
        waits.push(ms)
        now += ms
        return systemTimers.after(0, task)
      },
    }
    const { google, module } = rig({}, timers, { mono: () => now, wall: () => now })
    const account = google.addAccount({ onboarded: false, pendingPolls: 1_000 })
    const tokens = { accessToken: google.issue(account), refreshToken: "r", expiresAt: 0, idToken: null }
    expect(await module.refresher.identify(tokens, null, never())).toMatchObject({
      kind: "transient",
      reason: "ONBOARD_TIMEOUT",
    })
    expect([now, new Set(waits)]).toEqual([180_000, new Set([5_000])])
    expect(await module.refresher.identify(tokens, null, AbortSignal.abort())).toMatchObject({ kind: "transient" })
  })
})
