import { expect, test } from "bun:test"
import { RequestIds, randomId } from "../../src/http/request-id.ts"

test("a caller's request id of 1 to 128 visible ASCII characters is kept", () => {
  const ids = new RequestIds()
  for (const id of ["a", "x".repeat(128), "req:1/2_~!"]) expect(ids.of(id)).toBe(id)
})

test("any other is replaced by 16 characters of chance", () => {
  const ids = new RequestIds()
  for (const given of [null, "", "x".repeat(129), "a b", "a\tb", "é", "a\u001b[31m"]) {
    expect(ids.of(given)).toMatch(/^[\w-]{16}$/)
  }
})

test("no random id comes twice, within what is made at once and beyond it", () => {
  const ids = new RequestIds()
  const made = Array.from({ length: 1000 }, () => ids.of(null))
  for (const id of [...made, randomId()]) expect(id).toMatch(/^[\w-]{16}$/)
  expect(new Set([...made, ...Array.from({ length: 1000 }, randomId)]).size).toBe(2000)
})
