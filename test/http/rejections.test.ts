import { expect, test } from "bun:test"
import { rejectionOf } from "../../src/http/faults.ts"

test("an answer that turns a request away has a word for it, and any other none", () => {
  for (const status of [101, 200, 202, 204, 304, 307]) expect(rejectionOf(status)).toBeNull()
  expect(rejectionOf(401)).toBe("unauthorized")
  expect(rejectionOf(429)).toBe("rate_limited")
  expect(rejectionOf(503)).toBe("unavailable")
  expect(rejectionOf(418)).toBe("bad_request")
  expect(rejectionOf(502)).toBe("internal")
})
