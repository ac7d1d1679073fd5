import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { statedDelay, statesZeroDelay } from "../../../src/providers/geminicli/delays.ts"
import { readProblem } from "../../../src/providers/geminicli/errors.ts"
import { errors } from "../../fakes/google.ts"
import { NOW } from "./support.ts"

const info = (metadata: object, reason = "RATE_LIMIT_EXCEEDED") => ({
  "@type": "google.rpc.ErrorInfo",
  reason,
  metadata,
})
const retry = (retryDelay: unknown) => ({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay })
const problem = (details: readonly object[], message = "no") =>
  readProblem(JSON.stringify({ error: { code: 429, message, status: "RESOURCE_EXHAUSTED", details } }), 429)
const delay = (details: readonly object[], message?: string, header?: string) =>
  statedDelay(problem(details, message), new Headers(header === undefined ? {} : { "retry-after": header }), NOW)

describe("what the upstream asks to wait", () => {
  const stamp = (ms: number) => new Date(NOW + ms).toISOString()

  test("every form is read", () => {
    expect(delay([info({ quotaResetTimeStamp: stamp(90_000) })])).toBe(90_000)
    expect(delay([info({ quotaResetDelay: "5h41m27.58s" })])).toBe(20_487_580)
    expect(delay([info({ quotaResetDelay: "373.8ms" })])).toBeCloseTo(373.8)
    expect(delay([retry("40s")])).toBe(40_000)
    expect(delay([retry({ seconds: "3", nanos: 500_000_000 })])).toBe(3_500)
    expect(delay([], "You have exhausted your capacity. Your quota will reset after 11h16m14s.")).toBe(40_574_000)
    expect(delay([], "Please retry in 5.2s")).toBe(5_200)
    expect(delay([], "Please retry in 250ms.")).toBe(250)
    expect(delay([], "no", "120")).toBe(120_000)
    expect(delay([], "no", new Date(NOW + 60_000).toUTCString())).toBe(60_000)
  })

  test("the more trusted source wins", () => {
    const details = [info({ quotaResetTimeStamp: stamp(1_000), quotaResetDelay: "2s" }), retry("3s")]
    expect(delay(details, "retry in 4s", "5")).toBe(1_000)
    expect(delay(details.slice(1), "retry in 4s", "5")).toBe(3_000)
    expect(delay([], "retry in 4s", "5")).toBe(4_000)
  })

  test("for an exhausted quota the longest counts", () => {
    const details = [info({ quotaResetTimeStamp: stamp(1_000), quotaResetDelay: "2h" }, "QUOTA_EXHAUSTED"), retry("3s")]
    expect(delay(details)).toBe(7_200_000)
    const real = readProblem(JSON.stringify(errors.quotaExhausted("m", 40_574_149, NOW)), 429)
    expect(statedDelay(real, new Headers(), NOW)).toBe(40_574_149)
  })

  test("zero, the past and nonsense count as not said", () => {
    expect(delay([info({ quotaResetDelay: "0s" }), retry("0s")], "after 0s", "0")).toBeNull()
    expect(delay([info({ quotaResetTimeStamp: stamp(-1) })])).toBeNull()
    expect(
      delay(
        [info({ quotaResetTimeStamp: "soon", quotaResetDelay: "1 hour" }), retry(5), retry(null)],
        "after lunch",
        "x",
      ),
    ).toBeNull()
    expect(delay([info({ quotaResetTimeStamp: stamp(-1), quotaResetDelay: "7s" })])).toBe(7_000)
  })

  test("a mistake of years is cut to a month", () => {
    expect(delay([info({ quotaResetTimeStamp: "2036-01-01T00:00:00Z" })])).toBe(31 * 86_400_000)
  })

  test("a mistake of centuries counts as not said", () => {
    const never = info({ quotaResetTimeStamp: "9999-01-01T00:00:00Z" }, "QUOTA_EXHAUSTED")
    expect(delay([never])).toBeNull()
    expect(delay([never, retry("3s")])).toBe(3_000)
    expect(delay([retry({ seconds: 1e300 })], "no", "9999999999")).toBeNull()
  })

  test("a stated zero is told from nothing stated", () => {
    expect(statesZeroDelay(problem([info({ quotaResetDelay: "0s" }), retry("0s")]))).toBe(true)
    expect(statesZeroDelay(problem([info({ quotaResetDelay: "0s" }), retry("1s")]))).toBe(false)
    expect(statesZeroDelay(problem([info({})]))).toBe(false)
  })

  test("any details give a time ahead or none", () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
        fc.jsonValue(),
        fc.string(),
        (details, value, message) => {
          const all = [...details, info({ quotaResetDelay: value, quotaResetTimeStamp: value }), retry(value)]
          const ms = delay(all, message)
          expect(ms === null || (ms > 0 && ms <= 31 * 86_400_000)).toBe(true)
        },
      ),
    )
  })
})
