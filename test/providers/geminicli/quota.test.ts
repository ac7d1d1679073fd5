/** What Cloud Code tells of quotas when it is asked (spec geminicli 2.1). */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { readBuckets } from "../../../src/providers/geminicli/quota.ts"
import { NOW, rig } from "./support.ts"

const PRO = "gemini-2.5-pro"
const ODD = "odd-model"
const RESET = new Date(NOW + 3_600_000).toISOString()

const bucket = (fields: Record<string, unknown> = {}) => ({
  modelId: PRO,
  tokenType: "REQUESTS",
  remainingAmount: "250",
  remainingFraction: 0.25,
  resetTime: RESET,
  ...fields,
})

function read(...buckets: readonly unknown[]) {
  const said = readBuckets({ buckets }, [PRO, ODD], NOW)
  if (said.kind !== "ok") throw new Error(said.reason)
  return said
}

describe("an answer's buckets", () => {
  test("become one window per model of the list", () => {
    const said = read(bucket(), bucket({ modelId: "not-offered" }), bucket({ modelId: ODD, remainingFraction: 1 }))
    expect(said.windows).toEqual([
      { family: PRO, name: "requests", usedPercent: 75, windowMinutes: null, resetsAt: NOW + 3_600_000, seenAt: NOW },
      { family: ODD, name: "requests", usedPercent: 0, windowMinutes: null, resetsAt: NOW + 3_600_000, seenAt: NOW },
    ])
    expect([...said.models]).toEqual([
      [PRO, null],
      [ODD, null],
    ])
  })

  test("count requests before other measures, and the emptier of two of a kind", () => {
    const tokens = bucket({ tokenType: "TOKENS", remainingFraction: 0 })
    for (const order of [
      [tokens, bucket()],
      [bucket(), tokens],
    ]) {
      expect(read(...order).windows).toMatchObject([{ name: "requests", usedPercent: 75 }])
      expect(read(...order).models.get(PRO)).toBeNull()
    }
    expect(read(tokens).windows).toMatchObject([{ name: "tokens", usedPercent: 100 }])
    const half = bucket({ remainingFraction: 0.5 })
    expect(read(half, bucket()).windows).toMatchObject([{ usedPercent: 75 }])
    expect(read(bucket(), half).windows).toMatchObject([{ usedPercent: 75 }])
  })

  test("say until when a model is out of quota, and nothing about the whole account", () => {
    const said = read(bucket({ remainingFraction: 0 }))
    expect(said.models.get(PRO)).toBe(NOW + 3_600_000)
    expect(said.models.has(ODD)).toBe(false)
    expect(said.limitedUntil).toBeNull()
    // A reset that is over means that it is not; none at all is looked at again within the hour.
    const over = new Date(NOW - 1_000).toISOString()
    expect(read(bucket({ remainingFraction: 0, resetTime: over })).models.get(PRO)).toBeNull()
    expect(read(bucket({ remainingFraction: 0, resetTime: undefined })).models.get(PRO)).toBe(NOW + 3_600_000)
    const never = "9999-12-31T23:59:59Z"
    expect(read(bucket({ remainingFraction: 0, resetTime: never })).models.get(PRO)).toBe(NOW + 3_600_000)
  })

  test.each([
    ["no object", "bucket"],
    ["no model", bucket({ modelId: "" })],
    ["no fraction", bucket({ remainingFraction: undefined })],
    ["a fraction as text", bucket({ remainingFraction: "0" })],
    ["a fraction above one", bucket({ remainingFraction: 1.5 })],
    ["a negative fraction", bucket({ remainingFraction: -0.1 })],
  ])("are left out where there is %s", (_, value) => {
    expect(read(value, bucket({ modelId: ODD })).windows).toMatchObject([{ family: ODD }])
  })

  test.each(["1970-01-01T00:00:00Z", "tomorrow", "2026-13-45T00:00:00Z", "9999-12-31T23:59:59Z", 1_900_000_000, null])(
    "have no reset where it says %p",
    (resetTime) => expect(read(bucket({ resetTime })).windows).toMatchObject([{ resetsAt: null }]),
  )

  test("are bounded, however long the list and the answer are", () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `model-${i}`)
    const said = readBuckets({ buckets: names.map((modelId) => bucket({ modelId })) }, names, NOW)
    expect(said.kind === "ok" ? said.windows.length : 0).toBe(16)
  })
})

test("no answer makes the reader throw, or tell what a window cannot hold", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.record({
      buckets: fc.array(
        fc.record(
          {
            modelId: fc.oneof(fc.constantFrom(PRO, ODD), fc.jsonValue()),
            tokenType: fc.oneof(fc.constantFrom("REQUESTS", "TOKENS"), fc.jsonValue()),
            remainingFraction: fc.oneof(fc.double(), fc.jsonValue()),
            resetTime: fc.oneof(fc.constantFrom(RESET, "9999-99-99T99:99:99Z"), fc.jsonValue()),
          },
          { requiredKeys: [] },
        ),
      ),
    }),
  )
  fc.assert(
    fc.property(value, (answer) => {
      const said = readBuckets(answer, [PRO, ODD], NOW)
      if (said.kind !== "ok") return
      expect(said.windows.length).toBeLessThanOrEqual(2)
      for (const { family, usedPercent, resetsAt } of said.windows) {
        expect([PRO, ODD]).toContain(family)
        expect(usedPercent).toBeWithin(0, 100.001)
        if (resetsAt !== null) expect(resetsAt).toBeGreaterThan(0)
        expect(said.models.has(family)).toBe(true)
      }
    }),
  )
})

describe("the reader", () => {
  const never = new AbortController().signal

  test("asks once, for the credential's project, as the official client does", async () => {
    const { google, module, lease } = rig()
    const account = google.addAccount()
    google.limit(account, PRO, 100, 3_600_000)
    const { token, identity } = lease(account)
    const said = await module.quotas?.quotas(token, identity, never)
    expect(said).toMatchObject({ kind: "ok", windows: [{ family: PRO, name: "requests", usedPercent: 90 }] })
    const [asked, ...more] = google.seen("retrieveUserQuota")
    expect(more).toEqual([])
    expect(asked?.json).toEqual({ project: account.project })
    expect(asked?.headers["user-agent"]).toStartWith("GeminiCLI/")
    expect(google.requests).toEqual([])
  })

  test("announces the version of the configuration, as it is at the time", async () => {
    const { google, module, lease, settings } = rig()
    const account = google.addAccount()
    const { token, identity } = lease(account)
    await module.quotas?.quotas(token, identity, never)
    settings.current = { ...settings.current, clientVersion: "1.2.3" }
    await module.quotas?.quotas(token, identity, never)
    const agents = google.seen("retrieveUserQuota").map(({ headers }) => headers["user-agent"]?.split(" ")[0])
    expect(agents).toEqual(["GeminiCLI/0.61.0", "GeminiCLI/1.2.3"])
  })

  test("fails, and says why without a secret, on refusals, broken answers and broken connections", async () => {
    const { google, module, lease } = rig()
    const account = google.addAccount()
    const { token, identity } = lease(account)
    const ask = (bearer = token, who = identity, signal = never) => module.quotas?.quotas(bearer, who, signal)
    expect(await ask("ya29.wrong")).toEqual({ kind: "failed", reason: "Cloud Code answered 401" })
    expect(await ask(token, { ...identity, account: "foreign" })).toMatchObject({ kind: "failed" })
    google.fault({ on: "retrieveUserQuota", status: 200, body: "<html>" })
    expect(await ask()).toEqual({ kind: "failed", reason: "the answer holds no buckets" })
    google.fault({ on: "retrieveUserQuota", before: "reset" })
    expect(await ask()).toMatchObject({ kind: "failed" })
    google.fault({ on: "retrieveUserQuota", before: "hang" })
    expect(await ask(token, identity, AbortSignal.timeout(50))).toMatchObject({ kind: "failed" })
    expect(await ask()).toMatchObject({ kind: "ok" })
  })
})
