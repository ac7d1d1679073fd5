import { expect, test } from "bun:test"
import { requestId } from "../../src/http/request-id.ts"

test("a caller's request id of 1 to 128 visible ASCII characters is kept", () => {
  for (const id of ["a", "x".repeat(128), "req:1/2_~!"]) expect(requestId(id)).toBe(id)
})

test("any other is replaced by 16 characters of chance", () => {
  const ids = [null, "", "x".repeat(129), "a b", "a\tb", "é", "a\u001b[31m"].map((given) => requestId(given))
  for (const id of ids) expect(id).toMatch(/^[\w-]{16}$/)
  expect(new Set(ids).size).toBe(ids.length)
})
