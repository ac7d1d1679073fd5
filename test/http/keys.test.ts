import { describe, expect, test } from "bun:test"
import { Keyring, presentedKey } from "../../src/http/keys.ts"
import { clientKey, KEY, testConfig } from "./support/config.ts"

const headers = (entries: Record<string, string>) => new Headers(entries)

describe("the key of a request", () => {
  test("is read from x-goog-api-key, then Authorization: Bearer, then ?key=", () => {
    expect(presentedKey(headers({ "x-goog-api-key": "a", authorization: "Bearer b" }), "key=c")).toEqual({
      key: "a",
      from: "header",
    })
    expect(presentedKey(headers({ authorization: "Bearer b" }), "key=c")).toEqual({ key: "b", from: "header" })
    expect(presentedKey(headers({}), "alt=sse&key=c")).toEqual({ key: "c", from: "query" })
  })

  test("is the first one present, also when it is empty", () => {
    expect(presentedKey(headers({ "x-goog-api-key": "", authorization: "Bearer right" }), "key=right")?.key).toBe("")
    expect(presentedKey(headers({ authorization: "Bearer " }), "key=right")?.key).toBe("")
  })

  test("may be sent with any spelling of the scheme, but with no other scheme", () => {
    expect(presentedKey(headers({ authorization: "bearer b" }), "")?.key).toBe("b")
    expect(presentedKey(headers({ authorization: "Basic b" }), "key=c")?.key).toBe("c")
    expect(presentedKey(headers({ authorization: "Basic b" }), "")).toBeNull()
  })

  test("is not read from a parameter that merely ends in key", () => {
    expect(presentedKey(headers({}), "monkey=c")).toBeNull()
  })

  test("is percent-decoded in the query", () => {
    expect(presentedKey(headers({}), "key=a%2Bb%20c")?.key).toBe("a+b c")
  })
})

describe("a keyring", () => {
  const now = { wall: () => 1_000 }

  test("knows the pool's key as an administrator as long as there is no admin key", () => {
    expect(new Keyring(testConfig()).holder(KEY, now)).toMatchObject({
      operator: true,
      principal: { name: "default", admin: true, models: null },
    })
    const ring = new Keyring(testConfig({ adminKey: "boss" }))
    expect(ring.holder(KEY, now)).toMatchObject({ operator: true, principal: { name: "default", admin: false } })
    expect(ring.holder("boss", now)).toMatchObject({ operator: true, principal: { name: "admin", admin: true } })
  })

  test("knows further keys by their hash, and never as operators", () => {
    const ring = new Keyring(testConfig({}, [clientKey("mate", "k-1", { models: ["m"], requestsPerMinute: 3 })]))
    expect(ring.holder("k-1", now)).toMatchObject({
      operator: false,
      requestsPerMinute: 3,
      principal: { name: "mate", admin: false, models: ["m"] },
    })
  })

  test("refuses an expired key from its very millisecond on", () => {
    const ring = new Keyring(testConfig({}, [clientKey("mate", "k-1", { expiresAt: 500 })]))
    expect(ring.holder("k-1", { wall: () => 499 })).not.toBeNull()
    expect(ring.holder("k-1", { wall: () => 500 })).toBeNull()
  })

  test("knows no other key: empty, shorter, longer, not ASCII, a megabyte", () => {
    const ring = new Keyring(testConfig({}, [clientKey("mate", "k-1")]))
    for (const key of ["", KEY.slice(1), `${KEY} `, `${KEY}${KEY}`, "ключ", "\u0000", "x".repeat(1 << 20)]) {
      expect(ring.holder(key, now)).toBeNull()
    }
  })
})
