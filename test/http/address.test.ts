import { describe, expect, test } from "bun:test"
import { limitKey, plainAddress, TrustedProxies } from "../../src/http/address.ts"

describe("an address", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["::FFFF:10.1.2.3", "10.1.2.3"],
    [" 10.1.2.3:4711 ", "10.1.2.3"],
    ["[2001:DB8::1]:80", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["unknown", null],
    ["", null],
    ["10.1.2.3.4", null],
    ["_hidden", null],
  ])("%p is read as %p", (raw, plain) => {
    expect(plainAddress(raw)).toBe(plain)
  })

  test.each([
    ["10.1.2.3", "10.1.2.3"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["unknown", "unknown"],
  ])("%p counts as %p", (address, counted) => {
    expect(limitKey(address)).toBe(counted)
  })
})

describe("X-Forwarded-For", () => {
  const proxies = new TrustedProxies(["10.0.0.0/8", "192.0.2.1", "fd00::/8"])

  test("is not believed from an address that is no trusted proxy", () => {
    expect(proxies.client("203.0.113.9", "1.2.3.4")).toBe("203.0.113.9")
    expect(new TrustedProxies([]).client("10.0.0.1", "1.2.3.4")).toBe("10.0.0.1")
  })

  test("names the client by its rightmost entry that is no trusted proxy", () => {
    expect(proxies.client("10.0.0.1", "6.6.6.6, 1.2.3.4, 192.0.2.1")).toBe("1.2.3.4")
    expect(proxies.client("fd00::1", "2001:db8::7")).toBe("2001:db8::7")
  })

  test("is followed no further than it can be read", () => {
    expect(proxies.client("10.0.0.1", "1.2.3.4, garbage, 10.0.0.2")).toBe("10.0.0.2")
    expect(proxies.client("10.0.0.1", "")).toBe("10.0.0.1")
  })

  test("that names trusted proxies only ends at the leftmost of them", () => {
    expect(proxies.client("10.0.0.1", "10.0.0.3, 10.0.0.2")).toBe("10.0.0.3")
  })
})
