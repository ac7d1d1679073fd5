import { expect, test } from "bun:test"
import fc from "fast-check"
import { exhaustedUntil, limitsOfEvent, limitsOfHeaders } from "../../../src/providers/codex/limits.ts"
import { NOW } from "./support.ts"

test("every family of limits is read from the headers", () => {
  const headers = new Headers({
    "x-codex-plan-type": "pro",
    "x-codex-primary-used-percent": "12.5",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": "1900000000",
    "x-codex-secondary-used-percent": "100",
    "x-codex-secondary-window-minutes": "10080",
    "x-codex-secondary-reset-after-seconds": "60",
    "x-codex-bengalfox-primary-used-percent": "3",
    "x-codex-promo-message": "hello",
    "x-codex-primary-over-secondary-limit-percent": "1",
  })
  const { quotas, plan } = limitsOfHeaders(headers.toJSON(), NOW)
  expect(plan).toBe("pro")
  expect(quotas).toHaveLength(3)
  expect(quotas).toContainEqual({
    family: "codex",
    name: "primary",
    usedPercent: 12.5,
    windowMinutes: 300,
    resetsAt: 1_900_000_000_000,
    seenAt: NOW,
  })
  expect(quotas).toContainEqual(
    expect.objectContaining({ family: "codex_bengalfox", resetsAt: null, windowMinutes: null }),
  )
  expect(exhaustedUntil(quotas, "codex", NOW)).toBe(NOW + 60_000)
  expect(exhaustedUntil(quotas, "codex_bengalfox", NOW)).toBeNull()
})

test("headers without limits, or with nonsense in them, give none", () => {
  expect(limitsOfHeaders({ "content-type": "x" }, NOW)).toEqual({ quotas: [], plan: null })
  expect(limitsOfHeaders({ "x-codex-primary-used-percent": "NaN" }, NOW).quotas).toEqual([])
  expect(limitsOfHeaders({ "x-codex-primary-used-percent": "250" }, NOW).quotas[0]?.usedPercent).toBe(100)
})

test("a reset that cannot be meant is none, in headers and in events", () => {
  const headers = {
    "x-codex-primary-used-percent": "100",
    "x-codex-primary-reset-at": "999999999999999",
    "x-codex-secondary-used-percent": "100",
    "x-codex-secondary-reset-after-seconds": "-8641795348800.001",
  }
  const primary = { used_percent: 100, reset_at: 1e300 }
  const secondary = { used_percent: 100, reset_after_seconds: -8_641_795_348_800.001 }
  for (const { quotas } of [
    limitsOfHeaders(new Headers(headers).toJSON(), NOW),
    limitsOfEvent({ rate_limits: { primary, secondary } }, NOW),
  ]) {
    expect(quotas.map(({ resetsAt }) => resetsAt)).toEqual([null, null])
    expect(exhaustedUntil(quotas, "codex", NOW)).toBeNull()
  }
})

test("a limit beyond which the backend serves on is not reached", () => {
  const rate_limits = { limit_reached: true, primary: { used_percent: 100, reset_at: 1_900_000_000 } }
  const reached = (more: object) => limitsOfEvent({ rate_limits, ...more }, NOW).reached
  expect(reached({})).toBeTrue()
  expect(reached({ credits: { has_credits: false, unlimited: false, balance: null } })).toBeTrue()
  expect(reached({ credits: { has_credits: true, unlimited: false, balance: "12.5" } })).toBeFalse()
  expect(reached({ credits: { has_credits: false, unlimited: true } })).toBeFalse()
  expect(reached({ credits: { has_credits: true, overage_limit_reached: true } })).toBeTrue()
  expect(reached({ rate_limits: { ...rate_limits, allowed: true } })).toBeFalse()
  expect(reached({ rate_limits: { ...rate_limits, allowed: false } })).toBeTrue()
})

test("no event makes the reader throw", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("plan_type", "rate_limits", "metered_limit_name"), fc.jsonValue()),
      (event) => {
        const { quotas, reached, family } = limitsOfEvent(event, NOW)
        expect(quotas).toBeArray()
        expect(reached).toBeBoolean()
        expect(family).toBeString()
      },
    ),
  )
})
