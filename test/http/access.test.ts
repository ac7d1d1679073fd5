import { expect, test } from "bun:test"
import { accessLevel, logAccess } from "../../src/http/access.ts"
import { createLog } from "../../src/observe/log.ts"

const entry = {
  method: "GET",
  path: "/geminicli/v1beta/models",
  status: 200,
  ms: 1.4,
  requestId: "r1",
  principal: "default",
  address: "127.0.0.1",
  userAgent: "curl",
}

test("a probe that succeeds is not worth a line of its own, one that fails is", () => {
  expect(accessLevel({ path: "/healthz", status: 200 })).toBe("debug")
  expect(accessLevel({ path: "/readyz", status: 503 })).toBe("error")
})

test("a client's mistake is a warning, a failure of the server an error", () => {
  expect(accessLevel({ path: "/x", status: 200 })).toBe("info")
  expect(accessLevel({ path: "/x", status: 401 })).toBe("warn")
  expect(accessLevel({ path: "/x", status: 501 })).toBe("warn")
  expect(accessLevel({ path: "/x", status: 500 })).toBe("error")
})

test("each level reaches the log as such", () => {
  const lines: string[] = []
  const log = createLog({ level: "trace", format: "json", write: (line) => void lines.push(line) })
  for (const [path, status] of [
    ["/healthz", 200],
    ["/x", 200],
    ["/x", 404],
    ["/x", 500],
  ] as const) {
    logAccess(log, { ...entry, path, status })
  }
  log.flush()
  const levels = lines
    .join("")
    .trim()
    .split("\n")
    .map((line) => /"level":"(\w+)"/.exec(line)?.[1])
  expect(levels).toEqual(["debug", "info", "warn", "error"])
})
